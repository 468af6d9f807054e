# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of a site: all at once, each with its place, its value and what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Iterable, List, Optional, Tuple, Union

from ..model.sentences import nearest
from ..model.text import printable

Key = Union[str, int]
Keys = Tuple[Key, ...]
Where = Callable[[Keys], Optional[str]]  # path of a value -> "file:line", when it is known

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_PLACE = re.compile(r"(.*):([0-9]+)\Z")
_LONGEST_VALUE = 60
_LONGEST_LINE = 2000
_MOST_WORDS = 24


@dataclass(frozen=True)
class SiteError:
    """One thing that is wrong.

    ``path`` is for people (``muster_items[2].slot``), ``keys`` the same for a locator; ``place`` is ``file:line`` where
    the finder knows it.
    """

    path: str
    message: str
    value: Any = None
    hint: str = ""
    keys: Keys = ()
    place: str = ""

    def located(self, where: Optional[Where] = None) -> str:
        """``file:line``, or "" when it is not known."""
        return self.place or (where(self.keys) if where else None) or ""

    def line(self, where: Optional[Where] = None) -> str:
        """``inventory/site.yml:41: muster_items[2].slot: is "x", must be a whole number``."""
        place = self.located(where)
        text = "%s: %s" % (self.path, self.message)
        if self.hint:
            text += (" " if self.hint.startswith("(") else "; ") + self.hint
        return printable("%s: %s" % (place, text) if place else text, _LONGEST_LINE)


class SiteErrors(Exception):
    """Raised with every error of a site; ``errors`` keeps the order in which they were found."""

    def __init__(self, errors: Iterable[SiteError]) -> None:
        self.errors: Tuple[SiteError, ...] = tuple(errors)
        super().__init__("\n".join(self.lines()))

    def lines(self, where: Optional[Where] = None) -> List[str]:
        """One line per error; by file and line number where those are known."""
        placed = [(_order(error.located(where)), error.line(where)) for error in self.errors]
        return [line for unused, line in sorted(placed, key=lambda pair: pair[0])]


class Problems:
    """Collects errors while a site is read."""

    def __init__(self) -> None:
        self.errors: List[SiteError] = []

    def add(self, keys: Keys, message: str, value: Any = None, hint: str = "") -> None:
        """Add one error.

        :param keys: the path of the value.
        :param value: as written.
        :param hint: what to write instead.
        """
        self.errors.append(SiteError(path_text(keys), message, value, hint, keys))

    def finish(self) -> None:
        """
        :raises SiteErrors: when there is at least one.
        """
        if self.errors:
            raise SiteErrors(self.errors)


def path_text(keys: Keys) -> str:
    """``("muster_items", 2, "slot")`` -> ``muster_items[2].slot``."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += "[%d]" % key
        elif isinstance(key, str) and _PLAIN_KEY.match(key):
            text += "." + key if text else key
        else:
            text += "[%s]" % show(key)
    return text


def show(value: Any) -> str:
    """A value for a sentence: on one line, in double quotes when it is text, shortened when it is long."""
    if isinstance(value, str):
        text = '"%s"' % value.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "empty"
    elif isinstance(value, int) and value.bit_length() > 1024:
        text = "a number of very many digits"
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def suggest(word: Any, words: Iterable[str]) -> str:
    """``did you mean start_sequence? (allowed: a, b, c)``."""
    known = list(words)
    if not known:
        return ""
    meant = nearest(word, known)
    allowed = ", ".join(known[:_MOST_WORDS]) + (", ..." if len(known) > _MOST_WORDS else "")
    return ("did you mean %s? " % meant if meant else "") + "(allowed: %s)" % allowed


def _order(place: str) -> Tuple[int, str, int]:
    match = _PLACE.match(place)
    return (0, match.group(1), int(match.group(2))) if match else (1, "", 0)
