# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are those of an instance, whatever their environment shows.

Programs that rewrite their title lose their environment in /proc: redis/redis#5329, dvarrazzo/py-setproctitle#15,
benoitc/gunicorn#2321, ray-project/ray#15061, falcosecurity/libs#988. The kernel hides that of programs with
capabilities, setuid programs and those that are not dumpable: dotnet/diagnostics#4898, Umio-Yasuno/amdgpu_top#114.
Programs that fork twice leave their manager: Supervisor/supervisor#1101. Pids are used again: giampaolo/psutil#286.

What is expected is read from the process table by a mark in the command line, not from what muster reports.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host.machine import procs, starts
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    answer_of,
    host_fixture,
    kill,
    only_supervisor,
    program,
    wait_for,
)

PERL = "/usr/bin/perl"
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = pwd.getpwnam("nobody")
_WAIT = "sleep 1 while 1;"
_UNDUMPABLE = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); time.sleep(1e6)"

# Every program creates this file's name in its own arguments or title, so that the process table alone finds it.
HIDDEN = {
    "title": [PERL, "-e", '$0 = "MARK: idle"; ' + _WAIT],
    "title before all else": [PERL, "-e", 'BEGIN { $0 = "MARK" } ' + _WAIT],
    "title and a child with one": [PERL, "-e", '$0 = "MARK parent"; unless (fork) { $0 = "MARK child"; %s } %s' % (
        _WAIT, _WAIT)],
    "title, then a daemon of its own": [PERL, "-e", (
        'use POSIX; $0 = "MARK parent"; unless (fork) { setsid; exit if fork; $0 = "MARK daemon"; chdir "/"; %s } %s'
    ) % (_WAIT, _WAIT)],
    "no environment": ["/usr/bin/env", "-i", SYSTEM_PYTHON, "-c", "import time; time.sleep(1e6)", "MARK"],
    "another program in its place": [PERL, "-e", '%ENV = (); exec "sh", "-c", "while :; do sleep 1; done", "MARK"'],
    "not dumpable": [SYSTEM_PYTHON, "-c", _UNDUMPABLE, "MARK"],
    "another user": [SYSTEM_PYTHON, "-c", "import os, time; os.setgid(%d); os.setuid(%d); time.sleep(1e6)" % (
        NOBODY.pw_gid, NOBODY.pw_uid), "MARK"],
    "ignores SIGTERM under another title": [PERL, "-e", '$SIG{TERM} = "IGNORE"; $0 = "MARK"; ' + _WAIT],
}


def marked(mark: str) -> list[int]:
    """Live processes with this mark in their command line, from the process table alone."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes() and procs.alive(int(entry.name)):
                    found.append(int(entry.name))
    return sorted(found)


@pytest.fixture(name="mark")
def mark_fixture() -> Iterator[str]:
    """A text that no other process has; what still shows it at the end is killed."""
    mark = "mark-%d-%d" % (os.getpid(), time.monotonic_ns())
    yield mark
    for pid in marked(mark):
        kill(pid)


def command(of: str, mark: str) -> list[str]:
    return [word.replace("MARK", mark) for word in HIDDEN[of]]


def written(host: Host) -> dict[str, list[int]]:
    """The record of the start."""
    return {name: list(what) for name, what in starts.read(host.root, "app_01").programs.items()}


@pytest.mark.parametrize("of", HIDDEN)
def test_a_program_whose_environment_is_not_there_is_started_seen_restarted_and_stopped(
    host: Host, mark: str, of: str
) -> None:
    host.define("app_01", [program("acq", 1, command(of, mark), required=True, stop_timeout=1), program("late", 2)])
    started = host.do("start", "app_01", 1)
    assert (started["result"], started["started"]) == ("running", ["acq", "late"]), started
    wait_for(lambda: marked(mark), "the program shows its mark")
    first = marked(mark)
    seen = host.observe()["instances"]["app_01"]
    assert seen["epochs"] == [1] and set(seen["programs"]) == {"acq", "late"}
    assert seen["programs"]["acq"]["pid"] == written(host)["acq"][0]
    assert not host.do("start", "app_01", 1)["changed"], "it runs already"
    assert host.do("restart", "app_01", 2)["result"] == "running"
    assert not set(first) & set(marked(mark)), "the first copy lives on"
    wait_for(lambda: marked(mark), "the second copy shows its mark")
    assert host.observe()["instances"]["app_01"]["epochs"] == [2]
    assert host.do("stop", "app_01", 2)["result"] == "stopped"
    assert marked(mark) == []
    assert host.observe()["instances"] == {} and not Path(host.root, "run/starts/app_01.json").exists()


@only_supervisor  # systemd ends the whole control group with its main process
def test_a_hidden_child_that_outlived_its_parent_is_known_from_an_earlier_look(host: Host, mark: str) -> None:
    text = 'use POSIX; $0 = "MARK parent"; unless (fork) { setsid; chdir "/"; $0 = "MARK child"; %s } %s'
    for name in ("app_01", "app_02"):
        host.define(name, [program("acq", 1, [PERL, "-e", (text % (_WAIT, _WAIT)).replace("MARK", mark + name)])])
        host.do("start", name, 1)
        wait_for(lambda name=name: len(marked(mark + name)) == 2, "parent and child show their mark")
    host.observe()
    [parent] = host.pids("app_01").values()
    [child] = set(marked(mark + "app_01")) - {parent}
    kill(parent)
    wait_for(lambda: not host.pids("app_01"), "the parent is gone")
    assert host.observe()["instances"]["app_01"]["strays"] == [child]
    others = marked(mark + "app_02")
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert marked(mark + "app_01") == [] and marked(mark + "app_02") == others


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal by now."""
    status = Path("/proc/%d/status" % pid).read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_an_environment_that_becomes_unreadable_later_changes_nothing(host: Host, mark: str) -> None:
    text = '$SIG{USR1} = sub { $0 = "%s idle" }; $x = "%s"; %s' % (mark, mark, _WAIT)
    host.define("app_01", [program("acq", 1, [PERL, "-e", text])])
    host.do("start", "app_01", 1)
    before = host.observe()["instances"]["app_01"]["programs"]
    wait_for(lambda: catches(before["acq"]["pid"], signal.SIGUSR1), "it is at work")
    os.kill(before["acq"]["pid"], signal.SIGUSR1)
    wait_for(lambda: not procs.environment(before["acq"]["pid"]), "its title is over its environment")
    assert host.observe()["instances"]["app_01"]["programs"] == before
    assert host.do("stop", "app_01", 1)["result"] == "stopped" and marked(mark) == []


@only_supervisor
def test_what_outlived_its_service_manager_is_known_and_stopped(host: Host, mark: str) -> None:
    """The kernel forgets that a program is to die with supervisord when the program changes its user."""
    text = "import os, time, ctypes; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); os.environ.clear(); os.execv(%r, [%r, %r])"
    host.define("app_01", [program("acq", 1, [
        SYSTEM_PYTHON, "-c", text % (PERL, "perl", '-e$0 = "%s"; %s' % (mark, _WAIT))])])
    host.do("start", "app_01", 1)
    [pid] = host.pids("app_01").values()
    wait_for(lambda: procs.read_file("/proc/%d/cmdline" % pid).strip(b"\0 ") == mark.encode(), "it has its title")
    manager = host.manager_pid()
    kill(manager)
    wait_for(lambda: not procs.alive(manager), "supervisord is gone")
    assert procs.alive(pid)
    seen = host.observe()["instances"]["app_01"]
    assert (seen["epochs"], seen["strays"]) == ([1], [pid])
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert not procs.alive(pid) and marked(mark) == []


@only_supervisor
def test_a_program_that_was_started_by_hand_is_known_by_the_service_manager(host: Host, mark: str) -> None:
    host.define("app_01", [program("bus", 1), program("acq", 0, command("title", mark))])
    host.do("start", "app_01", 3)
    assert "started" in host.ctl("start", "app_01:acq").stdout
    wait_for(lambda: marked(mark), "it shows its mark")
    seen = host.observe()["instances"]["app_01"]
    assert set(seen["programs"]) == {"acq", "bus"} and seen["epochs"] == [3]
    assert host.do("stop", "app_01", 3, programs=[])["result"] == "stopped"
    assert marked(mark) == []


def test_an_agent_that_was_killed_during_a_start_is_followed_by_one_that_knows_the_program(
    host: Host, mark: str
) -> None:
    host.define("app_01", [program("acq", 1, command("title before all else", mark), required=True),
                           program("check", 2, ["dummy/gate"], wait_exit=True), program("late", 3)])
    first = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: host.observe()["instances"].get("app_01", {"programs": {}})["programs"].get("check"), "the gate")
    kill(first.pid)
    first.wait()
    host.open_gate()
    assert host.do("start", "app_01", 1)["result"] == "running"
    assert len(marked(mark)) == 1, "a second copy"
    assert host.do("stop", "app_01", 1)["result"] == "stopped" and marked(mark) == []


def forged(host: Host, mark: str, epoch: str, script: str = "", **extra: str) -> subprocess.Popen[bytes]:
    """A process of nobody with the labels of app_01 on this host."""
    variables = {"MUSTER_SITE": host.facts["site_id"], "MUSTER_HOST": host.facts["host"], "MUSTER_INSTANCE": "app_01",
                 "MUSTER_PROGRAM": "bus", "MUSTER_ITEM": "01", "MUSTER_EPOCH": epoch, "MUSTER_ROOT": host.root, **extra}
    script = script or "trap '' TERM; while :; do sleep 0.2; done"
    return subprocess.Popen(["/bin/sh", "-c", script, mark], env={"PATH": "/usr/bin:/bin", **variables}, cwd="/",
                            user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[], start_new_session=True)


RESPAWN = """trap '' TERM
child() { trap '' TERM; while :; do sleep 0.1; done; }
for n in 1 2 3 4 5 6 7 8; do (while :; do child & wait $!; done) & done
wait"""
FORGED = {
    "superscript": {"epoch": "²"}, "4301 digits": {"epoch": "9" * 4301}, "negative": {"epoch": "-1"},
    "the right epoch": {"epoch": "1"}, "a later epoch": {"epoch": "99"},
    "Arabic digits": {"epoch": "\u0661"}, "a path": {"epoch": "1", "MUSTER_INSTANCE": "../../etc/passwd"},
    "a terminal's commands": {"epoch": "1", "MUSTER_INSTANCE": "\x1b[2Japp_01\n", "MUSTER_PROGRAM": "\x07" * 9000},
    "a pid of its own": {"epoch": "1", "MUSTER_PID": "1"},
    "nothing": {"epoch": "", "MUSTER_INSTANCE": ""},
    "a host service": {"epoch": "", "MUSTER_ITEM": "", "MUSTER_INSTANCE": "bus_server_1"},
    "children that are started again": {"epoch": "1", "script": RESPAWN},
}


@pytest.mark.parametrize("of", FORGED)
def test_processes_of_a_stranger_with_our_labels_change_nothing(host: Host, mark: str, of: str) -> None:
    fakes = forged(host, mark, **FORGED[of])
    try:
        wait_for(lambda: marked(mark), "the stranger is there")
        host.define("app_01", [program("bus", 1, required=True), program("core", 2)])
        assert host.observe()["instances"] == {} and host.observe()["services"] == {}
        assert host.do("start", "app_01", 1)["result"] == "running"
        seen = host.observe()
        assert seen["service_manager"] == "running"
        assert seen["instances"]["app_01"]["epochs"] == [1] and seen["instances"]["app_01"]["strays"] == []
        told = [phrase for phrase in seen["foreign"] if "nobody" in phrase]
        assert len(told) == (of != "nothing") and all(t.isprintable() and len(t) < 300 for t in told), told
        mine = set(host.pids("app_01").values())
        assert len(mine) == 2 and not mine & set(marked(mark))
        assert host.do("start", "app_01", 1)["changed"] is False
        assert host.do("restart", "app_01", 2)["result"] == "running"
        began = time.monotonic()
        assert host.do("stop", "app_01", 2)["result"] == "stopped"
        assert time.monotonic() - began < 10, "it waited for the stranger"
        assert host.observe()["instances"] == {}
        assert fakes.poll() is None, "a process of somebody else was killed"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(fakes.pid, signal.SIGKILL)
        fakes.wait()


@only_supervisor
def test_a_stranger_is_not_taken_for_the_service_manager(host: Host, mark: str) -> None:
    kill(host.manager_pid())
    wait_for(lambda: host.observe()["service_manager"] == "stopped", "supervisord is gone")
    fake = forged(host, "supervisord-" + mark, "", MUSTER_INSTANCE="", MUSTER_ITEM="")
    try:
        wait_for(lambda: marked(mark), "the stranger is there")
        assert host.observe()["service_manager"] == "stopped"
    finally:
        fake.kill()
        fake.wait()


@only_supervisor
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a host to an ordinary account, and capabilities to a program")
@pytest.mark.parametrize("how", ["capabilities", "setuid", "not dumpable", "not dumpable later"])
def test_programs_that_the_kernel_hides_from_an_ordinary_account(mark: str, how: str) -> None:
    folder = Path("/var/tmp/mu-%s" % mark[-12:])
    folder.mkdir()
    folder.chmod(0o755)
    sleep = folder / ("sleep-" + mark)
    shutil.copy("/bin/sleep", sleep)
    sleep.chmod(0o755)
    if how == "capabilities":
        subprocess.run(["setcap", "cap_net_raw+ep", sleep], check=True)
    elif how == "setuid":
        sleep.chmod(0o4755)
    wish = [str(sleep), "1000"]
    if how.startswith("not dumpable"):
        wait = "time.sleep(0.2); " if how.endswith("later") else ""
        wish = [SYSTEM_PYTHON, "-c", "import time; " + wait + _UNDUMPABLE, mark]
    script = """
import os, sys
os.setgroups([]); os.setgid({gid}); os.setuid({uid})
sys.path.insert(0, {repository!r})
os.environ["HOME"] = {folder!r}
sys.path.insert(1, {packages!r})
from tests.integration.host.host_in_a_folder import Host, program
import json, time
host = Host(folder={folder!r} + "/h")
host.facts["user"] = ""
host.prepare(environment={{"PYTHONPATH": {packages!r}}})
result = []
try:
    host.define("app_01", [program("acq", 1, {wish!r}, required=True, stop_timeout=1)])
    for act, epoch in (("start", 1), ("start", 1), ("restart", 2), ("stop", 2)):
        done = host.do(act, "app_01", epoch)
        time.sleep(0.3)
        seen = host.observe()["instances"].get("app_01", {{}})
        result.append([done["result"], done["reason"], seen.get("epochs"), sorted(seen.get("programs", {{}}))])
        found = os.popen("pgrep -fc '^[^ ]*(sleep-|python3 .*){mark}'").read()
        result[-1].append(int(found) - 1)  # without this one
finally:
    print("RESULT", json.dumps(result))
    host.close()
"""
    (folder / "h").mkdir()
    os.chown(folder / "h", NOBODY.pw_uid, NOBODY.pw_gid)
    try:
        text = script.format(uid=NOBODY.pw_uid, gid=NOBODY.pw_gid, folder=str(folder), wish=wish, mark=mark,
                             packages=str(Path(pytest.__file__).resolve().parents[1]),
                             repository=str(Path(__file__).resolve().parents[2]))
        done = subprocess.run(
            [SYSTEM_PYTHON, "-c", text],
            capture_output=True, text=True, timeout=120, check=False, cwd="/")
        [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")] or [done.stderr]
        assert line.startswith("RESULT"), line
        assert json.loads(line[7:]) == [
            ["running", "", [1], ["acq"], 1], ["running", "", [1], ["acq"], 1],
            ["running", "", [2], ["acq"], 1], ["stopped", "", None, [], 0]], done.stderr
        assert marked(mark) == []
    finally:
        shutil.rmtree(folder)


def test_an_answer_of_the_agent_is_not_lost_to_one_odd_process(host: Host, mark: str) -> None:
    """As the installed agent, in a process of its own: what ended it was an exception out of the look."""
    fake = forged(host, mark, "9" * 4301)
    try:
        host.define("app_01", [program("bus", 1)])
        assert answer_of(host.agent_act(host.wish("start", "app_01", 1)))["results"]["app_01"]["result"] == "running"
    finally:
        fake.kill()
        fake.wait()
