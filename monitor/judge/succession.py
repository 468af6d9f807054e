# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor does when it begins to lead, while it stands by, and when it no longer leads."""

from __future__ import annotations

from typing import Any

from .brain import Brain
from .bus_signals import BusSignals
from .effects import Effect, Wake, note
from .fencing import Fencing
from .intents import Intents

BLIND_SECONDS = 20.0  # at most, until a reconcile has looked at the hosts; requests wait for it


def take_lead(brain: Brain, now: float, why: str, term: int) -> list[Effect]:
    """Begin: what others may have begun is in the ledger. Silence counts from now on, since nobody acted on it before.

    :param term: which makes its intents' names its own.
    """
    brain.hosts.afresh(now)
    _forget(brain)
    brain.intents, brain.fencing = Intents("%x" % term), Fencing()
    brain.blind_until = now + BLIND_SECONDS
    brain.schedule.soon("%s: what its predecessor did not finish" % why)
    return [note("lead", why), Wake()]


def stand_down(brain: Brain, why: str) -> list[Effect]:
    """Nothing is begun any more. Requests that a run has stay: the run may have planned them, and then it answers."""
    _forget(brain)
    brain.intents = Intents("none")
    return [note("lead", why), Wake()]


def without_a_run(brain: Brain) -> list[tuple[str, Any]]:
    """Take the requests that no run has, or that a run lost, from one that stands by; the ledger keeps them.

    :return: (id, waiter) of each.
    """
    left = [ask for ask in brain.asks if not ask.run]
    for ask in left:
        brain.asks.drop(ask)
    return [(str(ask.request.get("id") or ""), ask.waiter) for ask in left]


def _forget(brain: Brain) -> None:
    """Forget what was under way, and how long something is lost."""
    brain.bus_signals, brain.runs_sent, brain.reconciling = BusSignals(), {}, False
