# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One odd host, caller or limit costs itself only.

Sources: an attack on a running demo: a host that lies; 1,100 idle connections, after which probes and runs failed for
want of descriptors; requests with thousands of unknown fields, which delayed the supervision by 138 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.shell.sh import ShellModule

from monitor.base import descriptors
from monitor.core.model import answers
from monitor.core.requests import check
from monitor.judge.hosts import Signal
from monitor.judge.watch_list import WatchedHost
from monitor.watch import host_events
from monitor.watch.host_events import HostEvents
from monitor.watch.lines import SocketLine
from monitor.web.schema import routes
from tests.unit.embedded_site import ROOT

GOOD = {"event": "exited", "instance": "a_01", "program": "p", "epoch": 3, "code": 1, "expected": False, "busy": False}


class Taken(list[dict[str, Any]]):
    """Events that passed, and what was said about the others."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.events = HostEvents("server_2", self.append, self.said.append)


def test_an_event_is_about_the_host_that_it_came_from() -> None:
    taken = Taken()
    taken.events.take(dict(GOOD, host="server_1"))
    assert taken == [dict(GOOD, host="server_2")]


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "3"}, {"epoch": 10**4000}, {"epoch": True}, {"epoch": None}, {"code": "1"}, {"code": 1e300},
        {"instance": "a\x1b[31m"}, {"instance": ["a_01"]}, {"program": "p" * 1000}, {"event": {}}, {"stopped": "all"},
        {"expected": "no"}, {"busy": 1}, {"more": float("nan")}, {"more": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]},
    ],
)  # fmt: skip
def test_an_event_that_does_not_fit_is_left_out_and_told_once(change: dict[str, Any]) -> None:
    taken = Taken()
    for _unused in range(3):
        taken.events.take({**GOOD, **change})
    taken.events.take(GOOD)
    assert len(taken) == 1
    [sentence] = taken.said
    assert sentence.startswith("server_2 answers nonsense: ") and sentence.isprintable()


@pytest.mark.parametrize("event", [None, 3, "exited", [GOOD], {}])
def test_what_is_no_event_is_left_out(event: Any) -> None:
    with pytest.raises(answers.Nonsense):
        answers.event(event, "server_2")


def test_a_flood_of_events_is_cut_and_other_hosts_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_events, "EVENTS", (1e-6, 5.0))
    flooding, quiet = Taken(), Taken()
    for _unused in range(1000):
        flooding.events.take(GOOD)
    quiet.events.take(GOOD)
    assert (len(flooding), len(quiet), len(flooding.said)) == (6, 1, 1)


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """This process may not open any more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    held: list[int] = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def test_without_descriptors_no_host_is_silent_or_gone(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    signals: list[tuple[Signal, str]] = []

    async def scene() -> None:
        (tmp_path / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(tmp_path / "run" / "supervisor.sock"))
            door.listen()
            request.getfixturevalue("no_descriptors")
            host = WatchedHost("server_1", root=str(tmp_path))
            line = SocketLine(host, 0.1, lambda _host, signal, why: signals.append((signal, why)))
            end = time.monotonic() + 60
            while not signals and time.monotonic() < end:
                await asyncio.sleep(0.02)
            line.stop()

    asyncio.run(scene())
    assert signals[0] == (Signal.NONE, "no line to server_1: Too many open files")
    assert descriptors.scarce().startswith("the monitor has no file descriptors left (")


def test_a_body_of_many_errors_is_refused_in_no_time() -> None:
    body = {str(number): 1 for number in range(1000, 7500)}
    problems = check.errors(body, routes.bodies()["WhatIf"])
    assert len(problems) == check.MOST
    long = check.errors({"k" * 60000: 1}, routes.bodies()["WhatIf"])
    assert len(json.dumps(long)) < 5000


DOOR = "sudo -n -- /usr/bin/python3 -I -S /usr/local/libexec/muster-agent-server_1"


def as_ansible_asks(command: str) -> str:
    """What its connection by ssh has the host run (`ActionBase._low_level_execute_command`)."""
    return "/bin/sh -c " + shlex.quote(ShellModule().append_command(command, "sleep 0"))


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        (DOOR, DOOR),
        ("/bin/sh -c '%s'" % DOOR, DOOR),
        (as_ansible_asks(DOOR), DOOR),
        (DOOR + " listen", DOOR + " listen"),
        (None, ""),
        ("", ""),
        ("id", ""),
        (DOOR + "; id", ""),
        (DOOR + "\nid", ""),
        (DOOR + " listen; id", ""),
        (DOOR + " other", ""),
        ("/bin/sh -c 'id'", ""),
        (as_ansible_asks("id"), ""),
        (as_ansible_asks(DOOR + "; id"), ""),
        (DOOR + " && id", ""),
        ("/bin/sh -c '%s' 'id'" % DOOR, ""),
        ("/bin/sh -c '%s'; id ''" % DOOR, ""),
        (DOOR.replace("-I -S", "-c"), ""),
        (DOOR.replace("/usr/local/libexec/muster-agent-server_1", "/tmp/x"), ""),
        (DOOR.replace("sudo -n", "sudo -n -u root"), ""),
        ("sudo -n id", ""),
        ("internal-sftp", ""),
    ],
)
def test_the_monitors_key_opens_the_agents_door_and_nothing_else(asked: str | None, runs: str, tmp_path: Path) -> None:
    """sshd(8), `command=`: what was asked for is in SSH_ORIGINAL_COMMAND."""
    script = ROOT / "roles" / "monitor" / "templates" / "ssh_door.sh.j2"
    fake = tmp_path / "sudo"
    fake.write_text('#!/bin/sh\necho "sudo $*"\n')
    fake.chmod(0o755)
    for name in ("id", "internal-sftp"):
        (tmp_path / name).write_text("#!/bin/sh\necho ran\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path), **({"SSH_ORIGINAL_COMMAND": asked} if asked is not None else {})}
    done = subprocess.run(["/bin/sh", str(script)], env=env, capture_output=True, text=True, timeout=20, check=False)
    if runs:
        assert (done.returncode, done.stdout) == (0, runs + "\n"), done
    else:
        assert (done.returncode, done.stdout) == (126, ""), done
        assert done.stderr == "this key is for the agent of muster only\n"
