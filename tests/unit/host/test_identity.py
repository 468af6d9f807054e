# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are those of an instance: real processes, with this one in the place of the service manager."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.machine import instance_files, procs, starts
from monitor.core.host.service import identity
from monitor.core.host.service.choose import manager_of

PERL = "/usr/bin/perl"


class Host:
    """A folder with the record of a start, and programs that are children of this process."""

    def __init__(self, root: str) -> None:
        for folder in ("run/starts", "run/claims", "run/locks", "var/app_01"):
            os.makedirs(os.path.join(root, folder))
        self.root = root
        self.manager = manager_of({"host": "h", "site_id": "t-%d" % os.getpid(), "root": root, "user": "root",
                                   "service_manager": "supervisor", "address": "127.0.0.1"})
        self.record = starts.begin(root, "app_01", 3, True)
        instance_files.write_claim(root, "app_01", 3, {starts.KEY: self.record.key})
        self.started: list[subprocess.Popen[bytes]] = []

    def labels(self, **changed: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "MUSTER_SITE": self.manager.host["site_id"], "MUSTER_HOST": "h",
                "MUSTER_INSTANCE": "app_01", "MUSTER_PROGRAM": "acq", "MUSTER_ITEM": "01", "MUSTER_EPOCH": "3",
                **changed}

    def run(self, *command: str, recorded: bool = True, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **{"env": self.labels(MUSTER_START=self.record.key),
                                               "start_new_session": True, "cwd": "/", **options})
        self.started.append(process)
        found = procs.stat(process.pid)
        if recorded and found is not None:
            self.record.add(self.root, {"acq": (process.pid, found.started)})
        return process

    def look(self, alone: bool = False) -> identity.Look:
        """:param alone: as after the death of the service manager."""
        return identity.Look(self.manager, 0 if alone else os.getpid())

    def close(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


@pytest.fixture(name="host")
def host_fixture(tmp_path: Path) -> Iterator[Host]:
    host = Host(str(tmp_path))
    try:
        yield host
    finally:
        host.close()


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + 80
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)
    return condition()


def title(pid: int) -> bytes:
    return procs.read_file("/proc/%d/cmdline" % pid).strip(b"\0 ")


@pytest.mark.parametrize("alone", [False, True])
def test_a_program_without_environment_is_known_by_its_record_and_its_child_by_descent(host: Host, alone: bool) -> None:
    parent = host.run(PERL, "-e", "$0 = 'parent'; if (!fork) { setpgrp; $0 = 'child'; sleep 1000 } sleep 1000")
    wait_for(lambda: [title(child) for child in procs.children(parent.pid)] == [b"child"])
    found = {process.pid: process for process in host.look(alone).of("app_01")}
    assert set(found) == {parent.pid, *procs.children(parent.pid)}
    assert {process.epoch for process in found.values()} == {3}
    assert [pid for pid, process in found.items() if process.main] == ([] if alone else [parent.pid])
    assert procs.executed(parent.pid, os.getpid(), 3)


def test_a_program_that_has_made_its_name_empty_is_executed_and_one_that_has_ended_is_not(host: Host) -> None:
    nameless = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'', 0, 0, 0); time.sleep(1000)"
    program = host.run("/usr/bin/python3", "-c", nameless)
    wait_for(lambda: procs.read_file("/proc/%d/comm" % program.pid) == b"\n")
    assert procs.executed(program.pid, os.getpid(), 3)
    program.kill()
    program.wait()
    assert not procs.executed(program.pid, os.getpid(), 3)


def test_a_pid_that_was_used_again_is_not_the_recorded_process(host: Host) -> None:
    other = host.run("sleep", "1000", env={}, recorded=False)
    found = procs.stat(other.pid)
    assert found is not None
    host.record.add(host.root, {"acq": (other.pid, found.started - 1)})
    assert host.look(alone=True).of("app_01") == []
    procs.send(other.pid, signal.SIGKILL, found.started - 1)
    assert procs.alive(other.pid), "a signal for another process"
    procs.send(other.pid, signal.SIGKILL, found.started)
    assert other.wait(10) == -signal.SIGKILL


def test_descendants_are_known_by_the_group_of_a_program_that_has_ended(host: Host) -> None:
    parent = host.run(PERL, "-e", "$0 = 'parent'; if (!fork) { $0 = 'child'; sleep 1000 } sleep 1000")
    [child] = wait_for(lambda: [c for c in procs.children(parent.pid) if title(c) == b"child"])
    parent.kill()
    parent.wait()
    assert [process.pid for process in host.look(alone=True).of("app_01")] == [child]


def test_what_shows_the_key_of_the_start_descends_from_it_and_what_shows_labels_alone_does_not(host: Host) -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '1000'], start_new_session=True, stdout=2).pid)"
    pids = []
    for key in (host.record.key, "0" * 24):
        made = subprocess.run(["/usr/bin/python3", "-c", script], env=host.labels(MUSTER_START=key), check=True,
                              stdout=subprocess.PIPE, text=True)
        pids.append(int(made.stdout))
    try:
        look = host.look(alone=True)
        assert [process.pid for process in look.of("app_01")] == pids[:1]
        user = pwd.getpwuid(os.geteuid()).pw_name
        assert look.strangers == ["processes of the user %s say that they are app_01: muster did not start them" % user]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a process of another user")
@pytest.mark.parametrize("labels", [
    {"MUSTER_EPOCH": "²"}, {"MUSTER_EPOCH": "9" * 4301}, {"MUSTER_EPOCH": "\u0661"}, {"MUSTER_EPOCH": "-7"},
    {"MUSTER_INSTANCE": "../../etc/passwd"}, {"MUSTER_INSTANCE": "\x1b[2J\n"}, {"MUSTER_PROGRAM": "\x07" * 9000},
    {"MUSTER_ITEM": "", "MUSTER_INSTANCE": "acq_h"}])
def test_a_process_of_another_user_counts_for_nothing_whatever_its_labels_are(
    host: Host, labels: dict[str, str]
) -> None:
    from monitor.core.host.service.supervisor import daemon

    nobody = pwd.getpwnam("nobody")
    fake = subprocess.Popen(["sleep", "1000"], env=host.labels(MUSTER_START=host.record.key, **labels), cwd="/",
                            user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    try:
        look = host.look(alone=True)
        assert look.processes == []
        [sentence] = look.strangers
        assert "nobody" in sentence and sentence.isprintable() and len(sentence) < 300
        assert daemon.find([procs.Process(fake.pid, {})], host.root) == 0
    finally:
        fake.kill()
        fake.wait()


def test_a_hidden_descendant_is_remembered_for_the_time_after_its_parent(host: Host) -> None:
    script = "use POSIX; $0 = 'parent'; if (!fork) { setsid; $0 = 'child'; sleep 1000 } sleep 1000"
    parent = host.run(PERL, "-e", script)
    [child] = wait_for(lambda: [c for c in procs.children(parent.pid) if title(c) == b"child"])
    host.look().remember()
    parent.kill()
    parent.wait()
    try:
        assert [process.pid for process in host.look(alone=True).of("app_01")] == [child]
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("content", [
    "", "{", "[]", '{"epoch": "x"}', '{"epoch":1,"key":"","programs":{"a":5},"others":[]}'])
def test_a_damaged_record_counts_as_none(host: Host, content: str) -> None:
    Path(host.root, "run/starts/app_01.json").write_text(content)
    assert starts.read(host.root, "app_01").epoch == -1 and starts.read_all(host.root) == []
    assert host.look(alone=True).processes == []


def test_each_rank_adds_to_the_record_and_what_a_full_disk_cut_short_counts_for_nothing_else(host: Host) -> None:
    record = starts.begin(host.root, "app_01", 4, True)
    for number, name in enumerate(("a", "b", "c")):
        record.add(host.root, {name: (100 + number, 7)})
        if name == "b":
            with open(host.root + "/run/starts/app_01.json", "ab") as handle:
                handle.write(b'\n{"programs":{"x')
    found = starts.read(host.root, "app_01")
    assert (found.epoch, found.key) == (4, record.key)
    assert found.programs == {"a": (100, 7), "b": (101, 7), "c": (102, 7)}
    found.others = {(5, 6)}
    found.write(host.root)
    again = starts.read(host.root, "app_01")
    assert (again.programs, again.others) == (found.programs, {(5, 6)})
    assert starts.begin(host.root, "app_01", 4, False).key == record.key
    assert starts.begin(host.root, "app_01", 5, True).programs == {} == starts.read(host.root, "app_01").programs


@pytest.mark.parametrize("text, expected", [("0", 0), ("12", 12), ("", -1), ("²", -1), ("\u0661", -1), ("9" * 16, -1),
                                            ("9" * 4301, -1), ("1\n", -1), (" 1", -1), ("+1", -1)])
def test_only_plain_digits_are_a_number(text: str, expected: int) -> None:
    assert procs.number(text) == expected
