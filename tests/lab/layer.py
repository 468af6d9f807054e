# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer of the lab above a root file system: it makes a plain host of this machine, or of a Debian of its own.

The layer has no checkout, no home directories, no service of this machine, and names from /etc/hosts only. What a site
would install itself (a data bus, its Python package) is put there like a package's files.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.lab.machine import hostname
from tests.lab.names import DESK, Names

USER = "operator"  # may become root; muster itself needs no root
USER_ID = 2999
# Top-level folders of this machine that hosts see; anything else does not exist for them.
SHOWN = set("bin boot dev etc lib lib32 lib64 libx32 mnt opt proc root home srv run sbin sys tmp usr var".split())  # noqa: SIM905
EMPTY = ("root", "home", "opt", "srv", "mnt", "etc/systemd/system", "etc/supervisor", "usr/local/bin",
         "usr/local/sbin", "usr/local/etc", "var/log", "var/spool/cron", "etc/cron.d", "etc/init.d",
         "etc/ssh")  # fmt: skip

_SSHD = """[Unit]
Description=OpenSSH server
[Service]
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
ExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
KillMode=process
Restart=always
RestartSec=200ms
[Install]
WantedBy=multi-user.target
"""
# No PAM session (a round trip to logind for each), no DNS; a silent peer is dropped after some seconds.
_SSHD_CONFIG = """Include /etc/ssh/clock.conf
Include /etc/ssh/sshd_config.d/*.conf
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
X11Forwarding no
MaxStartups 100:30:200
MaxSessions 100
ClientAliveInterval 2
ClientAliveCountMax 3
PidFile none
Subsystem sftp internal-sftp
"""
# Part of systemd's own targets, and of no use in a container.
_MASKED = """systemd-logind.service systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service
systemd-networkd.service systemd-resolved.service systemd-pstore.service systemd-binfmt.service
systemd-hwdb-update.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
systemd-journal-flush.service systemd-journal-catalog-update.service systemd-update-done.service
systemd-firstboot.service systemd-sysusers.service systemd-boot-system-token.service systemd-repart.service
systemd-sysctl.service systemd-modules-load.service systemd-random-seed.service systemd-rfkill.service
systemd-machine-id-commit.service systemd-ask-password-wall.path systemd-ask-password-console.path
kmod-static-nodes.service keyboard-setup.service
console-setup.service console-getty.service getty@tty1.service modprobe@.service e2scrub_reap.service
systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-journald-audit.socket systemd-initctl.socket
systemd-rfkill.socket dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.mount proc-sys-fs-binfmt_misc.automount
getty.target swap.target remote-fs.target machines.target cryptsetup.target integritysetup.target veritysetup.target
systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer man-db.timer
e2scrub_all.timer""".split()  # noqa: SIM905


class Layer:
    def __init__(self, folder: Path, base: Path, names: Names) -> None:
        """:param base: the root file system underneath."""
        self.folder = folder
        self.base = base
        self._names = names

    def prepare(self) -> None:
        layer, names = self.folder, self._names
        for folder in EMPTY:
            (layer / folder).mkdir(parents=True)
            os.setxattr(layer / folder, "trusted.overlay.opaque", b"y")
        for entry in os.listdir(self.base):
            if entry not in SHOWN:
                os.mknod(layer / entry, 0o020000, os.makedev(0, 0))  # overlay's mark for what is deleted
        known = {"localhost": "127.0.0.1"}
        known.update({host: names.address(host) for host in (*names.hosts, DESK)})
        self._write("etc/hosts", "".join(f"{address} {host} {hostname(host)}\n" for host, address in known.items()))
        self._write(
            "etc/nsswitch.conf",
            "".join(f"{what}: files\n" for what in ("passwd", "group", "shadow", "hosts", "services", "protocols")),
        )
        for name in ("etc/resolv.conf", "etc/fstab", "root/.bashrc", "root/.profile"):
            self._write(name, "")
        # systemd would take this machine's identity from D-Bus' copy.
        (layer / "var/lib/dbus").mkdir(parents=True)
        (layer / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
        self._units()
        self._user()
        self._programs()

    def authorize(self, public: str) -> None:
        """This key opens both accounts."""
        for home, owner in (("root", 0), ("home/" + USER, USER_ID)):
            authorized = self.folder / home / ".ssh" / "authorized_keys"
            authorized.write_text(public)
            authorized.chmod(0o600)
            for path in (authorized, authorized.parent, authorized.parent.parent):
                os.chown(path, owner, owner)

    def _units(self) -> None:
        self._write("etc/systemd/system/ssh.service", _SSHD)
        wants = self.folder / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir()
        (wants / "ssh.service").symlink_to("/etc/systemd/system/ssh.service")
        for unit in _MASKED:
            (self.folder / "etc/systemd/system" / unit).symlink_to("/dev/null")
        # A user's manager without logind, which some systemd's session module insists on.
        self._write(
            "etc/systemd/system/user@.service.d/lab.conf",
            "[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n",
        )
        self._write("etc/ssh/sshd_config", _SSHD_CONFIG)
        (self.folder / "etc/ssh/sshd_config.d").mkdir()  # as Debian's package makes it
        self._write(
            "etc/systemd/journald.conf.d/lab.conf",
            "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nReadKMsg=no\nAudit=no\n",
        )
        self._write(
            "etc/systemd/system.conf.d/lab.conf",
            "[Manager]\nDefaultTimeoutStopSec=5s\nShowStatus=no\nLogLevel=notice\n",
        )

    def _user(self) -> None:
        for name, line in (("passwd", f"{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash"),
                           ("group", f"{USER}:x:{USER_ID}:"), ("shadow", f"{USER}:*:19000:0:99999:7:::")):  # fmt: skip
            text = (self.base / "etc" / name).read_text()
            self._write("etc/" + name, text.rstrip("\n") + "\n" + line + "\n", 0o640 if name == "shadow" else 0o644)
        self._write("etc/sudoers.d/operator", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        for home in ("root", "home/" + USER):
            (self.folder / home / ".ssh").mkdir(parents=True, exist_ok=True)
            for folder in (self.folder / home / ".ssh", self.folder / home):
                folder.chmod(0o700)

    def _programs(self) -> None:
        """Install what the reference application needs, as a site's own packages would."""
        found = Path(sys.executable).with_name("nats-server")
        if found.exists():
            shutil.copy2(found, self.folder / "usr/local/bin/nats-server")

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
