# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a program says that it is ready."""

from __future__ import annotations

import hashlib

VARIABLE = "NOTIFY_SOCKET"
_FOLDER = "/run/notify"


def below(instance: str, program: str) -> str:
    """The path of its socket below the folder of the host. Short, because that of a socket has 107 bytes at most."""
    return "%s/%s" % (_FOLDER, hashlib.sha256(("%s/%s" % (instance, program)).encode("utf-8")).hexdigest()[:12])
