# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-playbook` for a site that runs many playbooks: one process imports Ansible and forks for each run.

A run is what the program would be: `ansible.cli.playbook.main` in a process of its own, with the same arguments, which
`/proc` shows, the same environment, and temporary files and random numbers of its own. Only the import is shared, a
third of the processor time of a short run. Nothing but the runs mentions the folder of the site.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("ansible-playbook"))
ROOM = 2048  # bytes for the arguments of a run


class WarmPlaybooks:
    """Runs playbooks, one at a time, with one environment. The process ends with `close`, or with this one."""

    def __init__(self, environment: Mapping[str, str], folder: Path, cwd: Path) -> None:
        self.environment = dict(environment)
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        known = {name: value for name, value in environment.items() if str(folder) not in value}
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.warm_playbooks", str(there.fileno()), " " * ROOM],
                env=known, cwd=cwd, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._here.send(json.dumps(self.environment).encode())

    def run(self, arguments: list[str], within: float) -> tuple[int, str]:
        """:return: exit status and output. :raises subprocess.TimeoutExpired: after `within` s; the run is killed."""
        with tempfile.TemporaryFile() as said:
            socket.send_fds(self._here, [json.dumps(arguments).encode()], [said.fileno()])
            pid = int(self._here.recv(32))
            self._here.settimeout(within)
            try:
                status = int(self._here.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._here.settimeout(None)
                self._here.recv(32)
                raise subprocess.TimeoutExpired(arguments, within) from None
            self._here.settimeout(None)
            said.seek(0)
            return status, said.read().decode(errors="replace")

    def close(self) -> None:
        self._here.close()
        self._process.kill()
        self._process.wait()


def _serve(door: socket.socket) -> None:
    os.environ.clear()
    os.environ.update(json.loads(door.recv(1 << 20)))
    import ansible.cli.playbook  # with the environment of the runs, which its settings depend on
    import ansible.executor.module_common
    import ansible.executor.playbook_executor  # noqa: F401 - all that every run imports

    gc.freeze()  # so that forks share it
    while True:
        asked, files, _flags, _address = socket.recv_fds(door, 1 << 16, 1)
        if not asked:
            return
        pid = os.fork()
        if not pid:
            door.close()
            os.dup2(files[0], 1)
            os.dup2(files[0], 2)
            os.close(files[0])
            _play(json.loads(asked))
        os.close(files[0])
        door.send(b"%d" % pid)
        _pid, status = os.waitpid(pid, 0)
        door.send(b"%d" % os.waitstatus_to_exitcode(status))


def _play(arguments: list[str]) -> None:
    """The run; does not return."""
    from ansible import constants
    from ansible.cli.playbook import main
    from ansible.config.manager import cleanup_tmp_file

    status = 1
    try:
        _name([sys.executable, PROGRAM, *arguments])
        random.seed()
        # As the import does it, for the process that imported.
        atexit.unregister(cleanup_tmp_file)
        beside = Path(constants.DEFAULT_LOCAL_TMP).parent
        beside.mkdir(0o700, parents=True, exist_ok=True)
        constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(prefix="ansible-local-%d" % os.getpid(), dir=beside)
        atexit.register(cleanup_tmp_file, constants.DEFAULT_LOCAL_TMP, warn=True)
        sys.argv = [PROGRAM, *arguments]
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _name(words: list[str]) -> None:
    """Show these arguments in /proc, where those of the process that imported were."""
    start, end = (int(word) for word in Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    text = b"".join(word.encode() + b"\0" for word in words)
    ctypes.memmove(start, text[: end - start - 1].ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as opened:
        _serve(opened)
