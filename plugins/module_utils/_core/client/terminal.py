# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a command prints goes through here: no text of a host or program gives the terminal an order."""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import sys
from typing import Any, Callable

from ..model.text import for_terminal

FAILED, BROKEN_PIPE = 1, 141  # exit codes
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


class Unwritable(Exception):
    """What is shown cannot be written; the text is why, or nothing when its reader has gone. It is no OSError, for what
    a command does about the monitor's socket must not swallow it."""


class Shown:
    """A text stream that writes to another one what `for_terminal` leaves of a text."""

    def __init__(self, stream: Any, needed: bool = True) -> None:
        """:param stream: None where the caller closed it. :param needed: whether it is an error when it cannot be
        written."""
        self._stream = stream
        self._needed = needed

    def write(self, text: str) -> int:
        """:raises Unwritable: when it is needed."""
        self._do("write", text if text in _ORDERS else for_terminal(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """:raises Unwritable: when it is needed."""
        self._do("flush")

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())

    def _do(self, what: str, *arguments: str) -> None:
        why = "it is closed"
        if self._stream is not None:
            try:
                getattr(self._stream, what)(*arguments)
                return
            except BrokenPipeError:
                why = ""
            except OSError as error:
                why = error.strerror or str(error)
        if self._needed:
            raise Unwritable(why)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unread() -> bool:
    """Whether nobody reads standard output any more: who follows something may have nothing to write for long."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(flags & select.POLLERR for _descriptor, flags in poll.poll(0))
    except (OSError, ValueError, AttributeError):  # it is no file
        return False


def guarded(command: Callable[[], int]) -> int:
    """Run a command while standard output and standard error of this process are `Shown`.

    :return: its exit code; that of a program that was ended, where nobody reads what it writes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding has not every character
    out: Any = Shown(sys.stdout)
    error: Any = Shown(sys.stderr, needed=False)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = command()
            if sys.__stdout__ is not None:
                out.flush()
            return code
        except Unwritable as problem:
            if str(problem):
                error.write("muster: what is shown cannot be written: %s\n" % problem)
            if sys.__stdout__ is not None:  # nothing of what is left shall be tried at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
            return FAILED if str(problem) else BROKEN_PIPE
