# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-playbook` for sites that run many playbooks: a process imports Ansible once and forks for each run.

The run itself is that of `ansible-playbook`: `ansible.cli.playbook.main` with the same arguments, in a process of its
own. That saves the imports, a quarter of the processor time of a short run.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path


class WarmPlaybooks:
    """Runs playbooks with one environment; it ends with `close`, or with this process."""

    def __init__(self, environment: dict[str, str], cwd: Path) -> None:
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.warm_playbooks", str(there.fileno())],
                env=environment, cwd=cwd, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def run(self, arguments: list[str], within: float) -> tuple[int, str]:
        """:return: exit status and output. :raises subprocess.TimeoutExpired: after `within` s; the run is killed."""
        with tempfile.TemporaryFile() as said:
            socket.send_fds(self._here, [json.dumps(arguments).encode()], [said.fileno()])
            pid = int(self._here.recv(32))
            self._here.settimeout(within)
            try:
                status = int(self._here.recv(32))
            except TimeoutError:
                os.killpg(pid, signal.SIGKILL)
                self._here.settimeout(None)
                self._here.recv(32)
                raise subprocess.TimeoutExpired(arguments, within) from None
            self._here.settimeout(None)
            said.seek(0)
            return status, said.read().decode(errors="replace")

    def close(self) -> None:
        self._here.close()
        self._parent.kill()
        self._parent.wait()


def _warm() -> None:
    """Modules that every run would load, with the plugins among them, under the names that Ansible's loaders use."""
    for name in (
        "cli.playbook", "executor.module_common", "executor.playbook_executor", "plugins.action.include_vars",
        "plugins.action.normal", "plugins.callback.default", "plugins.connection.local", "plugins.filter.core",
        "plugins.filter.encryption", "plugins.filter.mathstuff", "plugins.filter.urls", "plugins.filter.urlsplit",
        "plugins.inventory.host_list", "plugins.inventory.yaml", "plugins.lookup.env", "plugins.lookup.file",
        "plugins.lookup.first_found", "plugins.lookup.template", "plugins.shell.sh", "plugins.strategy.linear",
        "plugins.test.core", "plugins.test.files", "plugins.test.mathstuff", "plugins.test.uri",
        "plugins.vars.host_group_vars",
    ):  # fmt: skip
        importlib.import_module("ansible." + name)


def _serve(door: socket.socket) -> None:
    while True:
        asked, files, _flags, _address = socket.recv_fds(door, 65536, 1)
        if not asked:
            return
        pid = os.fork()
        if not pid:
            door.close()
            os.setsid()
            os._exit(_play(json.loads(asked), files[0]))
        os.close(files[0])
        door.send(b"%d" % pid)
        _pid, status = os.waitpid(pid, 0)
        door.send(b"%d" % os.waitstatus_to_exitcode(status))


def _play(arguments: list[str], said: int) -> int:
    from ansible import constants
    from ansible.cli.playbook import main

    # Made by the import, removed at the end of a run, and what a run remembers is there.
    constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(dir=Path(constants.DEFAULT_LOCAL_TMP).parent)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.close(said)
    sys.argv = ["ansible-playbook", *arguments]
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        shutil.rmtree(constants.DEFAULT_LOCAL_TMP, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
    return status


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as opened:
        _warm()
        gc.freeze()  # so that forks share it
        _serve(opened)
