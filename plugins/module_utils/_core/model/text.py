# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from items, programs and hosts: what is refused where a value is read, and what is shown of it."""

from __future__ import annotations

import re

LONGEST = 400  # characters of one text of a host or program that are kept

# Control characters of ASCII but for the tab, and halves of characters, which no encoding can write.
_UNREADABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# The same, but for what a text of several lines holds.
_UNREADABLE_IN_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# Bold, dim and the colours of muster's own tables are found as a group, all else that a terminal may obey is not.
_ORDERS = re.compile(
    "(\x1b\\[(?:[0-2]|3[1235])m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def unreadable(value: str, lines: bool = False) -> str:
    """The first character of a value that may not be in it, as Python writes it; empty when there is none.

    :param lines: whether the value may have several lines.
    """
    found = (_UNREADABLE_IN_LINES if lines else _UNREADABLE).search(value)
    return ascii(found.group()) if found else ""


def refuse_unreadable(what: str, value: str) -> None:
    """:raises ValueError: when a value of one line holds a control character; the sentence does not show the value,
    which may be a secret."""
    bad = "" if value.isprintable() else unreadable(value)
    if bad:
        raise ValueError("%s holds the control character %s" % (what, bad))


def printable(value: object, longest: int = LONGEST) -> str:
    """A text of a host or program in one line: each character that is not printable becomes a question mark."""
    text = value if isinstance(value, str) else str(value)
    text = text[: longest + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c in "\t\n\r" else "?" for c in text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def for_terminal(value: str) -> str:
    """A text of many lines without a character that a terminal obeys, but for the colours of muster's tables."""
    if value.isprintable():
        return value
    return _ORDERS.sub(lambda found: found.group(1) or "?", value)
