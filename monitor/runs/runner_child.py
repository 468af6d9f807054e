# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of ansible-runner in a process of its own: `python runner_child.py JOB.json`.

Started by `monitor.runs.runs`. It ends with the monitor and then ends the playbook, which nothing else would end:
ansible-runner starts it with hang-ups ignored. Only a run that is at work when the monitor dies may finish, within its
deadline; else what it began would stay half done until its actor's deadline.

A job is {"playbook", "inventory": [...], "extravars": {...}, "ident", "artifacts", "private", "environment": {...},
"project": the folder it runs in, "deadline": s, "parent": pid, "open_files": its soft limit of them}; the file
`working` beside it says that it is at work. The file `begun` appears there with its first task: Ansible itself is
there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
WORKING = "working"
BEGUN = "begun"


def main(path: str) -> int:
    job: dict[str, Any] = json.loads(Path(path).read_bytes())

    def orphaned(number: int, frame: object) -> None:
        if not Path(path).with_name(WORKING).exists():
            _end(number, frame)
        with contextlib.suppress(OSError):  # nobody hands it another order
            os.unlink(job["extravars"].get("muster_standby_fifo") or "")
        signal.alarm(max(1, int(job["deadline"])))

    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGALRM, _end)
    signal.signal(signal.SIGUSR1, orphaned)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
    if os.getppid() != job["parent"]:
        return 3
    if job.get("open_files"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (job["open_files"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.environ.clear()
    os.environ.update(job["environment"])

    import ansible_runner

    begun = Path(path).with_name(BEGUN)

    def event(said: dict[str, Any]) -> bool:
        if said.get("event") == "playbook_on_task_start" and not begun.exists():
            with contextlib.suppress(OSError):  # a full disk ends no run
                begun.touch()
        return True

    result = ansible_runner.run(
        private_data_dir=job["private"],
        project_dir=job["project"],
        artifact_dir=job["artifacts"],
        ident=job["ident"],
        playbook=job["playbook"],
        inventory=job["inventory"],
        extravars=job["extravars"],
        limit=job.get("limit") or None,
        quiet=True,
        suppress_env_files=True,
        fact_cache_type="",
        event_handler=event,
        cancel_callback=lambda: False,  # without one it takes SIGTERM for itself, and looks at it every 30 s
        settings={"pexpect_timeout": 30, "suppress_ansible_output": True},
    )
    return int(result.rc if result.rc is not None else 1)


def _end(number: int, frame: object) -> None:
    """End the playbook and its workers, then this process.

    A worker has a session of its own and would stay. The commands of a worker on hosts are left alone: they have their
    own deadlines, and a start that is cut in the middle is worse than one whose outcome is not awaited.
    """
    for top in _children(os.getpid()):
        command = _command(top)
        members = [top, *_forks(top, command)]
        for pid in members:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    os._exit(128 + number)


def _forks(pid: int, command: bytes) -> list[int]:
    found = []
    for child in _children(pid):
        if _command(child) == command:
            found += [child, *_forks(child, command)]
    return found


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [
            int(child)
            for task in os.listdir("/proc/%d/task" % pid)
            for child in Path("/proc/%d/task/%s/children" % (pid, task)).read_text().split()
        ]
    return []


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path("/proc/%d/cmdline" % pid).read_bytes()
    return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
