# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of the hosts: a root file system underneath, a layer of the lab, one of their own."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.lab import roots
from tests.lab.layer import Layer
from tests.lab.machine import hostname
from tests.lab.names import Names
from tests.lab.switch import command

ROOT = Path(__file__).resolve().parents[2]
SIZE = "512m"  # of a host's /opt, a disk of its own: it can be full


@dataclass(frozen=True)
class Keys:
    """Made for one lab; gone with it."""

    private: Path
    public: str
    known_hosts: Path


class Disks:
    def __init__(self, names: Names) -> None:
        self._names = names
        # The controller has the checkout and its .venv, so it is always a machine like this one.
        self._of_controller = Layer(names.folder / "layer", Path("/"), names)
        self._of_hosts = self._of_controller
        if names.debian:
            self._of_hosts = Layer(names.folder / "layer-hosts", roots.folder(names.debian), names)

    def prepare(self) -> Keys:
        """The layers that hosts share, and the lab's keys.

        :raises LabError: when the other Debian cannot be had.
        """
        if self._names.debian:
            roots.fetch(self._names.debian)
        for layer in self._layers():
            layer.prepare()
        return self._keys()

    def _layers(self) -> tuple[Layer, ...]:
        both = (self._of_controller, self._of_hosts)
        return both if self._names.debian else both[:1]

    def host(self, host: str) -> None:
        """A host's own disk, empty; what is there of an earlier boot is kept."""
        folder = self._names.of(host)
        if (folder / "root").exists():
            return
        for below in ("upper/etc/ssh", "work", "root", "opt"):
            (folder / below).mkdir(parents=True)
        upper = folder / "upper"
        (upper / "etc/hostname").write_text(hostname(host) + "\n")
        (upper / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
            shutil.copy2(
                self._names.folder / "keys" / f"{host}{name[len('ssh_host_ed25519_key') :]}", upper / "etc/ssh" / name
            )
        if host in self._names.controllers:
            self._ssh_folder(upper)
        layer = self._of_controller if host in self._names.controllers else self._of_hosts
        command("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "muster-lab-opt", str(folder / "opt"))
        command(
            "mount", "-t", "overlay", f"muster-lab-{host}", "-o",
            f"lowerdir={layer.folder}:{layer.base},upperdir={upper},workdir={folder / 'work'}", str(folder / "root"),
        )  # fmt: skip

    def _keys(self) -> Keys:
        folder = self._names.folder / "keys"
        folder.mkdir(mode=0o700)
        private = folder / "id_ed25519"
        for name in ("id_ed25519", *self._names.hosts):
            command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "muster-lab", "-f", str(folder / name))
        public = (folder / "id_ed25519.pub").read_text()
        for layer in self._layers():
            layer.authorize(public)
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(
            "".join(
                f"{host},{self._names.address(host)} {' '.join((folder / f'{host}.pub').read_text().split()[:2])}\n"
                for host in self._names.hosts
            )
        )
        return Keys(private, public, known_hosts)

    def _ssh_folder(self, upper: Path) -> None:
        """The controller's: its key, and the keys of the hosts it knows."""
        folder = upper / "root" / ".ssh"
        folder.mkdir(parents=True, mode=0o700)
        (upper / "root").chmod(0o700)
        keys = self._names.folder / "keys"
        shutil.copy2(keys / "id_ed25519", folder / "id_ed25519")
        shutil.copy2(keys / "known_hosts", folder / "known_hosts")
