# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: systemd as process 1 of a systemd-nspawn container with a network namespace and a cgroup of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from tests.lab.names import LabError, Names

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PID_FILE = "nspawn.pid"  # in the host's folder
ENDS_WITHIN = 10.0  # s until a killed host must be gone
# Joins the cgroups whose process files come first, then becomes the command: before it has any child.
_JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'
# Debian 13's systemd boots on cgroups of version 1, as this machine may have, only with this; others ignore it.
_LEGACY = ("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",)


class Machine:
    """The power switch of a host, and the way into it past the network."""

    def __init__(self, names: Names, host: str) -> None:
        self.name = host
        self._names = names
        self._folder = names.of(host)
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self, binds: Iterable[str] = ()) -> None:
        """Power on; `Lab.boot` waits until it answers."""
        files = join(f"{self._names.cgroup}/{self.name}")
        root, namespace = self._folder / "root", self._names.namespace(self.name)
        nspawn = [
            "systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={hostname(self.name)}",
            "--boot", "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe", "--resolv-conf=off",
            "--timezone=off", "--settings=no", f"--network-namespace-path=/run/netns/{namespace}",
            f"--bind={self._folder / 'opt'}:/opt", *binds,
            *_LEGACY, "systemd.unit=multi-user.target", "systemd.log_target=console", "systemd.show_status=no",
        ]  # fmt: skip
        with open(self._folder / "console.log", "ab") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", _JOIN, "sh", *files, "--", *nspawn],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, cwd="/",
                env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
        (self._folder / PID_FILE).write_text(f"{self._process.pid}\n")

    @property
    def init(self) -> int:
        """The process id, out here, of the host's process 1; 0 when it is off."""
        children = _children(self._nspawn)
        return children[0] if children else 0

    @property
    def _nspawn(self) -> int:
        """The process id of the host's nspawn; 0 when there is none."""
        try:
            pid = int((self._folder / PID_FILE).read_text())
        except (OSError, ValueError):
            return 0
        return pid if is_supervisor(pid, self._folder) else 0

    @property
    def on(self) -> bool:
        return bool(self.init)

    def kill(self) -> None:
        """Every process of the host ends at once, frozen or not."""
        init = self.init
        if init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(init, signal.SIGKILL)
        self.freeze(False)
        self.wait_off()

    def wait_off(self) -> None:
        """:raises LabError: when it does not end."""
        deadline = time.monotonic() + ENDS_WITHIN
        while self._nspawn:
            if self._process is not None:
                self._process.poll()  # a child that ended exists until this process collects it
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not end within {ENDS_WITHIN:g} s")
            time.sleep(0.01)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def freeze(self, on: bool = True) -> None:
        """Freeze every process, as on a suspended machine; its kernel still accepts connections."""
        below = f"{self._names.cgroup}/{self.name}"
        for hierarchy in hierarchies():
            state, modern = hierarchy / below / "freezer.state", hierarchy / below / "cgroup.freeze"
            if state.exists():
                state.write_text("FROZEN" if on else "THAWED")
                return
            if modern.exists():
                modern.write_text("1" if on else "0")
                return

    def inside(self, *command: str, user: str = "", environment: dict[str, str] | None = None,
               folder: str = "/") -> list[str]:  # fmt: skip
        """The command that runs this command in the host, at its console so to speak.

        :raises LabError: when the host is off.
        """
        init = self.init
        if not init:
            raise LabError(f"{self.name} is off")
        known = {"HOME": "/root", "USER": "root", "LANG": "C.UTF-8", "PATH": PATH, **(environment or {})}
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user else []
        return ["nsenter", "--all", f"--target={init}", f"--wdns={folder}", "--", "env", "-i",
                *[f"{name}={value}" for name, value in known.items()], *become, *command]  # fmt: skip


def hostname(host: str) -> str:
    """The host name of a host: inventory names may have underscores, host names may not."""
    return host.replace("_", "-")


def supervisors(folder: Path) -> list[int]:
    """Process ids of the nspawn processes whose host lives below this folder."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_supervisor(pid, folder)]


def is_supervisor(pid: int, folder: Path) -> bool:
    """A dead process that was not collected yet has no arguments."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    mark = b"--directory=" + os.fsencode(folder) + b"/"
    return b"systemd-nspawn" in arguments[0] and any(argument.startswith(mark) for argument in arguments)


def hierarchies() -> list[Path]:
    """Where cgroups are mounted: one place, or one per controller."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, kind = line.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            found.append(Path(place))
    return found


def join(below: str) -> list[str]:
    """Make this cgroup everywhere; the files a process writes its id to. Two systemds would fight over one cgroup."""
    files = []
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in below.split("/"):
            above, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # begin empty in version 1, and nothing runs in it then
                if (folder / name).exists() and not (folder / name).read_text().strip():
                    with contextlib.suppress(OSError):
                        (folder / name).write_text((above / name).read_text())
        files.append(str(folder / "cgroup.procs"))
    return files


def leave(below: str) -> None:
    """Remove a cgroup and what is below it, everywhere; one that still holds a process stays."""
    for hierarchy in hierarchies():
        top = hierarchy / below
        if top.is_dir():
            for folder, _folders, _files in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
