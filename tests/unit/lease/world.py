# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One simulated history of leases: a host, its witnesses and a monitor, around the real decisions of `host.lease`.

The host holds an instance. Again and again the monitor decides to move it, fences the host, and starts the copy
elsewhere when the fence allows it. Processes stand still, links break in each direction, datagrams are lost and late,
witnesses are born again without memory, clocks run at wrong rates; starts on the host stand still between their checks
and the program. The rule: no moment at which the host and the other place have a copy.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from monitor.core.host.lease import terms as lease_terms
from monitor.core.host.lease.holder import Holder, Keeper
from monitor.core.host.lease.terms import Terms
from monitor.core.host.lease.witness import Witness
from monitor.watch.fence import Fence, Talk

END = 45.0  # s that a history lasts
NEVER = -1e9
Span = tuple[float, float]


@dataclass
class Life:
    """One service manager of the host, with its guard."""

    holder: Holder
    keeper: Keeper
    token: str
    dead: float | None = None  # when the kernel ended it
    armed: float = 0.0  # as the kernel knows it
    allow: float = 0.0
    programs: set[int] = field(default_factory=set)  # starts under way, too: they have its death signal


class World:
    """The truth, and what happens in it."""

    def __init__(self, seed: int, sabotage: str = "", count: int = 3) -> None:
        self.chance, self.sabotage = random.Random(seed), sabotage
        wrong = 0.05 if sabotage == "clocks worse than allowed for" else 0.001
        self.terms = Terms(2.0, 0.4, 0.001)
        self.names = ["w%d" % number for number in range(count)]
        self.everybody = ["x", "m", *self.names, "w-new"]
        self.rate = {name: 1 + self.chance.uniform(-wrong, wrong) for name in self.everybody}
        self.offset = {name: self.chance.uniform(0, 1000) for name in self.everybody}
        self.queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.count = self.births = 0
        self.here: dict[int, Life | None] = {}  # programs that live on the host; None: nothing ends them
        self.elsewhere: float | None = None  # since when there is a copy
        self.moves, self.doubles, self.longest, self.doubled_at = 0, 0, 0.0, 0.0
        self.cuts = {(a, b): self._spans(0.5, 8, 4) for a in self.everybody for b in self.everybody if a != b}
        self.pauses = {name: self._spans(0.5, 6, 1.5) for name in self.everybody}
        self.witnesses: dict[str, Witness] = {}
        for name in [*self.names, "w-new"]:
            self._be_born(NEVER, name)
        self.life: Life = self._new_life(0.0)
        self.fence: Fence | None = None
        self.talk = Talk(0)
        self.fences = 0
        # The set of witnesses changes once in some histories: the host hears of it late.
        self.asked, self.known = list(self.names), [list(self.names)]
        if self.chance.random() < 0.3:
            self.at(self.chance.uniform(5, 25), self._change_witnesses)
        for _unused in range(self.chance.randint(1, 3)):
            self._break_off(self.chance.uniform(4, 30))
        rebirths = self.chance.choice([0, 1, 1, 6])
        for name in self.names:
            for _unused in range(self.chance.randint(0, rebirths)):
                self.at(self.chance.uniform(0, 40), self._be_born, name)
        self.at(0.0, self._wake, "x", self._tick, (self.life,))
        self.at(0.5, self._wake, "x", self._act, ())
        self.at(self.chance.uniform(4, 16), self._wake, "m", self._decide, ())

    # Time, clocks, links.

    def run(self) -> World:
        while self.queue:
            now, _unused, happens, given = heapq.heappop(self.queue)
            if now > END:
                break
            happens(now, *given)
        self._check(END)
        return self

    def at(self, when: float, happens: Callable[..., None], *given: Any) -> None:
        self.count += 1
        heapq.heappush(self.queue, (when, self.count, happens, given))

    def clock(self, name: str, now: float) -> float:
        return self.offset[name] + self.rate[name] * now

    def real(self, name: str, shown: float) -> float:
        return (shown - self.offset[name]) / self.rate[name]

    def _spans(self, likely: float, apart: float, long: float) -> list[Span]:
        found, now = [], self.chance.expovariate(1 / apart)
        while now < END:
            length = self.chance.expovariate(1 / long) * (6 if self.chance.random() < 0.1 else 1)
            if self.chance.random() < likely:
                found.append((now, now + length))
            now += length + self.chance.expovariate(1 / apart)
        return found

    def _break_off(self, start: float) -> None:
        """Cut the host from some of the others, in one direction or both."""
        span = (start, start + self.chance.uniform(3, 15))
        ways = self.chance.choice([(True, False), (False, True), (True, True)])
        for name in self.everybody[1:]:
            if self.chance.random() < 0.8:
                if ways[0]:
                    self.cuts["x", name].append(span)
                if ways[1]:
                    self.cuts[name, "x"].append(span)

    def _send(self, sender: str, to: str, now: float, arrives: Callable[..., None], *given: Any) -> None:
        if any(start <= now < end for start, end in self.cuts[sender, to]) or self.chance.random() < 0.05:
            return
        late = self.chance.uniform(0.001, 0.08) * (1 if self.chance.random() < 0.95 else 20)
        self.at(now + late, self._wake, to, arrives, given)
        if self.chance.random() < 0.02:  # somebody sends it again, much later
            self.at(now + self.chance.uniform(1, 10), self._wake, to, arrives, given)

    def _wake(self, now: float, who: str, happens: Callable[..., None], given: tuple[Any, ...]) -> None:
        """A process that stands still goes on later."""
        for start, end in self.pauses[who]:
            if start <= now < end:
                self.at(end, self._wake, who, happens, given)
                return
        happens(now, *given)

    # Witnesses.

    def _be_born(self, now: float, name: str) -> None:
        self.births += 1
        shown = self.clock(name, now) if now > NEVER else NEVER
        if self.sabotage == "a witness born again answers at once":
            shown = NEVER
        self.witnesses[name] = Witness(self.terms, shown, self.births)

    def _asked(self, now: float, name: str, body: dict[str, Any], life: Life | None) -> None:
        sender = "x" if life is not None else "m"
        answer = self.witnesses[name].handle(sender, body, life is None, self.clock(name, now))
        if answer is None:
            return
        if answer["k"] == "fenced" and self.sabotage == "moved without waiting":
            answer["rest"] = NEVER
        late = self.chance.expovariate(10) if self.chance.random() < 0.1 else 0.0  # decided, then held up
        if life is not None:
            self.at(now + late, lambda t: self._send(name, "x", t, self._answered, name, answer, life))
        else:
            self.at(now + late, lambda t: self._send(name, "m", t, self._told, name, answer))

    # The host.

    def _new_life(self, now: float) -> Life:
        shown = self.clock("x", now)
        holder = Holder(self.terms, getattr(self, "asked", self.names), int(shown * 1000) + self.births * 100000)
        return Life(holder, Keeper(self.terms, shown), "life %d at %f" % (self.births, now))

    def _tick(self, now: float, life: Life) -> None:
        if life.dead is not None:
            return
        for name, body in life.holder.questions(self.clock("x", now)):
            self._send("x", name, now, self._asked, name, body, life)
        self._step(now, life)
        self.at(now + self.terms.interval, self._wake, "x", self._tick, (life,))

    def _answered(self, now: float, name: str, body: dict[str, Any], life: Life) -> None:
        if life.dead is not None or life is not self.life:
            return
        shown = self.clock("x", now)
        if self.sabotage == "deadline counted from the answer" and body["n"] in life.holder._sent:
            life.holder._sent[body["n"]] = shown
        more = life.holder.heard(name, body, shown)
        if more is not None:
            self._send("x", name, now, self._asked, name, more, life)
        self._step(now, life)

    def _step(self, now: float, life: Life) -> None:
        step = life.keeper.step(self.clock("x", now), life.holder.until(), bool(life.programs))
        if step.arm is not None and self.sabotage == "armed after programs may start":
            self.at(now + 0.3, self._wake, "x", self._arm, (life, step.arm))
        elif step.arm is not None:
            self._arm(now, life, step.arm)
        if step.allow is not None:
            life.allow = step.allow
        if step.stop:
            for program in list(life.programs):
                self.at(now + self.chance.uniform(0.01, 1.0), self._ended, program, life)

    def _arm(self, now: float, life: Life, deadline: float) -> None:
        life.armed = deadline
        if deadline and life.dead is None:
            self.at(max(now, self.real("x", deadline)), self._kernel, life, deadline)

    def _kernel(self, now: float, life: Life, deadline: float) -> None:
        """The deadline came: the service manager ends, with all that has its death signal. Nothing holds that up."""
        if life.armed != deadline or life.dead is not None:
            return
        life.dead = now
        for program in list(life.programs):
            self.at(now + self.chance.uniform(0, lease_terms.ENDING), self._ended, program, life)
        self.at(now + self.chance.uniform(0.5, 4), self._revive)

    def _ended(self, now: float, program: int, life: Life) -> None:
        life.programs.discard(program)
        if self.here.pop(program, None) is not None:
            self._check(now)

    def _revive(self, now: float) -> None:
        """A run starts the service manager again."""
        self.births += 1
        self.life = self._new_life(now)
        self.at(now, self._wake, "x", self._tick, (self.life,))

    def _act(self, now: float) -> None:
        """A run starts the instance here, if the ledger says so: its claim is of the lease that it found."""
        if self.elsewhere is None and self.life.dead is None and self.life.keeper.sessions and not self.life.programs:
            lease = (self.life.token, self.life.keeper.sessions)
            late = self.chance.expovariate(20) if self.chance.random() < 0.8 else self.chance.uniform(0, 12)
            self.at(now + late, self._forked, lease)
        self.at(now + self.chance.uniform(0.3, 2), self._wake, "x", self._act, ())

    def _forked(self, now: float, lease: tuple[str, int]) -> None:
        """The service manager that is there now forks a child. It may stand still before each of its steps."""
        life, self.count = self.life, self.count + 1
        program = self.count
        if life.dead is not None:
            return
        signal = self.sabotage != "the death signal comes after the checks"
        if signal:
            life.programs.add(program)
        self.at(now + self._still(), self._checks, program, life, lease, signal)

    def _still(self) -> float:
        return 0.002 if self.chance.random() < 0.9 else self.chance.uniform(0, 6)

    def _checks(self, now: float, program: int, life: Life, lease: tuple[str, int], signal: bool) -> None:
        if signal and program not in life.programs:
            return  # killed meanwhile
        mine = lease == (life.token, life.keeper.sessions) or self.sabotage == "a start of an earlier lease counts"
        if life.dead is not None or not mine or self.clock("x", now) >= life.allow:
            life.programs.discard(program)
            return
        self.at(now + self._still(), self._exec, program, life, signal)

    def _exec(self, now: float, program: int, life: Life, signal: bool) -> None:
        if signal and program not in life.programs:
            return
        self._check(now)
        life.programs.add(program)
        self.here[program] = life
        if life.dead is not None:  # nothing tells it that its parent is gone
            self.at(now + 5, self._ended, program, life)
        self._check(now)

    # The monitor.

    def _decide(self, now: float) -> None:
        if self.elsewhere is not None or self.fence is not None:
            return
        self.fences += 1
        sets = self.known
        if self.sabotage == "a former set of witnesses is forgotten":
            sets = self.known[-1:]
        self.fence = Fence("x", self.fences, sets, self.terms)
        self._press(now)

    def _press(self, now: float) -> None:
        if self.fence is None:
            return
        for name, body in self.talk.due(self.fence, self.clock("m", now)):
            self._send("m", name, now, self._asked, name, body, None)
        if self._proven(self.clock("m", now)) and self.elsewhere is None:
            self._check(now)
            self.elsewhere, self.moves = now, self.moves + 1
            self._check(now)
            self.at(now + self.chance.uniform(1, 6), self._wake, "m", self._lift, ())
        if self.fence.lift and not self.fence.missing():
            self.fence = None
            return
        self.at(now + 0.05, self._wake, "m", self._press, ())

    def _proven(self, shown: float) -> bool:
        """Whether the monitor may start the copy elsewhere."""
        assert self.fence is not None
        if self.sabotage == "an old proof counts":
            self.fence._silence = 1e9
        return self.fence.free(shown)

    def _lift(self, now: float) -> None:
        """The host was seen with nothing that is claimed elsewhere, and may have a lease again."""
        if self.here or self.fence is None:
            self.at(now + 0.5, self._wake, "m", self._lift, ())
            return
        self.fence = Fence("x", self.fence.number, self.known, self.terms, lift=True)
        self.at(now + self.chance.uniform(2, 8), self._wake, "m", self._move_back, ())

    def _move_back(self, now: float) -> None:
        """The copy elsewhere was stopped, and that was confirmed."""
        self._check(now)
        self.elsewhere = None
        self.at(now + self.chance.uniform(2, 8), self._wake, "m", self._decide, ())

    def _told(self, now: float, name: str, body: dict[str, Any]) -> None:
        if self.fence is None:
            return
        if self.talk.heard(name, body, self.fence, self.clock("m", now)):
            self.fence.hurry()

    def _change_witnesses(self, now: float) -> None:
        """All but one of the witnesses are replaced by others. The monitor knows both sets from before that on."""
        if self.fence is not None:
            self.at(now + 1, self._change_witnesses)
            return
        for name in ("v1", "v2"):
            self.everybody.append(name)
            self.rate[name], self.offset[name] = 1.0, 0.0
            self.pauses[name] = []
            self.cuts.update({pair: [] for other in self.everybody for pair in ((name, other), (other, name))})
            self.births += 1
            self.witnesses[name] = Witness(self.terms, NEVER, self.births)
        new = ["w-new", "v1", "v2"]
        self.known = [*self.known, new]
        self.at(now + self.chance.uniform(0, 15), self._wake, "x", self._hears_of, (new,))

    def _hears_of(self, now: float, new: list[str]) -> None:
        self.asked = new
        self.life.holder.follow(new)

    # The rule.

    def _check(self, now: float) -> None:
        """Count the time in which there are two copies."""
        double = self.elsewhere is not None and bool(self.here)
        if double and not self.doubled_at:
            self.doubles, self.doubled_at = self.doubles + 1, now
        elif self.doubled_at and now > self.doubled_at:
            self.longest = max(self.longest, now - self.doubled_at)
            if not double:
                self.doubled_at = 0.0
