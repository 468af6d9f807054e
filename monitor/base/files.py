# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: whether one has changed, how one is replaced, how long the path of a socket may be."""

from __future__ import annotations

import os
from pathlib import Path

SOCKET_PATH_BYTES = 107  # a longer path does not fit into `struct sockaddr_un`

Stamp = tuple[int, int, int]


def file_stamp(path: str | os.PathLike[str]) -> Stamp | None:
    """(inode, time of change in ns, bytes): another stamp is another content. None when there is no such file."""
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return None


def stamp_of(facts: os.stat_result) -> Stamp:
    return (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part.

    :raises OSError: when it cannot be written; the old content stays.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
