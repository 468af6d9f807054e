# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An act over the monitor's line whose other end hangs, dies, floods or lies; and a door that others knock at.

Nothing is done twice, nothing that one act does harms the line, and an outcome that nobody knows is reported as
unknown. Sources: ansible/ansible#79333 (a module that takes long is run again, unseen, after its connection ended),
saltstack/salt#66501 (the answer of a job is gone with the connection that brought it), saltstack/salt#28322 (a note of
a job that died is taken for one that goes on).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import agent, handed
from monitor.core.model.answers import LARGEST
from monitor.watch.line_acts import LineActs
from plugins.plugin_utils import _line_call
from tests.unit.monitor.line_host import HERE, LineHost, until

NOBODY = 65534


@contextlib.contextmanager
def held_up(host: LineHost, instance: str = "app_01") -> Iterator[None]:
    """An act on the instance waits for its lock meanwhile."""
    with (host.root / "run" / "locks" / instance).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def children(pid: int) -> list[int]:
    return [int(word) for word in Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()]


def agent_of(host: LineHost) -> int:
    """The far end of the line, a child of this process."""
    return next(pid for pid in children(os.getpid()) if b"muster_line" in Path("/proc/%d/cmdline" % pid).read_bytes())


def other(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "instances": [{**request["instances"][0], "instance": "app_02"}]}


def test_an_act_that_hangs_keeps_nobody_waiting_and_holds_nothing_of_the_line(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            with held_up(host):
                hanging = await host.give(host.request())
                far = agent_of(host)
                await until(lambda: children(far))
                [child] = children(far)
                await until(lambda: Path("/proc/%d/cwd" % child).readlink() == host.root)
                names = [path.readlink() for path in Path("/proc/%d/fd" % child).iterdir()]
                pipes = [name for name in names if str(name).startswith(("pipe:", "socket:"))]
                assert len(pipes) == 1, names
                assert os.getsid(child) == child != os.getsid(far)
                for _turn in range(3):
                    said = await host.collect(await host.give(other(host.request())))
                    assert said["answer"]["results"]["app_02"]["result"] == "stopped"
            said = await host.collect(hanging)
            assert said["answer"]["results"]["app_01"]["result"] == "stopped"
            await until(lambda: not children(far))

    asyncio.run(scene())


def test_an_act_that_dies_is_told_as_that_and_the_line_lives(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            with held_up(host):
                given = await host.give(host.request())
                far = agent_of(host)
                await until(lambda: children(far))
                os.kill(children(far)[0], signal.SIGKILL)
                assert "without an answer" in (await host.collect(given))["lost"]
            said = await host.collect(await host.give(host.request()))
            assert said["answer"]["results"]["app_01"]["result"] == "stopped"
            assert agent_of(host) == far

    asyncio.run(scene())


def test_an_act_goes_on_when_its_line_ends_and_its_answer_is_fetched_by_command(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            with held_up(host):
                given = await host.give(host.request())
                far = agent_of(host)
                await until(lambda: children(far))
                await until(lambda: (host.root / "run" / "acts" / given["token"]).exists())
                os.kill(far, signal.SIGKILL)
                assert "ended" in (await host.collect(given))["lost"]
                asked = {"verb": "acted", "host": host.facts, "token": given["token"], "within": 20.0}
                late = asyncio.to_thread(agent.handle, {**asked, "within": 0.0})
                assert "still goes on" in (await late)["error"]
            answer = await asyncio.to_thread(agent.handle, asked)
            assert answer["results"]["app_01"]["result"] == "stopped"
            unknown = {**asked, "token": "0" * 32}
            assert "nothing is known" in agent.handle(unknown)["error"]
            assert "no token" in agent.handle({**asked, "token": "../claims/app_01"})["error"]
            await until(lambda: not line.acts.refusal())  # there is another one

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"verb": "prepare"}, "command of its own"),
        ({"verb": "remove"}, "command of its own"),
        ({"config": {"files": {}}}, "command of its own"),
        ({"start_service_manager": True}, "command of its own"),
        ({"host": None}, ""),
    ],
)
def test_a_request_that_must_not_come_this_way_is_refused_by_the_host(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    host = LineHost(tmp_path)
    acts = handed.Handed(host.version, str(host.root), agent.handle, None, str(host.root))
    token = "a" * 32
    said = acts.take({"act": token, "agent": host.version, "request": {**host.request(), **change}})
    assert said["refused"] == token and why in said["why"]
    said = acts.take({"act": token, "agent": "f" * 16, "request": host.request()})
    assert "another version" in said["why"]
    elsewhere = {**host.request(), "host": {**host.facts, "root": "/elsewhere"}}
    assert "not the folder" in acts.take({"act": token, "agent": host.version, "request": elsewhere})["why"]
    assert acts.take({"act": "../x", "agent": host.version, "request": host.request()})["refused"] == ""


class Silent(asyncio.Protocol):
    """The way to a host that takes everything."""


async def hostile(host: LineHost) -> LineActs:
    acts = LineActs("h")
    loop = asyncio.get_running_loop()
    mine, _far = socket.socketpair()
    _unused, writer = await asyncio.open_connection(sock=mine)
    acts.opened(writer)
    acts.beat({"agent": host.version})
    loop.call_soon(lambda: _far)
    return acts


@pytest.mark.parametrize(
    ("says", "lost"),
    [
        (lambda token: [{"part": token, "text": "x" * (1 << 20)}] * 5, "more than %d" % LARGEST),
        (lambda token: [{"part": token, "text": "{"}, {"acted": token}], "no JSON"),
        (lambda token: [{"part": token, "text": "[" * 100_000}, {"acted": token}], "no JSON"),
        (lambda token: [{"part": token, "text": 7}, {"acted": token}], "no JSON"),
        (lambda token: [{"acted": token, "why": "x\x1b[2J" * 1000}], "x"),
        # "refused" after it had begun to answer proves nothing
        (lambda token: [{"part": token, "text": "{"}, {"refused": token, "why": ""}, {"acted": token}], "no JSON"),
        (lambda token: [{"acted": "0" * 32}, {"part": None}, {"acted": [1]}, {"acted": token}], "no JSON"),
    ],
)
def test_a_host_that_answers_nonsense_is_lost_not_believed(
    tmp_path: Path, says: Callable[[str], list[dict[str, Any]]], lost: str
) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        acts = await hostile(host)
        async with host.door(acts):
            given = await host.give(host.request())
            for said in says(given["token"]):
                acts.take(said)
            found = await host.collect(given)
            assert lost in found["lost"] and len(found["lost"]) <= 400 and found["lost"].isprintable()

    asyncio.run(scene())


def test_a_line_that_ended_or_is_silent_takes_nothing_and_what_it_had_is_lost(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        acts = await hostile(host)
        async with host.door(acts):
            given = await host.give(host.request())
            acts.silent()
            assert await host.give(host.request()) == {}
            acts.ended("the line to h ended")
            assert await host.give(host.request()) == {}
            assert (await host.collect(given))["lost"] == "the line to h ended"

    asyncio.run(scene())


def test_a_host_that_froze_in_an_act_is_not_waited_for_until_the_acts_deadline(tmp_path: Path) -> None:
    """As the service manager's silence shows, also where another host on the same machine keeps the line alive."""
    host = LineHost(tmp_path)

    async def scene() -> None:
        acts = await hostile(host)
        async with host.door(acts):
            given = await host.give(host.request())
            host.silent = "no line to h answers"
            assert await host.give(host.request()) == {}
            assert (await host.collect(given, 60.0))["lost"] == host.silent

    asyncio.run(scene())


def test_a_monitor_that_breaks_off_may_have_handed_it_over_and_one_that_is_not_there_has_not(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    place = str(host.state / "run" / "acts.sock")
    acts = {host.name: (HERE, host.request())}
    assert _line_call.give(str(host.state), host.version, acts) == {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(place)
        door.listen()

        def break_off() -> None:
            with door.accept()[0] as run:
                while not run.recv(1 << 16).endswith(b"\n"):
                    pass

        breaker = threading.Thread(target=break_off)
        breaker.start()
        given = _line_call.give(str(host.state), host.version, acts)
        breaker.join()
    assert "did not say" in given[host.name]["lost"]


def test_the_door_is_the_owners_only(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            place = host.state / "run" / "acts.sock"
            assert place.stat().st_mode & 0o777 == 0o600
            if os.geteuid():
                return
            top = Path(tempfile.gettempdir()).resolve()
            for folder in (tmp_path, *[above for above in tmp_path.resolve().parents if top in above.parents]):
                folder.chmod(0o755)
            place.chmod(0o666)  # the mode alone does not decide
            knock = (
                "import socket,sys\nend=socket.socket(socket.AF_UNIX);end.settimeout(10);end.connect(sys.argv[1])\n"
                "try:\n end.sendall(sys.argv[2].encode()+b'\\n');print(end.recv(9))\nexcept OSError:print(b'')\n"
            )
            call = {"give": {"h": {"agent": host.version, "reached": HERE, "request": host.request()}}}
            command = ["/usr/bin/python3", "-c", knock, str(place), json.dumps(call)]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, user=NOBODY, check=False
            )
            assert done.stdout == "b''\n", done

    asyncio.run(scene())


def test_a_run_that_waits_for_a_rollout_observes_over_the_line_too(tmp_path: Path) -> None:
    host = LineHost(tmp_path)

    def observed(version: str) -> dict[str, Any] | None:
        return _line_call.observe(str(host.state), version, HERE, {"host": host.facts, "load": True})

    async def scene() -> None:
        async with host.line() as line, host.door(line.acts):
            seen = await asyncio.to_thread(observed, host.version)
            assert seen is not None and (seen["host"], seen["answer"]) == (host.name, "seen"), seen
            assert await asyncio.to_thread(observed, "another version") is None
        assert await asyncio.to_thread(observed, host.version) is None, "the monitor is gone"

    asyncio.run(scene())
