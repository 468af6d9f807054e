# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts the witnesses must refuse, and what waits for that.

Pure. Where hosts need leases, what a silent host holds starts elsewhere only once nothing of that host can live any
more. A host is fenced as long as it is believed down, or about to be; and answered again once the ledger has it up, and
no run that was sent meanwhile can still move what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..core.model.words import DOWN, HOST_DOWN, STOPPING
from .effects import Effect, Fence, note
from .intents import Intents
from .watch_list import Watch
from .wishes import Wish


@dataclass(slots=True)
class Fencing:
    """What the monitor wants of the witnesses, and what they said."""

    free: dict[str, str] = field(default_factory=dict)  # host -> the sentence that nothing of it can live any more
    _fenced: set[str] = field(default_factory=set)
    _resting: set[str] = field(default_factory=set)  # of these, the ones that the ledger has as down
    _begun: bool = False

    def told(self, host: str, sentence: str) -> list[Effect]:
        """Nothing of a host can live, or that is no longer known ("")."""
        if not sentence:
            self.free.pop(host, None)
            return []
        self.free[host] = sentence
        return [note("fence", sentence, host=host)]

    def sift(self, wishes: Iterable[Wish], watch: Watch, intents: Intents) -> tuple[list[Wish], list[Effect]]:
        """The wishes that need not wait, and what the witnesses are to do."""
        if not watch.leases:
            return list(wishes), []
        effects: list[Effect] = [] if self._begun else self._begin(watch)
        kept: list[Wish] = []
        gone: dict[str, str] = {}
        for wish in wishes:
            if wish.cause != HOST_DOWN or not _holds(watch, wish.host):
                kept.append(wish)
                continue
            gone[wish.host] = wish.why
            if wish.host in self.free:
                kept.append(replace(wish, why="%s; %s" % (wish.why, self.free[wish.host])))
        for host, why in gone.items():
            if host not in self._fenced or host in self._resting:
                effects.append(Fence(host, "fence", "what %s holds is to start elsewhere: %s" % (host, why)))
        self._fenced.update(gone)
        self._resting.difference_update(gone)
        under_way = {intent.wish.host for intent in intents if intent.run and intent.wish.host}
        for host in sorted(self._fenced - self._resting - set(gone) - under_way):
            if watch.hosts.get(host) == DOWN:
                self._resting.add(host)
                effects.append(Fence(host, "rest", "what it held is moved"))
        for host in sorted(self._fenced - set(gone) - under_way):
            if watch.hosts.get(host) != DOWN:
                self._fenced.discard(host)
                self._resting.discard(host)
                self.free.pop(host, None)
                effects.append(Fence(host, "lift", "%s is used again" % host))
        return kept, effects

    def _begin(self, watch: Watch) -> list[Effect]:
        """An earlier monitor may have left fences behind: those of hosts that are not down are lifted."""
        if watch.revision < 0:
            return []
        self._begun = True
        down = {host for host, state in watch.hosts.items() if state == DOWN}
        self._fenced, self._resting = set(down), set(down)
        return [Fence(host, "lift", "the monitor has started") for host in watch.hosts if host not in down]


def _holds(watch: Watch, host: str) -> bool:
    """Whether a host may hold anything; a claim that is being moved may name it as its target."""
    return any(entry.host == host or entry.phase == STOPPING for entry in watch.instances.values())
