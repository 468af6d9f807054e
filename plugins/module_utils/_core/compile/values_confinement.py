# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How limits, sandboxing and displays are read: only what is listed, nothing that could become another directive."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, Tuple

from ..model.confinement import LIMITS, OF_PROCESSES, SANDBOX
from .errors import show, suggest
from .table import Field

_SIZE = re.compile(r"([0-9]{1,18}[KMGT]?|[0-9]{1,2}%|100%)\Z")
_PATH = re.compile(r"-?(/[A-Za-z0-9_.+@=-]+)+/?\Z")
_FAMILY = re.compile(r"AF_[A-Z0-9_]{1,20}\Z")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_LINE = re.compile(r"[ -~]*\Z")

_NUMBERS = {
    "cpu_quota": (1, 100_000), "cpu_weight": (1, 10_000), "io_weight": (1, 10_000), "tasks_max": (1, 4_000_000),
    "open_files": (16, 1_000_000), "nice": (-20, 19),
}  # fmt: skip
_WORDS = {
    "protect_system": (True, False, "full", "strict"),
    "protect_home": (True, False, "read-only", "tmpfs"),
}
_LISTS = {
    "restrict_address_families": (_FAMILY, "a list of families such as AF_INET"),
    "read_only_paths": (_PATH, "a list of absolute paths"),
    "read_write_paths": (_PATH, "a list of absolute paths"),
    "inaccessible_paths": (_PATH, "a list of absolute paths"),
}
DISPLAY = {
    "display": "DISPLAY",
    "wayland_display": "WAYLAND_DISPLAY",
    "xauthority": "XAUTHORITY",
    "runtime_dir": "XDG_RUNTIME_DIR",
    "user": "user",
}
Complain = Callable[[str, str], Exception]  # message, hint


def limits(field: Field, value: Any, bad: Complain) -> Dict[str, Any]:
    """``memory_max`` and the like, by name; those of single processes only where the field is about a program."""
    known = [name for name in LIMITS if field.default_doc or name not in OF_PROCESSES]
    result: Dict[str, Any] = {}
    for name, entry in _entries(value, known, bad):
        if name in _NUMBERS:
            lowest, highest = _NUMBERS[name]
            if isinstance(entry, bool) or not isinstance(entry, int) or not lowest <= entry <= highest:
                raise bad("%s is %s, must be a whole number from %d to %d" % (name, show(entry), lowest, highest), "")
        elif not _SIZE.match(str(entry)) or isinstance(entry, (bool, float)):
            raise bad("%s is %s, must be a size such as 512M, or a share of the memory such as 25%%" % (
                name, show(entry)), "")
        else:
            entry = str(entry)
        result[name] = entry
    return result


def sandbox(field: Field, value: Any, bad: Complain) -> Dict[str, Any]:
    """``protect_system`` and the like, by name."""
    result: Dict[str, Any] = {}
    for name, entry in _entries(value, list(SANDBOX), bad):
        if name in _LISTS:
            pattern, what = _LISTS[name]
            if not isinstance(entry, (list, tuple)) or not all(isinstance(e, str) and pattern.match(e) for e in entry):
                raise bad("%s is %s, must be %s" % (name, show(entry), what), "")
            entry = list(entry)
        else:
            words = _WORDS.get(name, (True, False))
            if not any(entry is word or (isinstance(word, str) and entry == word) for word in words):
                allowed = ", ".join("true" if w is True else "false" if w is False else str(w) for w in words)
                raise bad("%s is %s" % (name, show(entry)), "allowed: " + allowed)
        result[name] = entry
    return result


def display(field: Field, value: Any, bad: Complain) -> Dict[str, str]:
    """What programs with windows need: names of the environment, and ``user``."""
    result: Dict[str, str] = {}
    for name, entry in _entries(value, list(DISPLAY), bad):
        pattern = USER if name == "user" else _LINE
        if not isinstance(entry, str) or not entry or not pattern.match(entry):
            what = "the name of a user" if name == "user" else "a text of one line"
            raise bad("%s is %s, must be %s" % (name, show(entry), what), "put it in quotes")
        result[DISPLAY[name]] = entry
    return result


def _entries(value: Any, known: Any, bad: Complain) -> Tuple[Tuple[str, Any], ...]:
    if not isinstance(value, Mapping):
        raise bad("is %s, must be a mapping" % show(value), "allowed: " + ", ".join(known))
    for name in value:
        if name not in known:
            raise bad("%s is not known here" % show(name), suggest(str(name), known))
    return tuple((str(name), entry) for name, entry in value.items())
