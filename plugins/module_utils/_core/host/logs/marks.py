# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each run of a program begins in its log: ``run/logs/<instance>``, a line per rank that was started."""

from __future__ import annotations

import contextlib
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping

FOLDER = "/run/logs"
_LARGEST = 32 << 10  # bytes, after which the oldest marks are dropped
_KEPT = 12  # of each program


class Mark:
    """The beginning of one run."""

    __slots__ = ("at", "epoch", "inode", "offset")

    def __init__(self, at: float, epoch: int, inode: int, offset: int) -> None:
        self.at = at  # seconds since 1970
        self.epoch = epoch
        self.inode = inode  # of the log then; 0: there was none, or it is in the journal
        self.offset = offset


def log_path(root: str, instance: str, program: str) -> str:
    """The log of a program on a Supervisor host."""
    return "%s/log/%s/%s.log" % (root, instance, program)


def add(root: str, instance: str, epoch: int, programs: Iterable[str]) -> None:
    """Note that these programs are about to start. Never fails: only an earlier run cannot be told apart then."""
    marks: Dict[str, List[Any]] = {}
    at = round(time.time(), 3)
    for program in programs:
        inode = offset = 0
        with contextlib.suppress(OSError):
            facts = os.stat(log_path(root, instance, program))
            inode, offset = facts.st_ino, facts.st_size
        marks[program] = [at, epoch, inode, offset]
    path = "%s%s/%s" % (root, FOLDER, instance)
    with contextlib.suppress(OSError):
        try:
            size = _append(path, marks)
        except FileNotFoundError:
            os.mkdir(root + FOLDER, 0o750)
            size = _append(path, marks)
        if size > _LARGEST:
            _shorten(root, instance, path)


def read(root: str, instance: str) -> Dict[str, List[Mark]]:
    """program -> its marks, the oldest first."""
    found: Dict[str, List[Mark]] = {}
    with contextlib.suppress(OSError), open(
        "%s%s/%s" % (root, FOLDER, instance), encoding="utf-8", errors="replace"
    ) as handle:
        for line in handle:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                for program, (at, epoch, inode, offset) in json.loads(line).items():
                    found.setdefault(program, []).append(Mark(float(at), int(epoch), int(inode), int(offset)))
    return found


def _append(path: str, marks: Mapping[str, Any]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        os.write(descriptor, json.dumps(marks, separators=(",", ":")).encode("utf-8") + b"\n")
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _shorten(root: str, instance: str, path: str) -> None:
    lines = [
        json.dumps({program: [mark.at, mark.epoch, mark.inode, mark.offset]}, separators=(",", ":"))
        for program, marks in read(root, instance).items() for mark in marks[-_KEPT:]
    ]
    with open(path + ".new", "w", encoding="utf-8") as handle:
        handle.write("".join(line + "\n" for line in lines))
    os.replace(path + ".new", path)
