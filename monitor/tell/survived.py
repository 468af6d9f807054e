# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An unexpected error ends neither the loop nor the task in which it came up: it is logged and counted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..base.journal import Journal

LONGEST_PAUSE_SECONDS = 5.0  # of a pause; the watchdog of systemd waits longer
Rest = ParamSpec("Rest")


class _Teller(Protocol):
    @property
    def journal(self) -> Journal: ...


Self = TypeVar("Self", bound=_Teller)


def survived(
    what: str,
) -> Callable[[Callable[Concatenate[Self, Rest], Any]], Callable[Concatenate[Self, Rest], None]]:
    """Decorator: log an unexpected error of a method instead of raising it into the task that called.

    :param what: what failed then, as a subject: "the intake of an event".
    """

    def decorate(method: Callable[Concatenate[Self, Rest], Any]) -> Callable[Concatenate[Self, Rest], None]:
        @functools.wraps(method)
        def surviving(self: Self, /, *arguments: Rest.args, **words: Rest.kwargs) -> None:
            try:
                method(self, *arguments, **words)
            except Exception as error:
                self.journal.failed(what, error)

        return surviving

    return decorate


def pause(failures: int, shortest: float) -> float:
    """Seconds before the next try after so many failures in a row: doubled each time, with an upper limit."""
    return min(LONGEST_PAUSE_SECONDS, shortest * 2.0 ** min(max(failures - 1, 0), 16))
