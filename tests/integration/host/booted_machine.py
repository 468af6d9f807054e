# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine with a real systemd as its process 1, for tests: a container over this machine's own files.

Only what was started here is ended here; the machine's disk is memory and goes with it. The checkout is seen at its own
path, so tests run in the machine with the same command as outside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.leftovers import own

REPOSITORY = Path(__file__).resolve().parents[3]
BOOT_TIMEOUT = 60.0
_SHOWN = {
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run", "sbin", "sys", "tmp",
    "usr", "var",
}  # fmt: skip
_MASKED = (
    "systemd-logind.service", "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-timesyncd.service",
    "systemd-networkd.service", "systemd-resolved.service", "systemd-pstore.service", "systemd-binfmt.service",
    "systemd-hwdb-update.service", "systemd-update-utmp.service", "systemd-journal-catalog-update.service",
    "systemd-update-done.service", "systemd-firstboot.service", "systemd-sysusers.service",
    "systemd-boot-system-token.service", "systemd-sysctl.service", "systemd-modules-load.service",
    "systemd-random-seed.service", "kmod-static-nodes.service", "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket", "systemd-journald-audit.socket", "systemd-initctl.socket", "dev-hugepages.mount",
    "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount", "proc-sys-fs-binfmt_misc.mount", "proc-sys-fs-binfmt_misc.automount", "getty.target",
    "swap.target", "remote-fs.target", "systemd-tmpfiles-clean.timer",
)  # fmt: skip
_TARGET = """\
[Unit]
Requires=basic.target
Wants=dbus.socket multi-user.target
After=basic.target
AllowIsolate=yes
"""


def missing() -> str:
    """Why there can be no such machine here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root: it boots a container with systemd"
    for program in ("systemd-nspawn", "systemctl", "nsenter"):
        if shutil.which(program) is None:
            return "needs %s (packages systemd, systemd-container, util-linux)" % program
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "needs the file system overlay"
    return ""


class Machine:
    """A booted container; `close` leaves nothing behind."""

    def __init__(self, name: str = "", unified: bool = False) -> None:
        """:param unified: control groups of version 2 only, whatever this machine has. Where it has its controllers in
        version 1, those of version 2 keep processes together and limit nothing.
        """
        self._settings = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"} if unified else {}
        self.name = name or "muster-test-%d" % os.getpid()
        self.folder = Path(tempfile.mkdtemp(prefix="mu-machine-", dir="/var/tmp"))
        own(self.folder)
        self.groups: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0  # of its process 1, as seen from here
        try:
            self._disk()
            self._boot()
        except BaseException:
            self.close()
            raise

    def run(self, command: Sequence[str], timeout: float = 60.0, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, at the same folder."""
        return subprocess.run(self.command(command), capture_output=True, text=True, timeout=timeout, check=False,
                              preexec_fn=self._enter_own, **options)  # type: ignore[call-overload,no-any-return]

    def command(self, command: Sequence[str]) -> list[str]:
        inside = 'cd "$1" && shift && exec "$@"'  # its own folder, not the one of the same name out here
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "--", "setsid", "--wait",
                "/bin/sh", "-c", inside, "sh", str(REPOSITORY), *command]

    def reboot(self) -> None:
        """Power off without a word, then on; its disk stays."""
        self._halt()
        self._boot()

    def close(self) -> None:
        self._halt()
        for place in ("root", ""):
            subprocess.run(["umount", "-l", str(self.folder / place)], capture_output=True, check=False)
        for group in reversed(self.groups):
            for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                _rmdir(below)
            _rmdir(group)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _disk(self) -> None:
        _run("mount", "-t", "tmpfs", "-o", "size=1g,mode=0755", "muster-test", str(self.folder))
        _run("mount", "--make-private", str(self.folder))
        upper = self.folder / "upper"
        units = upper / "etc/systemd/system"
        for path in (units, upper / "etc/systemd/journald.conf.d", upper / "var/lib/dbus", upper / "var/tmp",
                     upper / "run", upper / "tmp", self.folder / "work", self.folder / "root"):
            path.mkdir(parents=True)
        for top in os.listdir("/"):
            if top not in _SHOWN and top != REPOSITORY.parts[1]:
                os.mknod(upper / top, 0o020000 | 0o000, os.makedev(0, 0))  # what overlay takes for "not there"
        wanted = units / "multi-user.target.wants"
        wanted.mkdir()
        os.setxattr(wanted, "trusted.overlay.opaque", b"y")  # the services of this machine do not start there
        for name in _MASKED:
            (units / name).symlink_to("/dev/null")
        (units / "muster-test.target").write_text(_TARGET)
        (upper / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")
        (upper / "etc/hostname").write_text("machine\n")
        (upper / "etc/fstab").write_text("")
        (upper / "etc/systemd/journald.conf.d/test.conf").write_text(
            "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\n")
        (upper / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
        _run("mount", "-t", "overlay", "muster-test", "-o", "lowerdir=/,upperdir=%s,workdir=%s" % (
            upper, self.folder / "work"), str(self.folder / "root"))

    def _boot(self) -> None:
        if not self.groups:
            self.groups = self._make_groups()
        log = (self.folder / "console.log").open("wb")
        command = [
            "systemd-nspawn", "--quiet", "--directory=%s" % (self.folder / "root"), "--machine=%s" % self.name,
            "--hostname=machine", "--boot", "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe",
            "--resolv-conf=off", "--timezone=off", "--settings=no", "--private-network",
            "--bind=%s" % REPOSITORY, "systemd.unit=muster-test.target", "systemd.log_target=journal",
            "systemd.show_status=no",
        ]  # fmt: skip
        with log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": os.environ["PATH"], **self._settings}, preexec_fn=self._enter_groups)
        until = time.monotonic() + BOOT_TIMEOUT
        while not self._up():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the machine did not boot: %s" % (self.folder / "console.log").read_text()[-2000:])
            time.sleep(0.02)

    def _up(self) -> bool:
        assert self._process is not None
        children = Path("/proc/%d/task/%d/children" % (self._process.pid, self._process.pid))
        with contextlib.suppress(OSError):
            self.pid = int((children.read_text().split() or ["0"])[0])
        if not self.pid:
            return False
        asked = self.run(["systemctl", "is-active", "muster-test.target"])
        return asked.stdout.strip() == "active"

    def _make_groups(self) -> list[Path]:
        """A control group of its own in every hierarchy: systemd takes the one it is started in as its root."""
        made = []
        top = Path("/sys/fs/cgroup")
        for tree in [top, *sorted(path for path in top.iterdir() if path.is_dir() and not path.is_symlink())]:
            if not os.access(tree / "cgroup.procs", os.W_OK) or (tree != top and (top / "cgroup.procs").exists()):
                continue
            group = tree / self.name
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts them empty
                if (group / name).exists() and not (group / name).read_text().strip() and (tree / name).exists():
                    (group / name).write_text((tree / name).read_text())
            made.append(group)
        return made

    def _enter_groups(self) -> None:
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _enter_own(self) -> None:
        """Enter its control groups of version 1 that its systemd does not divide: its processes are in them."""
        for group in self.groups:
            if not (group / "payload").is_dir() and not (group / "cgroup.controllers").exists():
                (group / "cgroup.procs").write_text(str(os.getpid()))

    def _halt(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # process 1 takes every process of the container along
            self.pid = 0
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _rmdir(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()
