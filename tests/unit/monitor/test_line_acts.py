# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts over the monitor's line: the real far end, the real agent, the real door; no service manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.core.controller.way import way
from monitor.core.host import install
from monitor.judge.watch_list import Watch, WatchedHost
from monitor.watch import lines_ssh
from monitor.watch.lines import Lines
from plugins.plugin_utils import _agent_files
from tests.unit.monitor.line_host import HERE, LineHost, until
from tests.unit.monitor.test_ssh import SSH, Stand

ROOT = Path(__file__).resolve().parents[3]


def test_an_act_goes_over_the_line_and_its_answer_comes_back(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            for _turn in range(3):
                given = await host.give(host.request())
                said = await host.collect(given)
                assert said["answer"]["results"]["app_01"]["result"] == "stopped", said
            assert (await host.collect(given))["lost"] == "the monitor knows nothing of it"

    asyncio.run(scene())
    assert not host.complaints


def test_a_line_over_ssh_takes_acts_and_a_newer_agent_is_used_as_soon_as_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = LineHost(tmp_path)
    stand = Stand(tmp_path / "stand", monkeypatch, 'for last; do :; done; eval "$last"\n')
    watched = WatchedHost("h", root=str(host.root), ssh={**SSH, "python": sys.executable})

    async def scene() -> None:
        line = lines_ssh.SshLine(watched, 0.2, stand._changed, stand._told, stand.complaints.append)
        try:
            await until(lambda: line.answers and not line.acts.refusal())
            async with host.door(line.acts):
                said = await host.collect(await host.give(host.request()))
                assert said["answer"]["results"]["app_01"]["result"] == "stopped"
                newer = "fedcba9876543210"
                missing = await host.collect(await host.give(host.request(), newer))
                assert "another version" in missing["refused"]
                install.install(str(host.root), {"hash": newer, "files": _agent_files.texts()})
                said = await host.collect(await host.give(host.request(), newer))
                assert said["answer"]["results"]["app_01"]["result"] == "stopped"
                await until(lambda: line.acts.version == newer)
        finally:
            line.stop()

    asyncio.run(scene())


def test_an_act_goes_only_over_a_line_that_answers_and_goes_the_runs_way(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    machine = WatchedHost("h", root=str(host.root), connection="control_room.muster.machine")
    watch = Watch(machines={"h": machine}, host_interval=0.2)

    async def scene() -> None:
        lines = Lines(lambda *_said: None, lambda _event: None, host.complaints.append)
        place = host.root / "run" / "supervisor.sock"
        manager = await asyncio.start_unix_server(_answer, str(place))
        lines.follow(watch)
        try:
            await until(lambda: not isinstance(lines.acts("h", HERE), str))
            assert isinstance(lines.acts("other", HERE), str)
            assert "another way" in str(lines.acts("h", {}))
            assert "another way" in str(lines.acts("h", {"by": "ssh", "host": "h"}))
            (host.root / "power").write_text("{}")
            assert "no agent is ready" in str(lines.acts("h", HERE))
            (host.root / "power").unlink()
            manager.close()
            place.unlink()
            await until(lambda: "no line to h answers" in str(lines.acts("h", HERE)))
        finally:
            lines.stop()

    asyncio.run(scene())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One question per connection, as a service manager."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    await asyncio.sleep(0.05)
    writer.close()


def test_the_way_of_a_line_is_that_of_its_address_account_and_rights() -> None:
    plain = {"host": "192.0.2.1", "port": "22", "user": "eve"}
    assert way("ssh", plain) == way("ansible.builtin.ssh", plain) == {**plain, "by": "ssh", "as": ""}
    assert way("ssh", {**plain, "become": True}) == way("ssh", {**plain, "door": True}) != way("ssh", plain)
    for change in ({"host": "192.0.2.2"}, {"port": "23"}, {"user": "bob"}):
        assert way("ssh", {**plain, **change}) != way("ssh", plain)
    assert way("local", {}) == HERE
    assert way("community.docker.docker", plain) == way("ssh", {}) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="the door runs only what root installed")
def test_through_the_agents_door_only_what_the_account_may_ask_for_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = LineHost(tmp_path)
    for folder in (host.root, host.root / "lib", host.root / "lib" / host.version):
        folder.chmod(0o755)
    door = tmp_path / "door.py"
    text = (ROOT / "roles/monitor/templates/agent_door.py.j2").read_text()
    text = text.replace("{{ muster_root | string | to_json }}", json.dumps(str(host.root)))
    door.write_text(text.replace("{{ inventory_hostname }}", "h"))
    stand = Stand(tmp_path / "stand", monkeypatch, "exec %s -I -S %s listen\n" % (sys.executable, door))
    watched = WatchedHost("h", root=str(host.root), ssh={**SSH, "door": True})

    async def scene() -> None:
        line = lines_ssh.SshLine(watched, 0.2, stand._changed, stand._told, stand.complaints.append)
        try:
            await until(lambda: line.answers and not line.acts.refusal())
            async with host.door(line.acts):
                said = await host.collect(await host.give(host.request()))
                assert said["answer"]["results"]["app_01"]["result"] == "stopped"
                wrong = host.request()
                wrong["instances"][0]["instance"] = "../app_01"
                assert "may not stand there" in (await host.collect(await host.give(wrong)))["refused"]
                elsewhere = {**host.request(), "host": {**host.facts, "root": "/elsewhere"}}
                assert "not the folder" in (await host.collect(await host.give(elsewhere)))["refused"]
                token = "0" * 32
                asked = {"verb": "acted", "host": host.facts, "token": token, "within": 1.0}
                done = await asyncio.to_thread(
                    subprocess.run, [sys.executable, "-I", "-S", str(door)], text=True, capture_output=True,
                    input="%s\n%s\n" % (host.version, json.dumps(asked)), check=False,
                )  # fmt: skip
                assert "nothing is known" in done.stdout, done
        finally:
            line.stop()

    asyncio.run(scene())
