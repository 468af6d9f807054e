# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a reconcile is due, apart from the intents of failures.

Pure: `now` is seconds of a monotonic clock, `wall` seconds since 1970, as the deadlines in the watch list. Reasons:

- the regular look at all hosts: over the lines where that is possible, and by a playbook now and then (`by_lines`);
- capacity that may have come back while instances wait for it;
- instances that are wanted and do not run (the plan limits the tries, by their budget);
- an intent that a run did not satisfy;
- an instance that crashed in a row, or whose budget is spent, and whose wait is over;
- a claim that is stuck, because its run died between commit and outcome: as soon as its process is seen to be gone,
  else when its deadline is over;
- a rollout whose batch under way may be well by now;
- a host that a run did not reach;
- a reconcile that ended before it planned.

The last three are tried again later each time (`Again`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.model.moments import Ladder
from ..core.model.words import DOWN, FAILED, FREE, MONITOR, STARTED, STARTING, STOPPING, UP
from .retries import Again
from .watch_list import Watch

# s before a rollout goes on: so long a run takes to look at all hosts, and its plan waits for the moment itself.
ROLLOUT_EARLY_SECONDS = 5.0
CARRIER_LATE_SECONDS = 10.0  # s after it: the run that was to go on with it has not
SETTLE_SECONDS = 1.0  # of quiet after the change that may have freed capacity
PAST_DEADLINE_SECONDS = 1.0
FINISH_APART_SECONDS = 0.5  # after the last reconcile, when something waited only for a run to end
REGULAR = "periodic check of all hosts"
ROLLOUT = "the rollout goes on"
RECONCILES_APART_SECONDS = 5.0  # between two reconciles that were not the regular one
LOOK_APART_SECONDS = 2.0  # between two of them because of one lost signal
LOOKS_APART = 2  # regular looks between two looks at a host that is not reached, at most
# s before each reconcile for what is wanted and does not run, counted from the last one. It finds capacity that came
# back without a sign in the watch list. Together they are about the interval of the regular look, which goes on then.
RETRIES = Ladder((5.0, 10.0, 20.0, 40.0))


class Schedule:
    """Remembers what the watch list looked like; one per monitor."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._by_run = -math.inf  # when the last reconcile was begun, by a playbook
        self._capacity_at: float | None = None
        self._asked = ""  # why one was asked for by `soon`
        self._asked_apart = RECONCILES_APART_SECONDS
        self._waiting: set[tuple[str, int]] = set()  # wanted and not there: instance, epoch
        self._waiting_since = now
        self._retries = 0
        self._moving: dict[str, tuple[int, str, float]] = {}  # instance -> epoch, phase, first seen so
        self._unfinished: set[str] = set()  # instances to plan again once no run is at work on them
        self._stuck: Again[tuple[str, int, str, float | None]] = Again()  # instance, epoch, phase, deadline
        self._gone: Again[str] = Again()  # processes of runs
        self._waited: Again[tuple[str, int, float]] = Again()  # instance, epoch, until
        self._unreached: Again[str] = Again()  # hosts
        self._why = ""  # the last one was begun
        self._unplanned: Again[str] = Again()  # the one key: reconciles that planned nothing

    def watch_changed(self, before: Watch, after: Watch, now: float) -> None:
        longest = LOOKS_APART * after.observe_interval or math.inf
        self._stuck.longest = self._waited.longest = self._gone.longest = longest
        self._unreached.longest = self._unplanned.longest = longest
        if waiting(after) and _freed(before, after):
            self._capacity_at = now
        now_waiting = {(name, _epoch(after, name)) for name in waiting(after)}
        if now_waiting - self._waiting:
            self._waiting_since, self._retries = now, 0
        self._waiting = now_waiting
        moving: dict[str, tuple[int, str, float]] = {}
        for name, entry in after.instances.items():
            if entry.phase not in (STARTING, STOPPING):
                continue
            known = self._moving.get(name)
            same = known is not None and known[:2] == (entry.epoch, entry.phase)
            moving[name] = known if same and known is not None else (entry.epoch, entry.phase, now)
        self._moving = moving

    def due(self, watch: Watch, now: float, wall: float, regular: bool = True) -> str:
        """Why a reconcile is due now, as a sentence; "" if none is. :param regular: whether the regular look may be."""
        apart = now - self._last
        self._follow_stuck(watch, now, wall)
        self._follow_waits(watch, now, wall)
        self._gone.follow(dict.fromkeys(watch.gone, "a run ended in the middle of its work"), now)
        if apart >= FINISH_APART_SECONDS:
            free = sorted(name for name in self._unfinished if not _busy(watch, name, wall))
            if free:
                return "the run that was at work on %s is over, and something is left to do" % _few(free)
            for why in self._waited.due(now).values():
                return why
        if self._asked and self._asked_apart < RECONCILES_APART_SECONDS and apart >= self._asked_apart:
            return self._asked
        if apart >= LOOK_APART_SECONDS:
            for rows in (self._gone, self._unplanned, self._unreached):
                for why in rows.due(now).values():
                    return why
        if apart >= RECONCILES_APART_SECONDS:
            if watch.ends and watch.ends[0] <= wall:
                return "a drain or a pause is over"
            for why in self._stuck.due(now).values():
                return why
            settled = self._capacity_at is not None and now - self._capacity_at >= SETTLE_SECONDS
            if settled and waiting(watch):
                return "trying again: %s may find room now" % _few(waiting(watch))
            if self._asked and apart >= self._asked_apart:
                return self._asked
            if self._waiting and self._retries < len(RETRIES):
                since = max(self._waiting_since, self._last)
                if now - since >= RETRIES[self._retries]:
                    return "%s wanted and not running" % _few(sorted(name for name, _unused in self._waiting))
        if regular and 0 < watch.observe_interval <= apart:
            return REGULAR
        return ""

    def _follow_stuck(self, watch: Watch, now: float, wall: float) -> None:
        """Claims past their deadline. On a host that does not answer they stay stuck: hence the growing delays."""
        found = {}
        for name, (epoch, phase, _unused) in self._moving.items():
            if self._is_stuck(watch, name, now, wall):
                why = "%s is %s and the run that was acting on it is past its deadline" % (name, phase)
                found[name, epoch, phase, watch.instances[name].deadline] = why
        self._stuck.follow(found, now)

    def _follow_waits(self, watch: Watch, now: float, wall: float) -> None:
        found = {}
        for name, entry in watch.instances.items():
            if 0 < entry.until <= wall:
                found[name, entry.epoch, entry.until] = "%s has waited and is tried again" % name
        for name, due in watch.moves.items():
            if due <= wall:
                found[name, 0, due] = "the move of %s is due" % name
        if watch.rollout_due is not None:
            shift = CARRIER_LATE_SECONDS if watch.rollout_carried else -ROLLOUT_EARLY_SECONDS
            if watch.rollout_due + shift <= wall:
                found["", 0, watch.rollout_due] = ROLLOUT
        self._waited.follow(found, now)

    def _is_stuck(self, watch: Watch, name: str, now: float, wall: float) -> bool:
        deadline = watch.instances[name].deadline
        if deadline is not None:
            return wall > deadline + PAST_DEADLINE_SECONDS
        return now - self._moving[name][2] > watch.run_timeout

    def by_lines(self, watch: Watch, why: str, now: float) -> bool:
        """Whether a look for this reason may go over the lines. A reconcile shows what they cannot: that Ansible
        reaches the hosts and may do there what it has to."""
        return why == REGULAR and now - self._by_run < watch.reconcile_interval

    def soon(self, why: str, apart: float = RECONCILES_APART_SECONDS) -> None:
        """Ask for a reconcile as soon as the last one began `apart` seconds ago. :param why: one sentence."""
        if not self._asked or apart < self._asked_apart:
            self._asked, self._asked_apart = why, apart

    def unreached(self, host: str, why: str, began: float) -> None:
        """A run that began at `began` did not reach this host: try again, later each time."""
        self._unreached.note(host, "%s: %s" % (host, why), began)

    def reached(self, hosts: Iterable[str]) -> None:
        """Forget that runs did not reach these hosts: they answer, or a line shows when they do."""
        self._unreached.forget(hosts)

    def looks_at(self, now: float) -> set[str]:
        """Hosts that were not reached before, and are due for the next try."""
        return set(self._unreached.due(now))

    @property
    def asked(self) -> bool:
        """Whether a reconcile was asked for by `soon`."""
        return bool(self._asked)

    def finish(self, names: Iterable[str]) -> None:
        """Plan these instances again as soon as the run that is at work on them is over."""
        self._unfinished.update(names)

    def over(self, planned: bool, began: float) -> None:
        """A reconcile that began at `began` is over; one that ended before it planned is tried again."""
        if planned:
            self._unplanned.forget(("reconcile",))
        else:
            self._unplanned.note("reconcile", self._why, began)

    def looked(self, now: float) -> None:
        """A look over the lines was begun."""
        self._last, self._why = now, REGULAR

    def started(self, now: float, why: str = "") -> None:
        self._last, self._why, self._by_run = now, why, now
        self._stuck.tried(now)
        self._gone.tried(now)
        self._waited.tried(now)
        self._unreached.tried(now)
        self._unplanned.tried(now)
        self._unfinished.clear()
        self._asked = ""
        self._retries += 1
        self._capacity_at = None
        self._moving = {name: (epoch, phase, now) for name, (epoch, phase, _unused) in self._moving.items()}


def variables(why: str, watch: Watch) -> dict[str, Any]:
    """Of the playbook for a reconcile of the monitor. It goes on with a rollout, and for one it began early."""
    due = {"muster_due": watch.rollout_due} if why == ROLLOUT else {}
    return {"muster_who": MONITOR, "muster_why": why, "muster_carries": True, **due}


def waiting(watch: Watch) -> list[str]:
    """Instances that are wanted started and that no host holds, or one that is down; not those that wait a while."""
    return [n for n, state in watch.wanted.items() if state == STARTED and _homeless(watch, n) and not _until(watch, n)]


def _homeless(watch: Watch, name: str) -> bool:
    entry = watch.instances.get(name)
    return entry is None or entry.phase in (FREE, FAILED) or watch.hosts.get(entry.host) == DOWN


def _busy(watch: Watch, name: str, wall: float) -> bool:
    entry = watch.instances.get(name)
    return entry is not None and entry.deadline is not None and entry.deadline > wall


def _until(watch: Watch, name: str) -> float:
    entry = watch.instances.get(name)
    return entry.until if entry is not None else 0.0


def _epoch(watch: Watch, name: str) -> int:
    entry = watch.instances.get(name)
    return entry.epoch if entry is not None else 0


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 6 else "%s and %d more" % (", ".join(names[:4]), len(names) - 4)


def _freed(before: Watch, after: Watch) -> bool:
    held = _held(after)
    if any(name not in held for name in _held(before)):
        return True
    return _usable(after.hosts) > _usable(before.hosts)


def _held(watch: Watch) -> set[str]:
    return {name for name, entry in watch.instances.items() if entry.phase not in (FREE, FAILED)}


def _usable(hosts: Mapping[str, str]) -> set[str]:
    return {name for name, state in hosts.items() if state == UP}
