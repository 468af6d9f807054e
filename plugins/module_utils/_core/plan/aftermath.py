# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows when hosts are lost: the plans that runs would make one after the other, taken for done. Pure.

They are made by the code that makes the real ones, `decide.reconcile` and `plan.assign`, but only about instances that
anything changes for; so they cost what is lost, not what there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, Dict, Iterable, List, Mapping, Optional

from ..decide.draft import Draft
from ..decide.reconcile import reconcile
from ..model.observation import Observation, Seen
from ..model.plan import MOVE, NOTHING, STOP, Action
from ..model.records import Booked, Claim, HostRecord, Wanted
from ..model.sequence import application_of, expected_programs
from ..model.words import DOWN, FAILED, MONITOR, RUNNING, UNREACHABLE
from ..place.loads import HostLoad
from .assign import Batch
from .figures import Future, Ground

ROUNDS = 20  # plans one after another; more would mean that they undo each other


class Aftermath:
    """One future of the ground, in which some hosts are down."""

    def __init__(self, ground: Ground, gone: Collection[str] = ()) -> None:
        self._ground = ground
        self._hosts: Dict[str, HostRecord] = {}
        self._seen: Dict[str, Observation] = {}
        self._claims: Dict[str, Claim] = {}
        self._wanted: Dict[str, Wanted] = {}
        self._booked: Mapping[str, Optional[Booked]] = ground.draft.booked
        for host in gone:
            before = ground.draft.record(host)
            self._hosts[host] = replace(before, state=DOWN, since=ground.draft.now, evidence="lost", by=MONITOR)
            self._seen[host] = Observation(host, UNREACHABLE, "%s is lost" % host)

    def play(self, names: Iterable[str]) -> None:
        """Make plans about these, and about what they displace, until no host has anything to do."""
        concerned = set(names)
        for _unused in range(ROUNDS):
            draft = self._draft()
            for name in sorted(concerned, key=self._ground.order):
                reconcile(draft, name)
            if draft.moves:
                Batch(draft, self._figures(draft)).resolve()
            acts = [action for action in draft.actions if action.acts]
            self._claims, self._wanted, self._hosts = draft.changed()
            self._booked = draft.booked
            for action in acts:
                self._done(action)
            concerned.update(self._claims)
            if not acts:
                break

    def claim(self, name: str) -> Claim:
        """As it is in the end."""
        return self._claims.get(name) or self._ground.claims.get(name) or Claim()

    @property
    def changed(self) -> List[str]:
        """The instances whose claims are others in the end."""
        return [name for name, claim in self._claims.items() if _place(claim) != _place(
            self._ground.claims.get(name) or Claim())]  # fmt: skip

    def loads(self) -> Dict[str, HostLoad]:
        """In the end."""
        return self._figures(self._draft()).loads(())

    def _draft(self) -> Draft:
        draft = self._ground.draft.otherwise(self._claims, self._wanted, self._hosts, self._seen)
        draft.begin()
        draft.booked.update(self._booked)
        return draft

    def _figures(self, draft: Draft) -> Future:
        return Future(self._ground, draft, self._claims, self._seen)

    def _done(self, action: Action) -> None:
        """A start or a stop that its host confirms."""
        name, claim = action.instance, self._claims.get(action.instance) or self.claim(action.instance)
        seen = self._seen.get(action.host) or self._ground.draft.observation(action.host)
        instances = {other: copy for other, copy in seen.instances.items() if other != name}
        if action.kind == STOP:
            if action.after not in (MOVE, NOTHING):
                reason = action.reason if action.after == FAILED else ""
                claim = replace(claim, phase=action.after, target=None, actor=None, left=(), reason=reason)
        else:
            application = application_of(self._ground.draft.site, name)
            programs = expected_programs(application, claim.deferred) if application is not None else ()
            epochs = (action.epoch,)
            instances[name] = Seen(epochs, action.epoch, claim.digest, action.epoch, tuple(sorted(programs)))
            claim = replace(claim, host=action.host, epoch=action.epoch, phase=RUNNING, target=None, actor=None,
                            reason="", room="", back="")  # fmt: skip
        self._claims[name] = claim
        self._seen[action.host] = replace(seen, instances=instances)


def _place(claim: Claim) -> object:
    return claim.host if claim.holds else None
