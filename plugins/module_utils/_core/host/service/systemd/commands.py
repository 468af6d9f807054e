# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in units: what they run, and how systemd wants it written."""

from __future__ import annotations

from ...machine import ownership


def guarded(python: str, root: str) -> str:
    """``bin/muster-boot`` as root. Each time, it is checked that only root may write to the folder: that may be given
    away later."""
    boot = root + "/bin/muster-boot"
    places = (root, root + "/bin", boot, root + "/lib")
    text = "PLACES=%r\n%sos.execv(sys.executable,[sys.executable,'-I',%r,*sys.argv[1:]])" % (
        places, ownership.GUARD, boot)
    return "%s -I -S -c %s" % (python, _quoted(text))


def escaped(path: str) -> str:
    return path.replace("%", "%%")


def _quoted(word: str) -> str:
    """As one word of a command in a unit."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"%s"' % text.replace("%", "%%").replace("$", "$$")
