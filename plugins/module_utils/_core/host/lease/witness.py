# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A witness: answers the hosts, refuses those that are fenced, and remembers how long its answers count. Pure.

It keeps nothing on disk. After its birth it is silent for as long as an answer can count that an earlier life of it may
have given, and counts that silence as such an answer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional

    from .messages import Body
    from .terms import Terms

MOST_SENDERS = 20000  # hosts that it remembers; beyond, new ones get no answer


class Witness:
    """One life of a witness. `now` is seconds of this machine's clock that counts suspended time."""

    def __init__(self, terms: Terms, now: float, birth: int, longest: float = 0.0) -> None:
        """
        :param birth: a random number above 0.
        :param longest: the longest lease that any host of the site ever had, in seconds; 0: that of `terms`.
        """
        self.terms = terms
        self.birth = birth
        self.longest = max(longest, terms.length)
        self._born = now
        self._until: Dict[str, float] = {}  # host -> when the last answer to it ceases to count
        self._fences: Dict[str, int] = {}  # host -> number
        self._numbers: Dict[str, int] = {}  # sender -> number of its last message
        self.counts = {"answered": 0, "refused": 0, "replayed": 0, "unborn": 0}

    def handle(self, sender: str, body: Mapping[str, Any], monitor: bool, now: float) -> Optional[Body]:
        """The answer to a message whose sender is proven; None: there is none.

        :param monitor: whether the sender is the monitor.
        """
        number, kind = int(body["n"]), body["k"]
        if body["b"] != self.birth:
            self.counts["unborn"] += 1
            return self._answer("born", number)
        if sender not in self._numbers and len(self._numbers) >= MOST_SENDERS:
            return None
        if number <= self._numbers.get(sender, 0):
            self.counts["replayed"] += 1
            return None
        self._numbers[sender] = number
        if kind == "ask" and not monitor:
            return self._asked(sender, number, float(body.get("w") or 0.0), now)
        if kind in ("fence", "lift") and monitor and body.get("h"):
            return self._fence(kind, str(body["h"]), number, int(body.get("f") or 0), now)
        return None

    def fenced(self) -> Dict[str, int]:
        """host -> number of its fence."""
        return dict(self._fences)

    def quiet(self, now: float) -> bool:
        """Whether it answers no host yet."""
        return now < self._quiet_until()

    def _quiet_until(self) -> float:
        return self._born + self.terms.elsewhere(self.longest)

    def _asked(self, host: str, number: int, length: float, now: float) -> Optional[Body]:
        if host in self._fences:
            self.counts["refused"] += 1
            return self._answer("no", number)
        if self.quiet(now) or not 0 < length <= self.longest:
            return None
        self._until[host] = max(self._until.get(host, now), now + self.terms.elsewhere(length))
        self.counts["answered"] += 1
        return self._answer("yes", number)

    def _fence(self, kind: str, host: str, number: int, fence: int, now: float) -> Body:
        if kind == "lift":
            if self._fences.get(host, fence) <= fence:
                self._fences.pop(host, None)
            return dict(self._answer("lifted", number), h=host, f=fence)
        self._fences[host] = max(self._fences.get(host, 0), fence)
        rest = max(self._until.get(host, now), self._quiet_until()) - now
        return dict(self._answer("fenced", number), h=host, f=fence, rest=round(max(0.0, rest) + 0.0005, 3))

    def _answer(self, kind: str, number: int) -> Body:
        return {"k": kind, "n": number, "b": self.birth}
