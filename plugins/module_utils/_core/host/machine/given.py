# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person gave to a program for one start: ``run/given/<instance>/<program>``, which muster-exec adds to what the
configuration says. Its first line is the epoch: under another one it counts no more. The others are ``NAME=value`` and,
for an argument, ``>text``.
"""

from __future__ import annotations

import contextlib
import os

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

_FOLDER = "/run/given"


def write(root: str, instance: str, program: str, epoch: int, what: Mapping[str, Any]) -> None:
    """Give a program that is about to start something, or nothing any more.

    :param what: ``{"args": [...], "env": {name: value}}``; {}: nothing.
    :raises ValueError: for what a line cannot hold; the sentence holds no value.
    :raises OSError: when it cannot be written.
    """
    folder = "%s%s/%s" % (root, _FOLDER, instance)
    path = folder + "/" + program
    if not what:
        if files.remove(path):
            with contextlib.suppress(OSError):  # others are in it
                os.rmdir(folder)
        return
    lines = [str(epoch)]
    for name, value in (what.get("env") or {}).items():
        if not (name.isidentifier() and name.isascii()) or name.startswith("MUSTER_"):
            raise ValueError("%s cannot be given the variable %r" % (program, name))
        lines.append("%s=%s" % (name, value))
    lines += [">%s" % argument for argument in what.get("args") or ()]
    if any("\n" in line or "\0" in line for line in lines):
        raise ValueError("what %s is given must be of one line each" % program)
    os.makedirs(folder, mode=files.FOLDER_MODE, exist_ok=True)
    files.write_file(path, ("\n".join(lines) + "\n").encode("utf-8"))


def remove(root: str, instance: str) -> None:
    """Nothing is given to any program of an instance any more. Idempotent."""
    folder = "%s%s/%s" % (root, _FOLDER, instance)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        files.remove(folder + "/" + name)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
