# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host that hold zeros after a power cut, are empty, or hold something else: one costs no more than itself.

Sources: hashicorp/consul#1221, SSLMate/certspotter#101, openhab/openhab-core#2136, home-climate-control/dz#102,
dcc-mcp/dcc-mcp-core#1103 (a file of state that was renamed before its content was on the disk keeps everything from
starting); giampaolo/psutil#2138, #1334 (psutil raises where it is imported).
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host import agent, boot
from monitor.core.host import load as host_load
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    host_fixture,
    kill,
    only_supervisor,
    program,
    service_texts,
    wait_for,
)

DAMAGE = {
    "zeros": b"\0" * 200,
    "empty": b"",
    "a list": b"[1]",
    "deep": b"[" * 100_000,
    "other types": b'{"at": "x", "processes": {"1": 5}, "node": 3, "files": 7, "epoch": [], "settings": 3}',
    "no text": b"\xff\xfe\0x\n",
}


def files_of(root: str) -> Iterator[Path]:
    for below in ("etc", "run"):
        for folder, _folders, names in os.walk(os.path.join(root, below)):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path


@only_supervisor
def test_one_damaged_file_keeps_no_host_from_being_looked_at_and_no_other_instance_from_being_acted_on(
    host: Host,
) -> None:
    for name in ("app_01", "app_02"):
        host.define(name, [program("idle", 1)])
        assert host.do("start", name, 1)["result"] == "running"
    host.observe(load=True)
    wish = host.wish("restart", "app_02", 2)
    for path in sorted(files_of(host.root)):
        content = path.read_bytes()
        for kind, damage in DAMAGE.items():
            path.write_bytes(damage)
            what = "%s: %s" % (path.relative_to(host.root), kind)
            seen = agent.handle({"verb": "observe", "host": host.facts, "load": True})
            assert "error" not in seen and set(seen["instances"]) == {"app_01", "app_02"}, what
            answer = agent.handle(
                {"verb": "act", "host": host.facts, "run": "1", "deadline": 10.0, "settle": 0.0, "instances": [wish],
                 "config": {"digest": "x", "files": {}}, "check": True}
            )  # fmt: skip
            if path.name == "host.json":
                assert "host.json is damaged: deploy again" in answer["error"], what
            else:
                assert "error" not in answer, what
        path.write_bytes(content)
    assert host.do("restart", "app_02", 2)["result"] == "running"


@only_supervisor
@pytest.mark.parametrize("kind", ["zeros", "empty", "no text"])
def test_a_service_manager_starts_whatever_was_placed(
    host: Host, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    services = {**service_texts("one"), **service_texts("two")}
    host.prepare(services=services)
    for name in ("app_01", "app_02"):
        host.define(name, [program("idle", 1)])
        assert host.do("start", name, 1)["result"] == "running"
    manager = host.manager_pid()
    kill(manager)
    wait_for(lambda: not host.processes(), "all ended")
    placed = host.placed("app_01")
    placed.write_bytes(DAMAGE[kind])
    Path(host.root, "etc/services/one.ini").write_bytes(DAMAGE[kind])
    assert boot.main(host.root, "start") == 0
    told = capsys.readouterr().err
    if kind != "empty":
        assert "starts without what was placed, which each start places again: supervisord ended" in told
        assert "ended with 2: Error: " in told
        assert "without host services whose files are damaged (one.ini): deploy again" in told
        wait_for(lambda: set(host.observe()["services"]) == {"two"}, "the host service that is sound")
    for name in ("app_01", "app_02"):
        assert host.do("start", name, 2)["result"] == "running"
    host.prepare(services=services)
    wait_for(lambda: set(host.observe()["services"]) == {"one", "two"}, "both host services")


@only_supervisor
def test_a_deploy_mends_a_host_whose_files_are_all_damaged(host: Host) -> None:
    host.define("app_01", [program("idle", 1)])
    assert host.do("start", "app_01", 1)["result"] == "running"
    kill(host.manager_pid())
    wait_for(lambda: not host.processes(), "all ended")
    for path in files_of(host.root):
        path.write_bytes(DAMAGE["zeros"])
    assert boot.main(host.root, "start") == 1
    assert host.prepare()["changed"]
    assert host.do("start", "app_01", 2)["result"] == "running"
    assert not host.prepare()["changed"]


# -- a psutil that does not get on with the machine


@pytest.mark.parametrize("raised", [PermissionError(13, "Permission denied", "/proc/stat"), ZeroDivisionError("x")])
def test_a_psutil_that_raises_is_as_none(raised: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise raised

    broken = types.ModuleType("psutil")
    broken.virtual_memory = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "psutil", broken)
    found = host_load._node(str(tmp_path))
    assert found["total_memory"] > 0 and found["cpus"] >= 1 and found["free_disk"] >= 0
