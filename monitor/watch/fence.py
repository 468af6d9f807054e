# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence around a host: enough witnesses refuse it, and said how long their last answers may count. Pure.

A witness that refused and was born again knows nothing of the fence: it is silent for the length of a lease, then it
answers. So a refusal counts for that long only, from when it was asked for, and the witnesses are asked again and
again. When all refusals of a group count at one moment, and what they had answered before does not any more, then the
host has no lease at that moment, and every later one is a new one.

`now` is seconds of the monitor's clock that counts suspended time.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core.host.lease.terms import ENDING, SPARE, Terms, fence_size

Body = dict[str, Any]

AGAIN = 0.1  # s until a witness that did not answer is asked again
REMEMBERED = 10000  # messages that may still be answered


class Fence:
    """What the monitor wants of the witnesses about one host: refuse it, or no longer."""

    def __init__(self, host: str, number: int, sets: Sequence[Sequence[str]], terms: Terms, lift: bool = False) -> None:
        """
        :param number: above those of all earlier fences.
        :param sets: witnesses that the host may be asking: the present ones, and former ones until every host knows it.
        :param lift: whether the fence is taken away.
        """
        self.host = host
        self.number = number
        self.lift = lift
        self._terms = terms
        self._sets = [tuple(names) for names in sets]
        self._told: dict[str, _Told] = {}
        self._asked: dict[str, float] = {}  # witness -> when last
        self._silence = terms.length * (1 - terms.error) / (1 + terms.error)  # of one that was born again, at least

    def asked(self, witness: str, now: float) -> None:
        self._asked[witness] = now

    def hurry(self) -> None:
        """Something new was heard: ask everybody at once."""
        self._asked.clear()

    def missing(self) -> list[str]:
        """The witnesses that have not said it, each once."""
        names = dict.fromkeys(name for names in self._sets for name in names)
        return [name for name in names if name not in self._told]

    def due(self, now: float, often: bool) -> list[str]:
        """The witnesses that are to be asked now, as far as this fence knows.

        :param often: whether it is still new, so that those that were silent are asked again soon.
        """
        names = dict.fromkeys(name for names in self._sets for name in names)
        if self.lift:
            names = dict.fromkeys(self.missing())
        pause = AGAIN if often and self.free_at(now) is None else self._terms.interval
        return [name for name in names if now - self._asked.get(name, -1e9) >= pause]

    def question(self) -> Body:
        """What to send to each of them, without number and birth."""
        return {"k": "lift" if self.lift else "fence", "h": self.host, "f": self.number}

    def told(self, witness: str, body: Mapping[str, Any], now: float, asked: float) -> bool:
        """Take in an answer whose sender is proven. :return: whether it says something new.

        :param asked: when the message that it answers was sent.
        """
        if body.get("h") != self.host or body.get("f") != self.number:
            return False
        if body["k"] != ("lifted" if self.lift else "fenced"):
            return False
        until = now + self._terms.elsewhere(float(body.get("rest") or 0.0) + ENDING) + SPARE
        birth, known = int(body["b"]), self._told.get(witness)
        if known is None or known.birth != birth:
            self._told[witness] = _Told(birth, until, asked)
            return True
        self._told[witness] = _Told(birth, min(until, known.until), max(asked, known.asked))
        return False

    def free_at(self, now: float) -> float | None:
        """From when on nothing of the host can live; None while too few witnesses are known to refuse it.

        Any majority of a set holds one of any `fence_size` of its members, so that many make a group.
        """
        latest = None
        for names in self._sets:
            told = [self._told[name] for name in names if name in self._told]
            groups = itertools.combinations(told, fence_size(len(names))) if names else iter(())
            ends = [max(one.until for one in group) for group in groups
                    if now < min(one.asked for one in group) + self._silence]
            if not ends:
                return None
            latest = max(min(ends), latest or 0.0)
        return latest

    def stands_until(self, now: float) -> float:
        """Until when a fence that is free now stays so without any further answer, at least."""
        earliest = now + self._silence
        for names in self._sets:
            told = sorted((self._told[name] for name in names if name in self._told and self._told[name].until <= now),
                          key=lambda one: one.asked, reverse=True)
            size = fence_size(len(names))
            if not names or len(told) < size:
                return now
            earliest = min(earliest, told[size - 1].asked + self._silence)
        return earliest

    def free(self, now: float) -> bool:
        """Whether nothing of the host can live now."""
        at = self.free_at(now)
        return not self.lift and at is not None and at <= now


class _Told(NamedTuple):
    """That a witness refuses the host."""

    birth: int
    until: float  # when its last answer ceases to count, by the monitor's clock
    asked: float  # when it was asked the question that it answered last


class Talk:
    """What the monitor says to the witnesses, and when."""

    def __init__(self, first: int) -> None:
        """:param first: number of the first message; above those of all earlier monitors."""
        self.sent = first  # number of the last message
        self._times: dict[int, float] = {}  # number -> when it was sent
        self._births: dict[str, int] = {}

    def due(self, fence: Fence, now: float, often: bool = True) -> list[tuple[str, Body]]:
        """What to send now about a fence: (witness, message)."""
        found = []
        for witness in fence.due(now, often):
            fence.asked(witness, now)
            self.sent += 1
            self._times[self.sent] = now
            found.append((witness, dict(fence.question(), n=self.sent, b=self._births.get(witness, 0))))
        for number in list(self._times)[:-REMEMBERED]:
            del self._times[number]
        return found

    def heard(self, witness: str, body: Mapping[str, Any], fence: Fence | None, now: float) -> bool:
        """Take in an answer whose sender is proven. :return: whether the fence has something new to ask.

        :param fence: that of the host which the answer is about.
        """
        if body["k"] == "born":
            known = self._births.get(witness)
            self._births[witness] = int(body["b"])
            return known != self._births[witness]
        asked = self._times.get(int(body["n"]))
        if fence is None or asked is None or not fence.told(witness, body, now, asked):
            return False
        fence.hurry()
        return True
