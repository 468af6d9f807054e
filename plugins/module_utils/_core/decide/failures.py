# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failure means: of a program that runs, of a bus, of a start."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, List, Optional, Sequence, Tuple

from ..model.moments import Ladder
from ..model.records import Claim, Failure
from ..model.sentences import clock, duration
from ..model.site import Application, Settings
from ..model.words import RUNNING

# Running failure strategies from the mildest to the one that wins over all others.
SEVERITY = ("continue", "restart_process", "restart_application", "stop_application")
TRIES_PER_HOST = 2  # failed starts on one host before another one is tried
# s before the 1st, 2nd, ... restart after crashes in a row. A single crash, and one more, costs no time; from then on
# the cause is probably still there, and each restart is a burst of load for the host and for the bus's clients. 60 s is
# as long as the regular look: somebody who repairs the cause waits no longer than that.
WAITS = Ladder((0.0, 0.0, 2.0, 5.0, 15.0, 30.0, 60.0))
REFUSED_FOR = 600.0  # s that a refusal of a host keeps an instance from it while another one may take it
KEPT = 100  # failures of an instance that are remembered, of one that is tried again for ever
SOUND = 12  # stretches of `stable_after` after which a crash is no longer in a row with those before


def running_failure(application: Application, missing: Iterable[str]) -> str:
    """The strategy that programs missing from a running instance call for: the most severe of theirs."""
    strategies = [application.program(name).running_failure_strategy for name in missing]
    return max(strategies, key=SEVERITY.index) if strategies else "continue"


def bus_failure(application: Application, hung: bool) -> str:
    """The strategy for a bus that crashed or hangs. A hung bus still runs: only a restart of all helps it."""
    program = application.bus.program if application.bus else ""
    strategy = running_failure(application, [program] if program else [])
    return "restart_application" if hung and strategy == "restart_process" else strategy


def starting_failure_strategy(application: Application, program: str) -> str:
    """Of a program; its application's when it has none of its own."""
    return application.program(program).starting_failure_strategy or application.starting_failure_strategy


def charges(claim: Claim, now: float, settings: Settings) -> Tuple[Failure, ...]:
    """The failures that still count against an instance's budget, oldest first.

    They age out after ``failure_window``, and one comes back for every ``stable_after``, but only of operation: an
    instance that fails at every start exhausts its budget however seldom it is tried.
    """
    # Failures further ahead than the window are of a clock that was wrong: they would never age.
    known = tuple(f for f in claim.failures if f.at < now + settings.failure_window)
    if claim.phase != RUNNING:
        return known
    regained = int(max(0.0, now - claim.since) // max(settings.stable_after, 0.001))
    return tuple(f for f in known if f.at > now - settings.failure_window)[regained:]


def refused_lately(claim: Claim, now: float) -> Tuple[Failure, ...]:
    """The refusals for which another host is tried first; none of a future that a wrong clock has made."""
    return tuple(f for f in claim.refusals if 0 <= now - f.at <= REFUSED_FOR)


def charge(claim: Claim, failure: Failure, settings: Settings) -> Tuple[Failure, ...]:
    """The failures of an instance after one more."""
    return (charges(claim, failure.at, settings) + (failure,))[-KEPT:]


def exhausted(failures: Sequence[Failure], settings: Settings) -> bool:
    """Whether the budget is spent: then the instance stays failed until a person clears it."""
    return len(failures) >= settings.failure_budget


def in_a_row(claim: Claim, failure: Failure, settings: Settings) -> Tuple[Failure, ...]:
    """The crashes of an instance in a row, this one included: each came soon after a start.

    A point of the budget comes back for operation that is much shorter, so that a crash now and then is never held
    against an instance; this row is what ends a loop that is slower than that.
    """
    sound = claim.phase == RUNNING and failure.at - claim.since >= SOUND * max(settings.stable_after, 1.0)
    return ((() if sound else claim.crashes) + (failure,))[-KEPT:]


def wait_before(crashes: Sequence[Failure]) -> float:
    """Seconds until an instance with so many crashes in a row is started again."""
    return WAITS.wait(len(crashes) - 1)


def longest_wait(application: Application) -> float:
    """Seconds: a wait that is longer was made by a clock that was wrong."""
    return max(WAITS[-1], application.after_budget.retry if application.after_budget else 0.0)


def endless(crashes: Sequence[Failure], settings: Settings) -> bool:
    """Whether so many crashes in a row are a loop that nothing but a person ends."""
    return len(crashes) > max(settings.failure_budget, len(WAITS))


def given_up(claim: Claim, settings: Settings) -> bool:
    """Whether a failed instance stays failed until a person clears it."""
    return exhausted(claim.failures, settings) or endless(claim.crashes, settings)


def tried_slowly(application: Application, claim: Claim, last: str, now: float) -> Optional[Claim]:
    """The claim of an instance whose budget is spent, with the moment of its next try, and the sentence about it.

    None where it stays failed.

    :param last: the last failure, as a phrase.
    """
    after = application.after_budget
    if after is None or application.on_request:
        return None
    count = max(len(claim.failures), len(claim.crashes))
    until = now + after.retry
    reason = "%s%d attempts failed; muster tries again every %s, next at %s (last: %s)" % (
        "more than " if count >= KEPT else "", count, duration(after.retry), clock(until, now), last,
    )  # fmt: skip
    return replace(claim, until=until, reason=reason)


def avoided_hosts(claim: Claim, now: float, settings: Settings) -> List[str]:
    """Hosts where the instance failed to start often enough to try another one first."""
    return tired_hosts(charges(claim, now, settings))


def tired_hosts(failures: Sequence[Failure]) -> List[str]:
    """The same, of failures that count."""
    failed_at = [f.host for f in failures]
    return sorted({host for host in failed_at if failed_at.count(host) >= TRIES_PER_HOST})
