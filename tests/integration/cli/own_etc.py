# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An /etc of a test's own: accounts and rules of sudo, while nothing of this machine changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ABSENT = [name for name in ("sudo", "unshare", "setpriv") if not shutil.which(name)]
needs_etc = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for an /etc of its own"),
    pytest.mark.skipif(bool(ABSENT), reason="needs %s" % ", ".join(ABSENT)),
]


class Etc:
    """A copy that what is run by `inside` takes for /etc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree("/etc", folder, symlinks=True, ignore_dangling_symlinks=True)

    def add_user(self, name: str, user: int, group: int, home: str, comment: str = "", shell: str = "/bin/sh") -> None:
        self.add_line("passwd", "%s:x:%d:%d:%s:%s:%s" % (name, user, group, comment, home, shell))
        self.add_line("shadow", "%s:*:19000:0:99999:7:::" % name)

    def add_line(self, name: str, line: str) -> None:
        path = self.folder / name
        path.write_text(path.read_text().rstrip("\n") + "\n" + line + "\n")

    def line(self, name: str, first: str) -> str:
        """The line that begins with this word and a colon; empty when there is none."""
        lines = (self.folder / name).read_text().split("\n")
        return next((line for line in lines if line.startswith(first + ":")), "")

    def inside(self, *command: str | Path, folder: Path, local: Path = Path("/usr/local")) -> list[str | Path]:
        """A command that runs in `folder` with this /etc, and `local` as /usr/local."""
        script = 'mount --bind "$0" /etc; mount --bind "$1" /usr/local; cd "$2"; shift 2; exec "$@"'
        return ["unshare", "-m", "sh", "-ec", script, self.folder, local, folder, *command]
