# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probes' results say about a bus: healthy, unhealthy or unknown, and why.

Pure: no clock, no I/O. `now` and every `at` are seconds of one monotonic clock. A `Health` belongs to one epoch of one
bus; a new epoch gets a new `Health`, so that a late failure of the previous one can not count.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What one round trip, or the end of a connection, showed."""

    ANSWERED = "answered"
    MISSED = "missed"  # the machine takes connections, the bus does not answer in time
    GONE = "gone"  # the held connection ended and an immediate reconnect was refused
    REFUSED = "refused"  # nothing listens, and nothing did since we look
    UNREACHABLE = "unreachable"  # the machine does not answer: says nothing about the bus


class State(enum.Enum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


CRASH = "bus crash"
HANG = "bus hang"
EXPIRES_AFTER = 3  # intervals (or timeouts, whichever is longer) without any result


@dataclass(frozen=True, slots=True)
class Result:
    kind: Kind
    at: float
    why: str = ""  # one sentence unless answered
    latency: float = 0.0  # s, of an answer


class Health:
    """N missed in a row make a hang, one end of connection a crash; news that is too old is no news."""

    __slots__ = ("_state", "cause", "failures", "last", "missed", "period", "since", "why")

    def __init__(self, now: float, *, failures: int, interval: float, timeout: float) -> None:
        self.failures = failures
        self.period = max(interval, timeout)
        self._state = State.UNKNOWN
        self.cause = ""  # CRASH | HANG while unhealthy
        self.why = "not asked yet"
        self.since = now  # of the present state
        self.missed = 0  # in a row
        self.last = Result(Kind.ANSWERED, now)

    def note(self, result: Result) -> bool:
        """Take a result in; true when the state changed with it."""
        self.last = result
        if result.kind is Kind.ANSWERED:
            self.missed = 0
            return self._become(State.HEALTHY, "", "", result.at)
        if result.kind is Kind.GONE:
            return self._become(State.UNHEALTHY, CRASH, result.why, result.at)
        if result.kind is Kind.UNREACHABLE:
            self.missed = 0
            if self._state is State.UNHEALTHY:
                return False
            return self._become(State.UNKNOWN, "", result.why, result.at)
        self.missed += 1
        if self._state is State.UNHEALTHY:
            return False
        if self.missed < self.failures:
            self.why = result.why
            return False
        cause = CRASH if result.kind is Kind.REFUSED else HANG
        return self._become(State.UNHEALTHY, cause, result.why, result.at)

    def expired(self, now: float) -> bool:
        return now - self.last.at > EXPIRES_AFTER * self.period

    def state(self, now: float) -> State:
        """The state as of `now`: a healthy word expires, an unhealthy one stands until its epoch ends or it answers."""
        if self._state is State.HEALTHY and self.expired(now):
            return State.UNKNOWN
        return self._state

    def _become(self, state: State, cause: str, why: str, at: float) -> bool:
        changed = state is not self._state or cause != self.cause
        if changed:
            self.since = at
        self._state, self.cause, self.why = state, cause, why
        return changed

    def to_json(self, now: float) -> dict[str, object]:
        """For the status file: `since` and `asked` as seconds ago, latency in milliseconds."""
        state = self.state(now)
        stale = state is State.UNKNOWN and self._state is State.HEALTHY
        return {
            "state": state.value,
            "cause": self.cause,
            "why": "no answer was taken in for %.0f s" % (now - self.last.at) if stale else self.why,
            "since": round(now - self.since, 1),
            "missed": self.missed,
            "latency_ms": round(self.last.latency * 1000, 2),
        }
