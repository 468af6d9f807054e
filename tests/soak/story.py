# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a soak: one or two faults at once, a person's request between them, recovery, audit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.alarms import told
from tests.soak.audit import DOUBLED, LOST, NOISY, STUCK, UNTOLD, Finding, settled
from tests.soak.faults import ABOUT_WINDOWS, FAULTS, show
from tests.soak.people import People
from tests.soak.world import CLOSED, EITHER, OPEN, RUN_TIMEOUT, Sampler, World

RECOVERS = RUN_TIMEOUT + 90.0  # s from the last cure until everything must be in order
TOLD_WITHIN = 5.0  # s from the recovery until the last alarm
TOGETHER = 1.5  # s between two faults that come together, at most


@dataclass
class Step:
    """The faults and requests of a step, and their results."""

    number: int
    kinds: list[str]
    did: list[str] = field(default_factory=list)
    asked: str = ""
    answer: str = ""
    recovered: float = 0.0  # s from the first fault until all wanted services were whole, for good
    quiet: float = 0.0  # s from the last cure until nothing at all was left to do
    causes: int = 0  # of alarms
    told: bool = True  # whether an alarm has to tell of each
    always: bool = False  # also where no service of an item was reached
    alarms: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "findings": [str(finding) for finding in self.findings]}

    def __str__(self) -> str:
        what = "; ".join([*self.did, self.asked] if self.asked else self.did)
        came = "; ".join(map(str, self.findings)) or "recovered %.1f s, quiet %.1f s" % (self.recovered, self.quiet)
        alarms = "alarms %d of %d" % (len(self.alarms), self.causes)
        return "%4d %s | %s | %s, %s" % (self.number, " + ".join(self.kinds), what, came, alarms)


def chosen(seed: int, number: int, only: Sequence[str] = ()) -> tuple[list[str], bool]:
    """The kinds of a step, and whether a person requests something: from the seed alone."""
    rng = random.Random("%d/%d" % (seed, number))
    kinds = sorted(only or FAULTS)
    return rng.sample(kinds, min(len(kinds), rng.choice((1, 2)))), rng.random() < 0.6


def step(
    world: World, sampler: Sampler, seed: int, number: int, kinds: Sequence[str], asks: bool = False,
    words: Sequence[str] = (), within: float = RECOVERS, longest: float = float("inf"),
) -> Step:  # fmt: skip
    """Do it, wait until the site has recovered, and audit it.

    :param words: a request to make; otherwise a random one if `asks`.
    :param longest: s until a fault is cured, at most.
    """
    rng = random.Random("%d/%d/%s" % (seed, number, "+".join(kinds)))
    done = Step(number, list(kinds))
    people = People(world)
    if set(kinds) & set(ABOUT_WINDOWS) and all(state == CLOSED for state in world.shown.values()):
        refused = show(world, rng.choice(world.showable()), "console_%d" % rng.randint(1, 3))
        if refused:
            done.findings.append(Finding(STUCK, refused))
            return done
    world.lab.muster("acknowledge", "--all")  # what comes again is an alarm again
    doubled, world.disturbed = len(sampler.doubled), len(kinds) > 1 or asks or bool(words)
    began, wall = time.monotonic(), time.time()
    due: list[tuple[float, Callable[[], None]]] = []

    def hit(kind: str) -> Callable[[], None]:
        def do() -> None:
            came = FAULTS[kind](world, rng)
            done.did.append(came.what)
            done.causes += came.causes
            done.told, done.always = done.told and came.told, done.always or came.always
            if came.heal is not None:
                due.append((time.monotonic() + min(came.seconds, longest), came.heal))

        return do

    def ask() -> None:
        people.ask(list(words) or people.choose(rng))

    due += [(began + (rng.uniform(0, TOGETHER) if n else 0.0), hit(kind)) for n, kind in enumerate(kinds)]
    if asks or words:
        due.append((began + rng.uniform(0, TOGETHER), ask))
    try:
        while due:
            due.sort(key=lambda entry: entry[0])
            at, do = due.pop(0)
            time.sleep(max(0.0, at - time.monotonic()))
            do()
    finally:
        for _at, do in due:  # an error on the way must not leave the site broken
            do()
    cured = time.monotonic()
    request = people.request
    silence = people.heard()
    if request is not None:
        done.asked, done.answer = request.told, request.answer
        _taken_back(world, request.about, kinds)
    done.findings = settled(world, within)
    done.quiet = time.monotonic() - cured
    done.recovered = sampler.bad_since(began)
    done.alarms = _told(world, wall, done.causes)
    if len(done.alarms) > done.causes:
        done.findings.append(Finding(NOISY, "%d alarms: %s" % (len(done.alarms), "; ".join(done.alarms))))
    elif (done.recovered or done.always) and done.causes and done.told and not done.alarms and request is None:
        what = "services were not whole" if done.recovered else "it happened"
        done.findings.append(Finding(UNTOLD, "%s, and no alarm says so" % what))
    if silence:
        done.findings.append(Finding(STUCK, silence))
    done.findings += [Finding(LOST, sentence) for sentence in world.late]
    world.late.clear()
    done.findings += [Finding(DOUBLED, sentence) for sentence in sampler.doubled[doubled:]]
    _now_known(world)
    return done


def _told(world: World, since: float, causes: int) -> list[str]:
    """The alarms of a step: that of a closed window comes a moment later, and must not count for the next one."""
    until = time.monotonic() + TOLD_WITHIN
    while time.monotonic() < until and len(told(world.lab.state, since)) < causes:
        time.sleep(0.2)
    return told(world.lab.state, since)


def _taken_back(world: World, about: Sequence[str], kinds: Sequence[str]) -> None:
    """Windows that were opened while something closed windows may be gone again."""
    if set(kinds) & {*ABOUT_WINDOWS, "manager killed"}:
        for name in about:
            if world.shown.get(name) == OPEN:
                world.shown[name] = EITHER


def _now_known(world: World) -> None:
    """Windows that might be there or not: from now on they have to stay as they are."""
    sight = world.see()
    for name, state in world.shown.items():
        there = sight.of(name)
        if state == EITHER and there:
            world.shown[name], world.console[name] = OPEN, there[0].host
        elif state == EITHER:
            world.closed(name)
