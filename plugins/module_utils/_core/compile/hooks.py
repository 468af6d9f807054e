# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the commands that are run when the verdict of an item changes."""

from __future__ import annotations

from typing import Any, List, Tuple

from ..model.site import Hook
from ..report.verdict import VERDICTS
from . import keys as compile_keys
from .errors import Keys, show, suggest
from .reader import Reader, Values

ALL = "all"


def read_hooks(reader: Reader, written: Any) -> Tuple[Hook, ...]:
    """The content of ``muster_hooks``; what is wrong is added to the reader's problems."""
    hooks: List[Hook] = []
    for position, entry in enumerate(written):
        keys: Keys = ("muster_hooks", position)
        values = reader.table(compile_keys.HOOK, entry, keys, "this hook")
        program = values["command"][0] if "command" in values else "/"
        if not program.startswith("/"):
            reader.problems.add(
                keys + ("command",),
                "the program %s is not an absolute path" % show(program),
                program,
                "write it in full, for example {{ inventory_dir }}/notify",
            )
            values.broken.add("command")
        _check_words(reader, values, keys)
        if "command" in values and values.sound("on", "command", "debounce", "timeout"):
            hooks.append(Hook(**values))
    return tuple(hooks)


def _check_words(reader: Reader, values: Values, keys: Keys) -> None:
    known = (*VERDICTS, ALL)
    for word in values.get("on", ()):
        if word not in known:
            values.broken.add("on")
            reader.problems.add(keys + ("on",), "%s is not a verdict" % show(word), word, suggest(word, known))
