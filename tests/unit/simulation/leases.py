# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases in the simulated world, by their promise: `tests.unit.lease` shows that the real ones keep it.

A host out of sight loses its lease after `LEASE`, unless it still reaches the witnesses; one that is fenced at the
latest when the monitor hears that the fence stands. Then all that it runs ends, whatever stands still. It has a new
lease once it is neither. A start needs the lease under which its act arrived. The witnesses are always within reach of
the monitor and of hosts that are in sight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monitor.judge.effects import Fence

if TYPE_CHECKING:
    from tests.unit.simulation.hosts import SimHost
    from tests.unit.simulation.world import SimWorld

LEASE = 2.0  # s


class SimLeases:
    """Who holds a lease, and which fences stand."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._over: set[str] = set()  # hosts whose lease has ended
        self._anew: set[str] = set()  # those of them whose manager ended with it
        self._sessions = dict.fromkeys(world.hosts, 1)
        self._fences: dict[str, int] = {}  # host -> number
        self._count = 0
        self.free: set[str] = set()  # hosts of which nothing can live

    def session(self, host: SimHost) -> int:
        """The lease that a host holds; 0 without one."""
        return 0 if host.name in self._over else self._sessions[host.name]

    def shown(self, host: SimHost) -> dict[str, bool]:
        """What a host says of its lease. One whose manager died with it has not lost one: it has had none yet."""
        held = self.session(host) > 0
        return {"held": held, "lost": not held and host.name not in self._anew}

    def lost(self, host: SimHost) -> None:
        """The host went out of sight; one that is only cut off may still reach the witnesses."""
        since = host.lost_at
        if host.on and not host.frozen and self._world.rng.random() < 0.5:
            return

        def due() -> None:
            if host.lost and host.lost_at == since:
                self._end(host)

        self._world.after(LEASE, due)

    def back(self, host: SimHost) -> None:
        """The host is in sight again, or its fence is gone."""
        if host.name in self._over and not host.lost and host.name not in self._fences:
            self._over.discard(host.name)
            self._anew.discard(host.name)
            self._sessions[host.name] += 1

    def do(self, order: Fence, told: Callable[[str, str], None]) -> None:
        """What the monitor has the witnesses do. :param told: takes the host, and the sentence that it has ended."""
        host = self._world.hosts[order.host]
        if order.what == "rest":
            self.free.discard(host.name)
        elif order.what == "lift":
            self.free.discard(host.name)
            self._fences.pop(host.name, None)
            self.back(host)
        else:
            self._count += 1
            number = self._fences[host.name] = self._count

            def stands() -> None:
                if self._fences.get(host.name) == number:
                    self._end(host)
                    self.free.add(host.name)
                    told(host.name, "%s is fenced" % host.name)

            self._world.after(self._world.rng.uniform(0.02, LEASE + 0.3), stands)

    def _end(self, host: SimHost) -> None:
        if host.name in self._over:
            return
        self._over.add(host.name)
        self._world.tell("the lease of %s ends" % host.name)
        if host.on and host.manager and (host.frozen or self._world.rng.random() < 0.3):
            self._anew.add(host.name)
            self._world.kill_manager(host.name)
        elif host.on:
            self._world.all_end(host, "the lease of its console ended")
