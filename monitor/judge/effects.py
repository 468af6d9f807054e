# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the brain wants done, as data. `monitor.loop` and the simulation carry it out.

Carry effects out in the order of the list. Report a run that took a `Send` to `Brain.sent`, and what became of a
`Reconcile` or a `Look` to `Brain.reconcile_begun`: until then the brain takes it as not done, and the next turn returns
it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .asks import Ask
from .intents import Intent


@dataclass(frozen=True, slots=True)
class Note:
    """Write one line to the journal."""

    event: str
    why: str = ""  # one sentence
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Hand an order to a run: the parked one, if there is one. Holds either intents or a person's request."""

    order: Mapping[str, Any]  # JSON for the run: {"intents": [...]} or {"request": {...}}, with {"suspects": {...}}
    at: float  # of the turn
    intents: tuple[Intent, ...] = ()
    ask: Ask | None = None


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Begin a reconcile run that does not go to the hosts of `leave_out`."""

    why: str
    leave_out: tuple[str, ...]
    at: float  # of the turn


@dataclass(frozen=True, slots=True)
class Look:
    """Look at all hosts but those of `leave_out` over the lines, and plan over what they say. Nothing is acted on."""

    why: str
    leave_out: tuple[str, ...]
    at: float  # of the turn


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a person's request; each is answered once."""

    waiter: Any  # as it was given to `Brain.ask`
    content: Mapping[str, Any]  # {"ok", "said": sentences, "refused", "run", "results": {instance: {"result", ...}}}
    request: Mapping[str, Any] = field(default_factory=dict)  # the same as given to `Brain.ask`


@dataclass(frozen=True, slots=True)
class Wake:
    """Take a turn soon, and tell those that follow the status: what the brain knows has changed."""


@dataclass(frozen=True, slots=True)
class BusEnded:
    """Take the word of a host that the program of a bus ended as a result of its probe."""

    instance: str
    epoch: int
    why: str  # one sentence


@dataclass(frozen=True, slots=True)
class Fence:
    """What the witnesses are to do about a host's lease."""

    host: str
    what: str  # fence: refuse it; rest: what it held is moved, so it needs no more proof; lift: answer it again
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """Ask a host on its line at once, without waiting for the next question."""

    host: str


Effect = Question | Note | Send | Reconcile | Look | Answer | Wake | BusEnded | Fence


def note(event: str, why: str = "", **facts: Any) -> Note:
    return Note(event, why, facts)
