# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout of its own for a test: what a clone of this one would hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.local_site import ROOT


def clone(folder: Path) -> Path:
    """Put there all that git tracks or would track, links included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    names = b"\0".join(
        name for name in listed.split(b"\0") if name and os.path.lexists(os.path.join(os.fsencode(ROOT), name))
    )
    packed = subprocess.run(
        ["tar", "-cf", "-", "--null", "-T", "-"], cwd=ROOT, input=names, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-xf", "-"], cwd=folder, input=packed.stdout, check=True)
    return folder


def prepare(checkout: Path) -> Path:
    """Make what `bin/setup` would make, from the packages that run this test: nothing is fetched."""
    venv = checkout / ".venv"
    venv.mkdir()
    for name in ("bin", "lib", "share"):
        if (Path(sys.prefix) / name).exists():
            (venv / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    lists = (checkout / "requirements" / "runtime.txt").read_bytes()
    sums = subprocess.run(["cksum"], input=lists, check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    (venv / "muster-stamp").write_text("%s \n%s %s\n" % (checkout, checkout, sums))
    return checkout
