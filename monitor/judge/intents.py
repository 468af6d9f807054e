# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of intents: one per instance, kept until the watch list shows that it is satisfied.

Pure: `now` is seconds of a monotonic clock, `wall` seconds since 1970 (for people). An intent that a run did not
satisfy, whatever the reason, is sent again, later each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..core.model.moments import Ladder
from ..core.model.words import DOWN, FAILED, FREE, RUNNING
from .watch_list import Watch
from .wishes import Wish

# s after the 1st, 2nd, ... run that did not satisfy an intent. 1 and 3 s let a claim settle, a host come back or the
# next standby park (0.7 to 1.5 s). 30 s bounds what a lasting failure costs: a run takes about 2 CPU seconds.
DELAYS = Ladder((1.0, 3.0, 10.0, 30.0))


@dataclass(slots=True)
class Intent:
    id: str
    wish: Wish
    wall: float
    run: str = ""  # the run that has it now
    attempts: int = 0
    not_before: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The intent as a run takes it."""
        wish = self.wish
        return {
            "id": self.id,
            "instance": wish.instance,
            "epoch": wish.epoch,
            "cause": wish.cause,
            "what": wish.what,
            "why": wish.why,
            "at": self.wall,
            **({"host": wish.host, "began": self.wall - wish.age} if wish.host else {}),
            **({"programs": list(wish.programs)} if wish.programs else {}),
        }


class Intents:
    """The only writer is the monitor's loop."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._queue: dict[str, Intent] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Intent]:
        return iter(list(self._queue.values()))

    def offer(self, wishes: Iterable[Wish], wall: float) -> list[Intent]:
        """Queue an intent for each new wish, and withdraw those that are no longer wished for.

        An intent that a run has stays until the watch list satisfies it, whatever the probes say meanwhile.

        :return: the new intents.
        """
        wished = {wish.key: wish for wish in wishes if not wish.only_reported}
        for name, intent in list(self._queue.items()):
            if not intent.run and name not in wished:
                del self._queue[name]
        new = []
        for name, wish in wished.items():
            known = self._queue.get(name)
            if known is not None:
                same = (known.wish.epoch, known.wish.what) == (wish.epoch, wish.what)
                if same or known.run:
                    continue
            self._count += 1
            intent = Intent("%s-%d" % (self._prefix, self._count), wish, wall)
            self._queue[name] = intent
            new.append(intent)
        return new

    def settle(self, watch: Watch) -> list[tuple[Intent, str]]:
        """Drop the intents that the watch list shows as satisfied. :return: each with a sentence that says how."""
        done = []
        for name, intent in list(self._queue.items()):
            how = satisfied(intent.wish, watch)
            if how:
                del self._queue[name]
                done.append((intent, how))
        return done

    def ready(self, watch: Watch, now: float) -> list[Intent]:
        """Intents to send now: no run has them, their delay is over, and no run is at work on the instance."""
        return [
            intent
            for name, intent in self._queue.items()
            if not intent.run and intent.not_before <= now and (intent.wish.host or _running(watch, name))
        ]

    def dropped(self, run: str, cause: str) -> list[Intent]:
        """Drop the intents of one cause that a run had, satisfied or not. :return: the dropped ones."""
        gone = [intent for intent in self._queue.values() if intent.run == run and intent.wish.cause == cause]
        for intent in gone:
            del self._queue[intent.wish.key]
        return gone

    def next_time(self, now: float) -> float | None:
        """When the next delayed intent becomes due; None if there is none."""
        return min((i.not_before for i in self._queue.values() if not i.run and i.not_before > now), default=None)

    def taken(self, intents: Iterable[Intent], run: str) -> None:
        for intent in intents:
            intent.run = run

    def returned(self, run: str, now: float) -> list[Intent]:
        """The run is over: queue again, with a delay, what it did not satisfy. :return: these intents."""
        back = [intent for intent in self._queue.values() if intent.run == run]
        for intent in back:
            intent.run = ""
            intent.not_before = now + DELAYS.wait(intent.attempts)
            intent.attempts += 1
        return back


def satisfied(wish: Wish, watch: Watch) -> str:
    """How the watch list shows that a wish is satisfied, as a sentence; "" while it is not."""
    if wish.host:
        if watch.hosts.get(wish.host) == DOWN:
            return "%s is noted as down" % wish.host
        return "" if wish.host in watch.hosts else "it is no longer in the site"
    entry = watch.instances.get(wish.instance)
    if entry is None:
        return "it is no longer claimed"
    if entry.epoch != wish.epoch:
        return "it is at epoch %d now" % entry.epoch
    if entry.phase in (FREE, FAILED):
        return "it is %s now" % ("stopped" if entry.phase == FREE else "failed")
    if wish.what == "continue" and not entry.deferred:
        return "nothing is deferred any more"
    return ""


def _running(watch: Watch, name: str) -> bool:
    entry = watch.instances.get(name)
    return entry is not None and entry.phase == RUNNING


def facts(intent: Intent) -> dict[str, Any]:
    """What the journal says of an intent."""
    wish: Wish = intent.wish
    known = {"id": intent.id, "instance": wish.instance, "epoch": wish.epoch, "cause": wish.cause, "what": wish.what}
    return {**known, "host": wish.host} if wish.host else known
