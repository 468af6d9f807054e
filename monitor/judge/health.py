# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a bus, from the results of its probes: healthy, unhealthy or unknown, and why.

Pure: no clock, no I/O. `now` and every `at` are seconds of one monotonic clock. A `Health` belongs to one epoch of one
bus; a new epoch gets a new `Health`, so that a late failure of the previous one cannot count.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.model.words import BUS_CRASH, BUS_HANG


class Kind(enum.Enum):
    """What one round trip, or the end of a connection, showed."""

    ANSWERED = "answered"
    MISSED = "missed"  # the machine takes connections, the bus does not answer in time
    GONE = "gone"  # the held connection ended and an immediate reconnect was refused
    REFUSED = "refused"  # nothing listens, and nothing did since the probe began
    UNREACHABLE = "unreachable"  # the machine does not answer: the state of the bus is not known
    UNSURE = "unsure"  # the probe cannot decide: it was turned away, or its own settings are wrong


class State(enum.Enum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


EXPIRES_AFTER_INTERVALS = 3  # (or timeouts, whichever is longer) without any result


@dataclass(frozen=True, slots=True)
class Result:
    kind: Kind
    at: float
    why: str = ""  # one sentence unless answered
    latency: float = 0.0  # s, of an answer
    warning: str = ""  # of an answer: a sentence about what is not well


class Health:
    """The health of one bus under one epoch. N of the last M answers missed are a hang; an ended connection is a crash.

    A result that is too old makes a healthy bus unknown.

    :param failures: N.
    :param interval: s between two questions. :param timeout: s for an answer.
    :param window: M; 0: as many as `failures`, so they must be in a row.
    :param slow: s; N of the last M answers that took longer make a warning. 0: no limit.
    :param grace: s from `now` in which a bus that has not answered yet counts as starting, not as unhealthy.
    """

    __slots__ = (
        "_answered",
        "_mask",
        "_misses",
        "_state",
        "_until",
        "_warned",
        "cause",
        "failures",
        "last",
        "missed",
        "period",
        "since",
        "slow",
        "warning",
        "why",
    )

    def __init__(
        self,
        now: float,
        *,
        failures: int,
        interval: float,
        timeout: float,
        window: int = 0,
        slow: float = 0.0,
        grace: float = 0.0,
    ) -> None:
        self.failures = failures
        self.period = max(interval, timeout)
        self.slow = slow
        self._mask = (1 << max(window, failures)) - 1
        self._misses = 0  # the last `window` results, newest in the lowest bit; set: missed
        self._warned = 0  # the last `window` answers; set: with a warning
        self._until = now + grace
        self._answered = False
        self._state = State.UNKNOWN
        self.cause = ""  # BUS_CRASH | BUS_HANG while unhealthy
        self.why = "not asked yet"
        self.warning = ""  # a sentence while it is healthy and something is not well
        self.since = now  # of the present state
        self.missed = 0  # in a row
        self.last = Result(Kind.ANSWERED, now)

    def note(self, result: Result, part: int = 0) -> bool:
        """Take a result in.

        :param part: of a composed health: the number of the probe.
        :return: whether the state changed, or whether there is a warning.
        """
        self.last = result
        if result.kind is Kind.ANSWERED:
            return self._note_answer(result)
        if result.kind in (Kind.UNREACHABLE, Kind.UNSURE):
            self.missed = self._misses = 0
            if self._state is State.UNHEALTHY:
                return False
            untold = result.kind is Kind.UNSURE and result.why != self.why
            return self._become(State.UNKNOWN, "", result.why, result.at) or untold
        starting = not self._answered and result.at < self._until
        if result.kind is Kind.GONE and not starting:
            return self._become(State.UNHEALTHY, BUS_CRASH, result.why, result.at)
        self.missed += 1
        self._misses = (self._misses << 1 | 1) & self._mask
        if self._state is State.UNHEALTHY:
            return False
        if starting or self._misses.bit_count() < self.failures:
            self.why = "it is starting: %s" % result.why if starting else result.why
            return False
        if result.kind is Kind.REFUSED and not self._answered:
            return self._never_heard(result)
        cause = BUS_CRASH if result.kind is Kind.REFUSED else BUS_HANG
        return self._become(State.UNHEALTHY, cause, self._counted(result.why), result.at)

    def ended(self, why: str) -> bool:
        """The host's service manager says that the program of this bus ended, whatever a probe can see of it.

        :return: whether the state changed.
        """
        return self._become(State.UNHEALTHY, BUS_CRASH, why, self.last.at)

    def _never_heard(self, result: Result) -> bool:
        """A port that was never open here may be closed by a firewall: the host knows whether its bus runs."""
        why = "%s; it has never answered here: it does not run, or a firewall rejects this controller" % result.why
        untold = why != self.why
        return self._become(State.UNKNOWN, "", why, result.at) or untold

    def _note_answer(self, result: Result) -> bool:
        self._answered = True
        self.missed = 0
        if self._misses:
            self._misses = 0 if self.cause == BUS_CRASH else self._misses << 1 & self._mask
        changed = False
        if result.warning or self.slow or self._warned:
            changed = self._note_warning(result)
        if self._state is State.UNHEALTHY and self._misses.bit_count() >= self.failures:
            return changed  # one answer among many misses
        return self._become(State.HEALTHY, "", "", result.at) or changed

    def _note_warning(self, result: Result) -> bool:
        why = result.warning
        if not why and self.slow and result.latency > self.slow:
            why = "answers slowly: %.3g s, more than %g s" % (result.latency, self.slow)
        self._warned = (self._warned << 1 | bool(why)) & self._mask
        before = self.warning
        if self._warned.bit_count() < self.failures:
            self.warning = ""
        elif why:
            self.warning = why
        return bool(before) != bool(self.warning)

    def _counted(self, why: str) -> str:
        window = self._mask.bit_length()
        return why if window == self.failures else "%s (%d of the last %d)" % (why, self._misses.bit_count(), window)

    def expired(self, now: float) -> bool:
        return now - self.last.at > EXPIRES_AFTER_INTERVALS * self.period

    def state(self, now: float) -> State:
        """The state as of `now`. Healthy expires without new results; unhealthy stays until the bus answers."""
        if self._state is State.HEALTHY and self.expired(now):
            return State.UNKNOWN
        return self._state

    def _become(self, state: State, cause: str, why: str, at: float) -> bool:
        changed = state is not self._state or cause != self.cause
        if changed:
            self.since = at
        if state is not State.HEALTHY:
            self.warning = ""
        self._state, self.cause, self.why = state, cause, why
        return changed

    def to_json(self, now: float) -> dict[str, object]:
        """For the status file: `since` and `asked` as seconds ago, latency in milliseconds."""
        state = self.state(now)
        stale = state is State.UNKNOWN and self._state is State.HEALTHY
        found: dict[str, object] = {
            "state": state.value,
            "cause": self.cause,
            "why": "no answer was taken in for %.0f s" % (now - self.last.at) if stale else self.why,
            "since": round(now - self.since, 1),
            "missed": self.missed,
            "latency_ms": round(self.last.latency * 1000, 2),
        }
        if self.warning and state is State.HEALTHY:
            found["warning"] = self.warning
        return found


class Composed(Health):
    """One health of several probes: all of them, or any of them.

    A result is noted under the number of its probe, in the order written, those of nested ones included.
    """

    __slots__ = ("_any", "_parts", "_sizes", "names")

    def __init__(self, now: float, any_of: bool, parts: Sequence[Health], names: Sequence[str]) -> None:
        super().__init__(now, failures=1, interval=0.0, timeout=0.0)
        self._any = any_of
        self._parts = tuple(parts)
        self._sizes = [part.size() if isinstance(part, Composed) else 1 for part in parts]
        self.names = tuple(names)
        self.failures = max(part.failures for part in parts)
        self.period = max(part.period for part in parts)

    def size(self) -> int:
        return sum(self._sizes)

    def note(self, result: Result, part: int = 0) -> bool:
        self.last = result
        for number, size in enumerate(self._sizes):
            if part < size:
                self._parts[number].note(result, part)
                break
            part -= size
        self.missed = max(one.missed for one in self._parts)
        before = (self.warning, self.why if self._state is State.UNKNOWN else "")
        state, cause, why = self._together(result.at)
        changed = self._become(state, cause, why, result.at)
        self.warning = self._warning(state, result.at)
        unsure = result.kind is Kind.UNSURE and state is State.UNKNOWN and why != before[1]
        return changed or unsure or bool(before[0]) != bool(self.warning)

    def ended(self, why: str) -> bool:
        for part in self._parts:
            part.ended(why)
        return super().ended(why)

    def state(self, now: float) -> State:
        return self._together(now)[0]

    def expired(self, now: float) -> bool:
        return all(part.expired(now) for part in self._parts)

    def _together(self, now: float) -> tuple[State, str, str]:
        states = [part.state(now) for part in self._parts]
        bad = [part for part, state in zip(self._parts, states) if state is State.UNHEALTHY]
        if (self._any and State.HEALTHY in states) or all(state is State.HEALTHY for state in states):
            return State.HEALTHY, "", ""
        if bad and (not self._any or len(bad) == len(states)):
            crashed = [part for part in bad if part.cause == BUS_CRASH]
            sure = len(crashed) == len(states) if self._any else bool(crashed)
            named = [self._named(part, part.why) for part in (crashed if crashed and not self._any else bad)]
            return State.UNHEALTHY, BUS_CRASH if sure else BUS_HANG, "; ".join(named)
        open_ = [part for part, state in zip(self._parts, states) if state is State.UNKNOWN]
        return State.UNKNOWN, "", "; ".join(self._named(part, part.why) for part in open_)

    def _warning(self, state: State, now: float) -> str:
        if state is not State.HEALTHY:
            return ""
        said = [self._named(part, part.warning) for part in self._parts if part.warning]
        if self._any:
            bad = [part for part in self._parts if part.state(now) is State.UNHEALTHY]
            said += [self._named(part, part.why) for part in bad]
        return "; ".join(said)

    def _named(self, part: Health, why: str) -> str:
        return "%s: %s" % (self.names[self._parts.index(part)], why)

    def to_json(self, now: float) -> dict[str, object]:
        found = super().to_json(now)
        if self.state(now) is State.UNKNOWN:
            found["why"] = self._together(now)[2]
        found["parts"] = [dict(part.to_json(now), probe=name) for name, part in zip(self.names, self._parts)]
        return found
