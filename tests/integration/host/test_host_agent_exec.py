# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command beside a program: what it has of the program, how it ends, and that nothing of it stays."""

from __future__ import annotations

import base64
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.inside import command as host_command
from tests.integration.host.host_in_a_folder import MANAGER, Host, host_fixture, kill, program, wait_for  # noqa: F401

LOOK = "pwd; umask; cat /proc/self/limits; grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapBnd)' /proc/self/status"
SAME = "cat /proc/self/cgroup; readlink /proc/self/ns/mnt /proc/self/ns/net"


def two(host: Host) -> dict[str, int]:
    colours = {"environment": {"COLOUR": "dark red"}, "umask": "0077", "nice": 3}
    host.define("app_01", [program("bus", 1), program("core", 2, **colours)])
    assert host.do("start", "app_01", 5)["result"] == "running"
    return host.pids("app_01")


def run(host: Host, *words: str, within: float = 60.0, **more: Any) -> dict[str, Any]:
    request = {"instance": "app_01", "program": "core", "epoch": 5, "command": list(words), "within": within, **more}
    answer = host.in_a_process("exec", **request)
    for name in ("out", "err"):
        if name in answer:
            answer[name] = base64.b64decode(answer[name])
    return answer


def test_it_is_like_the_program_and_its_exit_code_is_told(host: Host) -> None:
    pid = two(host)["core"]
    says = 'printf "%s|%s|%s|%s" "$COLOUR" "$MUSTER_PROGRAM" "$MUSTER_EPOCH" "$1"; exit 7'
    came = run(host, "sh", "-c", says, "sh", "$(x)")
    assert (came["code"], came["why"]) == (7, ""), came
    assert came["out"] == b"dark red|core|5|$(x)"
    looks = run(host, "sh", "-c", LOOK)["out"].decode()
    folder, umask, *rest = looks.splitlines()
    assert folder == os.readlink("/proc/%d/cwd" % pid)
    assert int(umask, 8) == 0o077
    status = Path("/proc/%d/status" % pid).read_text().splitlines()
    for line in rest:
        if line.startswith(("Uid", "Gid", "Groups", "NoNewPrivs", "CapBnd")):
            assert [word.split() for word in status if word.startswith(line.split(":")[0] + ":")] == [line.split()]
        elif line.startswith("Max"):
            assert line in Path("/proc/%d/limits" % pid).read_text()
    same = run(host, "sh", "-c", SAME)["out"].decode().splitlines()
    # In a container with version 1 the names of control groups lead nowhere.
    if MANAGER == "systemd" and os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        theirs = Path("/proc/%d/cgroup" % pid).read_text().splitlines()
        [group] = [line for line in theirs if line.startswith("0::")]  # those of version 1 are not shown here
        assert group in same[:-2] and group.endswith(".service"), (theirs, same)
    assert same[-2:] == [os.readlink("/proc/%d/ns/%s" % (pid, name)) for name in ("mnt", "net")]
    assert run(host, "sh", "-c", "cat /proc/self/stat").get("out", b"").split()[18] == b"3", "its priority"


def test_bytes_arrive_as_they_are_and_no_more_than_fits(host: Host) -> None:
    two(host)
    came = run(host, "sh", "-c", r"printf '\000\377\033[2J'; echo wrong >&2")
    assert (came["out"], came["err"], came["left_out"]) == (b"\0\xff\x1b[2J", b"wrong\n", [0, 0])
    much = run(host, "head", "-c", "1000000", "/dev/zero")
    assert len(much["out"]) == host_command.MOST_BYTES
    assert much["left_out"] == [1000000 - host_command.MOST_BYTES, 0] and much["code"] == 0


def test_what_does_not_end_is_killed_and_nothing_stays(host: Host) -> None:
    two(host)
    late = run(host, "sh", "-c", "echo begun; sleep 1234 & sleep 1235", within=0.5)
    assert (late["code"], late["out"]) == (host_command.LATE, b"begun\n")
    assert "did not end within 0.5 s" in late["why"]
    left = run(host, "sh", "-c", "setsid sleep 1236 & echo over")
    assert (left["code"], left["out"]) == (0, b"over\n")
    for number in (b"1234", b"1235", b"1236"):
        found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\0" + number in content(path)]
        assert found == []


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_cannot_be_started_says_why(host: Host) -> None:
    two(host)
    missing = run(host, "no-such-program")
    assert (missing["code"], missing["why"]) == (127, "no-such-program: No such file or directory")
    assert run(host, "/etc/hostname")["code"] == 126
    assert run(host, "sh", "-c", "kill -9 $$")["code"] == 128 + 9


@pytest.mark.parametrize("other", [{"epoch": 4}, {"program": "edge"}, {"instance": "app_02"}])
def test_beside_what_does_not_run_nothing_is_run(host: Host, other: dict[str, Any]) -> None:
    two(host)
    assert "does not run on server_1" in run(host, "touch", host.root + "/pwned", **other)["error"]
    assert not os.path.exists(host.root + "/pwned")


def test_a_stop_ends_it_and_a_look_does_not_take_it_for_the_program(host: Host) -> None:
    before = two(host)
    answers: list[dict[str, Any]] = []
    mark = Path(host.root, "var/begun")
    words = ("sh", "-c", 'touch "$1"; sleep 120', "sh", str(mark))
    running = threading.Thread(target=lambda: answers.append(run(host, *words)))
    running.start()
    try:
        wait_for(mark.exists, "the command runs")
        assert host.pids("app_01") == before
        kill(before["core"], signal.SIGKILL)
        wait_for(lambda: "core" not in host.pids("app_01"), "the program is known to have ended")
        assert host.do("stop", "app_01", 5)["result"] == "stopped"
        assert host.processes("app_01") == []
    finally:
        running.join(60)
    assert answers[0]["code"] in (128 + 15, 128 + 9), answers
