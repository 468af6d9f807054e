# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests look with: a process whose process id another one had before is seen from its first moment on."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration import process_table
from tests.integration.local_site import wait_for
from tests.integration.process_table import sweep

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
ROOT = "/nowhere/muster_process_table/m/"
VARIABLES = {"MUSTER_ROOT": ROOT + "h", "MUSTER_INSTANCE": "i", "MUSTER_HOST": "h", "MUSTER_EPOCH": "3"}


def begin(pid: int) -> tuple[int, int]:
    """Fork a child with this process id, as far as nobody else takes it: it executes when its pipe is written to.

    :return: (process id, write end of the pipe).
    """
    wait, go = os.pipe()
    LAST_PID.write_text(str(pid - 1))
    child = os.fork()
    if child == 0:
        os.read(wait, 1)
        os.execve("/bin/sleep", ["sleep", "60"], VARIABLES)
    os.close(wait)
    return child, go


def executed(pid: int) -> bool:
    return b"muster_process_table" in Path("/proc/%d/environ" % pid).read_bytes()


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="only root chooses process ids")
def test_a_process_id_that_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_table, "SETTLED", 0.0)
    monkeypatch.setattr(process_table, "AGAIN", 3600.0)
    for _try in range(20):
        stranger = subprocess.Popen(["/bin/sleep", "60"])
        sweep(ROOT)
        monkeypatch.setattr(process_table, "AGAIN", 0.0)
        time.sleep(0.01)
        sweep(ROOT)
        monkeypatch.setattr(process_table, "AGAIN", 3600.0)
        stranger.kill()
        stranger.wait()
        sweep(ROOT)
        child, go = begin(stranger.pid)
        try:
            if child != stranger.pid:
                continue
            assert sweep(ROOT) == []  # between fork and exec
            os.write(go, b"x")
            wait_for(functools.partial(executed, child), "the child has executed")
            assert [p.pid for p in sweep(ROOT)] == [child]
            return
        finally:
            os.close(go)
            end(child)
    pytest.skip("another process took the process id each time")
