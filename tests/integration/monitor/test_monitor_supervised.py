# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor as a program of a real supervisord: it is restarted, however long the cause of its failures lasts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.service.supervisor import orders
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import Host
from tests.integration.local_site import ROOT, wait_for
from tests.integration.process_table import alive

pytestmark = pytest.mark.long

COMES = 90.0  # s; Supervisor waits a second longer after each failed start
WATCH = {"schema": 1, "revision": 1, "site_id": "s", "instances": {}}


def program_section() -> str:
    """The template of the action plugin, which needs Ansible to be loaded."""
    script = "from ansible_collections.control_room.muster.plugins.action import monitor; print(monitor._PROGRAM)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout


class Controller:
    """A host whose supervisord runs a monitor that only watches; its state folder is beside."""

    def __init__(self, folder: Path) -> None:
        self.host = Host("controller", NET + ".42.1", str(folder))
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        (self.state / "watch.json").write_text(json.dumps(WATCH))

    def begin(self) -> None:
        command = ["setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", '[ -d "$0" ] && exec "$@"', str(self.state)]
        command += [sys.executable, "-m", "monitor", "--no-standby"]  # without its folder it ends before it is started
        command += ["--state-dir", str(self.state), "--inventory", "here,"]
        text = program_section().format(
            program="monitor",
            command=orders.quote_command(command),
            directory=str(ROOT),
            environment=orders.quote_environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        )
        self.host.prepare(services={"monitor.ini": {"text": text, "mode": "0640"}})

    @property
    def facts(self) -> dict[str, Any]:
        """What the monitor wrote last."""
        try:
            document: dict[str, Any] = json.loads((self.state / "run" / "monitor.json").read_text())
        except (OSError, ValueError):
            return {}
        return document

    def up(self, but: int = 0) -> int:
        """The process id that a living monitor wrote; 0 while there is none, or it is this one."""
        pid = int(self.facts.get("pid") or 0)
        return pid if pid != but and pid and alive(pid) and self.facts["state"] == "running" else 0

    def watched(self) -> bool:
        """Whether a monitor holds the lock."""
        with (self.state / "run" / "monitor.lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def said(self, words: str) -> int:
        return (Path(self.host.root) / "log" / "supervisord.log").read_text().count(words)

    def log(self) -> str:
        logs = (Path(self.host.root) / "log").glob("*.log")
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in logs)

    def kill(self) -> int:
        pid = self.up()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "its end")
        return pid


@contextlib.contextmanager
def controller(folder: Path) -> Iterator[Controller]:
    one = Controller(folder)
    try:
        one.begin()
        wait_for(one.up, "the monitor", one.log, COMES)
        yield one
    finally:
        one.host.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mu-", ignore_cleanup_errors=True) as name:  # short: it holds a socket
        yield Path(name)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own that can be full."""
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "muster-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[Callable[[], bool]]:
    """A growing file takes all space that becomes free; yields a function that says whether the disk is full."""
    path, ending, rounds = disk / "appender", threading.Event(), [0]

    def append() -> None:
        with path.open("ab", buffering=0) as handle:
            while not ending.is_set():
                try:
                    handle.write(b"x" * 4096)
                except OSError:
                    rounds[0] += 1
                    ending.wait(0.0005)

    thread = threading.Thread(target=append, daemon=True)
    thread.start()
    try:
        yield lambda: rounds[0] > 0
    finally:
        ending.set()
        thread.join()
        path.unlink()


def test_a_monitor_killed_while_the_disk_is_full_comes_back_at_once(small_disk: Path) -> None:
    with controller(small_disk) as one:
        with full(small_disk) as is_full:
            wait_for(is_full, "the disk is full")
            for name in ("monitor.lock", "monitor.pid"):  # what the next one frees is gone before it writes
                os.truncate(one.state / "run" / name, 0)
            before = one.kill()
            wait_for(one.watched, "the next monitor, on the full disk", within=COMES)
            assert not one.up(before)  # it cannot write that it is there
        wait_for(lambda: one.up(before), "its status, once there is room", one.log, COMES)


def test_a_monitor_that_could_not_be_started_for_long_comes_back(folder: Path) -> None:
    with controller(folder) as one:
        away = folder / "away"
        one.state.rename(away)
        pid = int(json.loads((away / "run" / "monitor.json").read_text())["pid"])
        started = one.said("spawned: 'monitor'")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: one.said("spawned: 'monitor'") > started + 4, "many a try", one.log, COMES)
        away.rename(one.state)
        wait_for(lambda: one.up(pid), "the monitor", one.log, COMES)
