# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a release in a clone of the checkout, up to the tag, and installs it: python -m tests.release.rehearse"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str, cwd: Path, **more: str) -> None:
    """A command with what this checkout has installed. :raises CalledProcessError: when it fails."""
    print("$", " ".join(command), flush=True)
    ours = {"PATH": f"{BIN}:{os.environ['PATH']}", "MUSTER_RELEASE_BIN": str(BIN)}
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, **ours, **more})


def main() -> None:
    """The steps of docs/releasing.md, without what publishes."""
    with tempfile.TemporaryDirectory(prefix="muster-rehearsal-") as place:
        clone = Path(place) / "muster"
        run("git", "clone", "-q", str(ROOT), str(clone), cwd=ROOT)
        run("tests/release/release.sh", cwd=clone)
        version = next((clone / "build").glob("*.tar.gz")).name.removesuffix(".tar.gz").rpartition("-")[2]
        who = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost")
        run("git", "add", "-A", cwd=clone)
        run("git", *who, "commit", "-q", "-m", f"Release {version}", cwd=clone)
        run("git", *who, "tag", "-a", version, "-m", f"control_room.muster {version}", cwd=clone)
        archive = str(clone / "build" / f"control_room-muster-{version}.tar.gz")
        run("ansible-galaxy", "collection", "install", "--offline", "-p", place, archive, cwd=Path(place))
        run("ansible-doc", "-l", "control_room.muster", cwd=Path(place), ANSIBLE_COLLECTIONS_PATH=place)
        run("git", "show", "--stat", "-s", version, cwd=clone)
        print((clone / "build" / "notes.md").read_text(encoding="utf-8")[:2000])


if __name__ == "__main__":
    main()
