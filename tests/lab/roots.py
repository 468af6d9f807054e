# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of other releases of Debian, made from its packages, for hosts that are not as this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.names import LabError

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "lab-roots"
WITHIN = 600.0  # s for all packages; half a minute where the archive is near
# What an administrator's installation has, and what muster's pages tell to install.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "openssh-client", "sudo", "procps",
    "iproute2", "nftables", "util-linux", "tcsh", "python3", "python3-psutil", "supervisor", "libfaketime",
    "xvfb", "xauth", "openbox", "x11-utils", "xdotool", "imagemagick", "python3-tk", "fonts-dejavu-core",
)  # fmt: skip


def folder(release: str) -> Path:
    return CACHE / release


def fetch(release: str) -> None:
    """Make it, unless it is there. :raises LabError: when it cannot be had; the text says why."""
    if folder(release).exists():
        return
    if not shutil.which("mmdebstrap"):
        raise LabError("mmdebstrap, which makes hosts of another Debian, is not installed (apt install mmdebstrap)")
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / f".{release}.{os.getpid()}"
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, str(made)]
    try:
        done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=WITHIN, check=False)  # fmt: skip
        if done.returncode:
            raise LabError(f"Debian {release} cannot be had: {done.stdout.strip()[-400:]}")
        made.rename(folder(release))
    except subprocess.TimeoutExpired:
        raise LabError(f"Debian {release} cannot be had: its packages did not come within {WITHIN:g} s") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
