# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a log as lines of text that harm nobody: what is no text is shown as such, a very long line is cut."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

LONGEST_BYTES = 4000  # of a line; what is beyond is counted
# What a terminal or a browser may obey, or shows as nothing: controls but for the tab, and turns of the direction.
_HIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def shown(data: bytes) -> Tuple[str, int]:
    """A line as text, and how many bytes of it are left out.

    Bytes that are no text, and characters that a terminal obeys, appear as Python writes them: ``\\xff``, ``\\x1b``.
    """
    data = data.rstrip(b"\r\n")
    left = max(0, len(data) - LONGEST_BYTES)
    if left:
        data = data[:LONGEST_BYTES]
        for _unused in range(3):  # not in the middle of a character
            if data[-1:] and data[-1] & 0xC0 == 0x80:
                data = data[:-1]
        if data[-1:] and data[-1] >= 0xC0:
            data = data[:-1]
    text = data.decode("utf-8", "backslashreplace")
    if not text.isprintable():
        text = _HIDDEN.sub(lambda found: ascii(found.group())[1:-1], text)
    return text, left


class Filter:
    """Which lines are wanted."""

    def __init__(self, word: str = "", since: Optional[float] = None, until: Optional[float] = None) -> None:
        """:param word: is in the line; written in small letters, capitals do not matter.
        :param since, until: seconds since 1970; a line whose time is not known is taken."""
        self._word = word
        self._any_case = word == word.lower()
        self.since = since
        self.until = until

    def takes(self, text: str, at: Optional[float]) -> bool:
        if self._word and self._word not in (text.lower() if self._any_case else text):
            return False
        if at is None:
            return True
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


class Cutter:
    """Cuts what a program writes into lines; holds back the last one until it ends. Bounded: a line without an end is
    passed on in pieces of which only the first is shown."""

    def __init__(self) -> None:
        self._held = b""
        self._left = 0  # bytes of a line that is too long, not kept

    def lines(self, data: bytes) -> List[Tuple[bytes, int]]:
        """:return: (line without its end, bytes of it that were not kept)."""
        found: List[Tuple[bytes, int]] = []
        *whole, rest = data.split(b"\n")
        for part in whole:
            found.append(self._take(part))
        self._hold(rest)
        return found

    @property
    def held(self) -> int:
        """Bytes since the last end of a line."""
        return len(self._held) + self._left

    def rest(self) -> List[Tuple[bytes, int]]:
        """What was held back, as a line."""
        return [self._take(b"")] if self.held else []

    def _take(self, part: bytes) -> Tuple[bytes, int]:
        self._hold(part)
        line, left = self._held, self._left
        self._held, self._left = b"", 0
        return line, left

    def _hold(self, part: bytes) -> None:
        room = max(0, 2 * LONGEST_BYTES - len(self._held))
        self._held += part[:room]
        self._left += len(part[room:])


def line(source: int, at: Optional[float], data: bytes, more: int = 0) -> Dict[str, Any]:
    """One line as it travels: ``s`` the position of its source in the request, ``at`` seconds since 1970 or None, ``t``
    its text, ``cut`` the bytes that are left out."""
    text, left = shown(data)
    found: Dict[str, Any] = {"s": source, "at": None if at is None else round(at, 3), "t": text}
    if left + more:
        found["cut"] = left + more
    return found


def note(source: int, at: float, text: str) -> Dict[str, Any]:
    """A sentence of muster's between the lines of a program."""
    return {"s": source, "at": round(at, 3), "note": text}
