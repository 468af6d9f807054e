# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this monitor leads, where several controllers have one.

Pure. One leads at a time: the one whose key etcd has, for as long as its lease certainly holds. That time counts from
the moment at which it asked, so that an answer that was long on its way lengthens nothing. A leader that gets no
answers no longer leads before another one can. Whatever it believes, its runs commit nothing then (`controller.seat`).

`now` is seconds of a clock that also counts while this machine sleeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from ..core.model.place import Sitting
from ..core.model.sentences import clock, listing

MARGIN = 0.1  # of the lease: for clocks that go at different rates, and what it is about to do


Tell = Callable[[Callable[["Leading"], None]], None]


def step(leased: bool, now: Callable[[], float], tell: Tell) -> Generator[str, Any, float]:
    """One round with etcd: keep the lease, then lead if nobody does. Each is yielded by its name, and its answer sent.

    :param tell: takes what happened, to be applied to what is known.
    :return: s until the next one.
    """
    asked = now()
    length: float = yield ("keep" if leased else "grant")
    if not length:
        tell(Leading.gone)
        yield "drop"
        return 0.0
    tell(lambda leading: leading.kept(asked, length))
    sitting: Sitting = yield "sit"
    tell(lambda leading: leading.sat(sitting))
    return length / 4


@dataclass(slots=True)
class Leading:
    """What is known, and what was concluded from it last."""

    name: str  # of this controller
    length: float  # s, of the lease
    sitting: Sitting = field(default_factory=Sitting)
    until: float = -math.inf  # its own lease holds
    heard: float = -math.inf  # when etcd answered last
    trouble: str = ""  # why etcd does not answer: a phrase
    led: bool = False

    def kept(self, asked: float, length: float) -> None:
        """Its lease was granted or kept. :param asked: when that was asked for."""
        self.until = max(self.until, asked + length)
        self.heard, self.trouble = max(self.heard, asked), ""

    def gone(self) -> None:
        """Its lease is over."""
        self.until = -math.inf
        self.sitting = self.sitting._replace(ours=False)

    def sat(self, sitting: Sitting) -> None:
        """Who leads, as etcd says."""
        self.sitting = sitting

    def failed(self, why: str) -> None:
        """etcd did not answer."""
        self.trouble = why

    def leads(self, now: float) -> bool:
        return self.sitting.ours and now < self.until - MARGIN * self.length

    def changed(self, now: float, wall: float) -> str:
        """The sentence when it begins to lead, or no longer leads; "" when neither."""
        before, self.led = self.led, self.leads(now)
        if self.led == before:
            return ""
        return self.sentence(now, wall)

    def sentence(self, now: float, wall: float) -> str:
        """Who leads and since when, or why that is not known. :param wall: s since 1970."""
        since = " since %s" % clock(self.sitting.since, wall, True) if self.sitting.since else ""
        others = [name for name in self.sitting.beside if name != self.sitting.name]
        beside = "%s %s by" % (listing(others), "stands" if len(others) == 1 else "stand") if others else ""
        if self.leads(now):
            return "%s leads%s; %s" % (self.name, since, beside or "no other monitor stands by")
        if self.silent(now):
            return ("etcd does not answer (%s), so nobody is known to lead: nothing is restarted or moved until most of"
                    " its members answer" % (self.trouble or "no answer yet"))  # fmt: skip
        if not self.sitting.name or self.sitting.ours:
            return "no controller leads at present"
        return "%s leads%s; %s" % (self.sitting.name, since, beside or "%s stands by" % self.name)

    def silent(self, now: float) -> bool:
        """Whether etcd has not answered for so long that what it said no longer counts."""
        return now - self.heard > self.length

    def to_json(self, now: float, wall: float) -> dict[str, Any]:
        """For people and the API."""
        known = not self.silent(now)
        return {
            "name": self.name,
            "leads": self.leads(now),
            "leader": self.sitting.name if known else "",
            "since": self.sitting.since if known and self.sitting.name else None,
            "term": self.sitting.term,
            "beside": list(self.sitting.beside) if known else [],
            "says": self.sentence(now, wall),
        }
