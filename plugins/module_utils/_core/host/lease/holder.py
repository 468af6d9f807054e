# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that holds a lease: its questions, what their answers are worth, and what follows. Pure.

`Holder` counts answers, `Keeper` decides what the guard does: arm the kernel's timer, say to muster-exec that programs
may start, stop what runs. `now` is seconds of this machine's clock that counts suspended time.
"""

from __future__ import annotations

from .terms import majority, newest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

    from .messages import Body
    from .terms import Terms
else:
    from typing import NamedTuple

_REMEMBERED = 64  # questions that may still be answered

NONE, HELD, STOPPING = "none", "held", "stopping"


class Holder:
    """The questions of one host, and the lease that their answers give."""

    def __init__(self, terms: Terms, witnesses: Sequence[str], first: int) -> None:
        """
        :param first: number of the first question; above those of all earlier lives of this host.
        """
        self.terms = terms
        self._number = first
        self._sent: Dict[int, float] = {}  # number -> when
        self._births: Dict[str, int] = {}
        self._answered: Dict[str, float] = {}  # witness -> when the newest question that it answered was sent
        self.refusing: Dict[str, float] = {}  # witness -> when it said last that this host is fenced
        self.witnesses: Tuple[str, ...] = ()
        self.follow(witnesses)

    def follow(self, witnesses: Sequence[str]) -> None:
        """Ask these witnesses from now on."""
        if tuple(witnesses) != self.witnesses:
            self.witnesses = tuple(witnesses)
            self._answered.clear()  # no majority of the new ones has answered

    def questions(self, now: float) -> List[Tuple[str, Body]]:
        """What to send to each witness now."""
        self._number += 1
        self._sent[self._number] = now
        for number in sorted(self._sent)[:-_REMEMBERED]:
            del self._sent[number]
        return [(name, self._question(name, self._number)) for name in self.witnesses]

    def heard(self, witness: str, body: Mapping[str, Any], now: float) -> Optional[Body]:
        """Take in an answer whose sender is proven. :return: what to send to the witness now."""
        sent = self._sent.get(int(body["n"]))
        if witness not in self.witnesses or sent is None:
            return None
        kind = body["k"]
        if kind == "born":
            if self._births.get(witness) == body["b"]:
                return None
            self._births[witness] = int(body["b"])
            return self._question(witness, int(body["n"]))
        if kind == "yes":
            self._answered[witness] = max(self._answered.get(witness, sent), sent)
            self.refusing.pop(witness, None)
        elif kind == "no":
            self.refusing[witness] = now
        return None

    def until(self) -> Optional[float]:
        """When the lease ends that the answers so far give; None without one."""
        sent = newest(self._answered.values(), majority(len(self.witnesses)))
        return None if sent is None else sent + self.terms.length

    def _question(self, witness: str, number: int) -> Body:
        return {"k": "ask", "n": number, "b": self._births.get(witness, 0), "w": self.terms.length}


class Step(NamedTuple):
    """What the guard does next, in this order."""

    arm: Optional[float] = None  # the kernel ends this service manager then; 0.0: never; None: as before
    allow: Optional[float] = None  # programs may start until then; 0.0: none may; None: as before
    stop: bool = False  # end every instance, windows included


class Keeper:
    """What follows from a lease that comes, goes on and ends. Drive it at each turn and whenever an answer came."""

    def __init__(self, terms: Terms, now: float, patience: float = 0.0) -> None:
        """
        :param patience: s that what lives already has until there must be a lease; 0.0: the length of one.
        """
        self.terms = terms
        self.refused = False  # whether a witness says that this host is fenced
        self._until_first = 0.0
        self.wait(now + (patience or terms.length))
        self.state = NONE
        self.deadline = 0.0  # as the kernel knows it; 0: not armed
        self.sessions = 0  # leases so far: programs that one of them allowed are not started under another

    def wait(self, until: float) -> None:
        """What lives although no lease was needed has until then to get one."""
        self._until_first = until

    def step(self, now: float, until: Optional[float], lives: bool) -> Step:
        """
        :param until: when the lease ends, by the answers so far.
        :param lives: whether any process of an instance lives here.
        """
        longer = until if until is not None and until > max(self.deadline, now) else None
        if self.state == NONE:
            if longer is None or longer - self.terms.margin <= now:
                return Step(stop=lives and (self.refused or now > self._until_first))
            self.state, self._until_first = HELD, now
            self.sessions += 1
            return self._armed(longer, longer - self.terms.margin)
        if self.state == HELD:
            if longer is not None:
                return self._armed(longer, longer - self.terms.margin)
            if now < self.deadline - self.terms.margin:
                return Step()
            self.state = STOPPING
            return Step(allow=0.0, stop=True)
        if not lives:
            self.state = NONE
            self.deadline = 0.0
            return Step(arm=0.0)
        return self._armed(longer, None, stop=True) if longer is not None else Step(stop=True)

    def _armed(self, deadline: float, allow: Optional[float], stop: bool = False) -> Step:
        self.deadline = deadline
        return Step(arm=deadline, allow=allow, stop=stop)
