# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that stand still when a test says so: files with ext4. Who writes there waits, and cannot be killed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

needs_disks = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(name, path=_PATH) for name in ("mkfs.ext4", "mount", "fsfreeze")),
    reason="needs root, mkfs.ext4, mount and fsfreeze",
)


class Disks:
    """Some disks, mounted in a folder as m0, m1 and so on."""

    def __init__(self, folder: Path, count: int, mode: int = 0o700) -> None:
        self.mounts = [folder / ("m%d" % number) for number in range(count)]
        self._frozen: set[int] = set()
        for mount in self.mounts:
            image = mount.with_suffix(".img")
            with image.open("wb") as file:
                file.truncate(256 << 20)
            mount.mkdir()
            made = _run("mkfs.ext4", "-q", "-F", str(image))
            mounted = _run("mount", "-o", "loop", str(image), str(mount))
            if made.returncode or mounted.returncode:
                self.end()
                pytest.skip("this machine mounts no file: %s" % mounted.stderr.strip())
            shutil.rmtree(mount / "lost+found")
            mount.chmod(mode)

    def freeze(self, number: int) -> None:
        self._frozen.add(number)
        _run("fsfreeze", "--freeze", str(self.mounts[number]))

    def thaw(self) -> None:
        for number in list(self._frozen):
            _run("fsfreeze", "--unfreeze", str(self.mounts[number]))
        self._frozen.clear()

    def end(self) -> None:
        self.thaw()
        for mount in self.mounts:
            _run("umount", str(mount))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env={**os.environ, "PATH": _PATH}, capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
