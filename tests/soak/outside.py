# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that come from outside the site: other users of the machine, a host that lies, a machine that is overloaded.

What an ordinary user does is `tests.attack`'s; here it goes on beside everything else. Only root can become that user.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.attack.attacks import flood, forged, nonsense
from tests.integration.busy_loops import loops
from tests.integration.local_site import SERVERS
from tests.soak.hit import Hit, Kind
from tests.soak.world import SERVICES, World

LOOPS = 30


def idle_connections(world: World, rng: random.Random) -> Hit:
    """300 connections of another user to the API, which say nothing."""
    return _goes_on(world, rng, "300 idle connections", flood("idle", 300)(world.lab))


def forged_variables(world: World, rng: random.Random) -> Hit:
    """Processes of another user that carry an instance's variables, or an epoch that is none."""
    count, epoch = rng.choice(((8, "1"), (8, "999999"), (1, "\u00b2"), (1, "9" * 4301)))
    name = rng.choice(SERVICES)
    what = "%d forged processes of %s with epoch %s" % (count, name, epoch[:6])
    return _goes_on(world, rng, what, forged(count, epoch, name)(world.lab))


def host_answers_nonsense(world: World, rng: random.Random) -> Hit:
    """The agent of a server reports epochs that are none."""
    host = rng.choice(SERVERS)
    if host in world.away:
        return Hit("%s is away already" % host, causes=0)
    world.away.add(host)
    hit = _goes_on(world, rng, "%s answers nonsense" % host, nonsense(world.lab, host))

    def heal() -> None:
        if hit.heal:
            hit.heal()
        world.away.discard(host)

    return Hit(hit.what, heal, hit.seconds)


def busy_machine(world: World, rng: random.Random) -> Hit:
    """30 busy loops beside everything."""
    scene = loops(LOOPS)
    scene.__enter__()
    seconds = rng.uniform(5.0, 15.0)
    return Hit("%d busy loops for %.0f s" % (LOOPS, seconds), lambda: scene.__exit__(None, None, None), seconds)


OUTSIDE: tuple[Kind, ...] = (idle_connections, forged_variables, host_answers_nonsense, busy_machine)


def _goes_on(world: World, rng: random.Random, what: str, scene: AbstractContextManager[None]) -> Hit:
    if os.geteuid() != 0:
        return Hit("only root can have %s" % what)
    seconds = rng.choice((2.0, 6.0, 15.0))
    scene.__enter__()
    left: list[Callable[[], object]] = [lambda: scene.__exit__(None, None, None)]
    world.outside.append(left[0])

    def heal() -> None:
        if left:
            end = left.pop()
            end()
            world.outside.remove(end)

    return Hit("%s for %.0f s" % (what, seconds), heal, seconds)
