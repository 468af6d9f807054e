# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a command prints goes through here: no text of a host or program gives the terminal an order."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from typing import Any, Iterator

from ..model.text import for_terminal

CLEAR = "\033[H\033[2J"  # printed alone, by what shows a table again and again
HOME, REST, BELOW = "\033[H", "\033[K", "\033[J"  # the same without flicker: to the top; the rest of a line, and below
BEGIN = "\r"  # of the line
_ORDERS = (CLEAR, HOME, REST, BELOW, BEGIN)


def overwrite(stream: Any, text: str) -> None:
    """Write a text over the line on which the cursor stands, cut to the width of the terminal."""
    cut = text[: shutil.get_terminal_size((120, 40)).columns - 1]
    for part in (BEGIN, cut, REST):  # orders alone, or they would be taken for text
        stream.write(part)
    stream.flush()


class Shown:
    """A text stream that writes to another one what `for_terminal` leaves of a text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text if text in _ORDERS else for_terminal(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Standard output and standard error of this process are `Shown` meanwhile."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding has not every character
    out: Any = Shown(sys.stdout)
    error: Any = Shown(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        yield
