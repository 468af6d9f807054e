# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made over: site, ledger and observations, with the changes that the plan made so far. Pure."""

from __future__ import annotations

import copy
from typing import ChainMap, Dict, List, Mapping, MutableMapping, Optional, Tuple, TypeVar

from ..model.observation import Observation, Seen
from ..model.records import Claim, Failure, HostRecord, State, Wanted
from ..model.sentences import clock
from ..model.site import Host, Instance, Site
from ..model.words import DOWN, MONITOR, STARTED, STARTING, STOPPED, STOPPING
from .failures import charges, refused_lately

Also = TypeVar("Also", bound="Known")


class Known:
    """The read side of a `Draft`.

    :param observations: of every host of the site; one without a document was not asked.
    :param now: seconds since 1970.
    :param run: the number of the run that plans.
    """

    def __init__(
        self, site: Site, state: State, observations: Mapping[str, Observation], now: float, run: str
    ) -> None:
        self.site, self.state, self.now, self.run = site, state, now, run
        self.observations = observations
        self.site_stop = state.stop  # with this plan's changes; None while the site is not stopped
        self._item_order: Optional[Dict[str, int]] = None
        self._wanted: Dict[str, Optional[Wanted]] = {}
        self._claims: Dict[str, Optional[Claim]] = {}
        self._hosts: Dict[str, HostRecord] = {}
        self._copies: MutableMapping[str, Dict[str, Seen]] = {}
        self._highest: Dict[str, int] = {}
        for host, observation in observations.items():
            for name, seen in observation.instances.items():
                self._copies.setdefault(name, {})[host] = seen
                self._highest[name] = max(seen.highest, self._highest.get(name, 0))

    def otherwise(
        self: Also,
        claims: Mapping[str, Claim],
        wanted: Mapping[str, Wanted],
        hosts: Mapping[str, HostRecord],
        seen: Mapping[str, Observation],
    ) -> Also:
        """The same, but with these changes of the ledger only, and these observations.

        What it takes grows with these, not with the site.
        """
        other = copy.copy(self)
        other._wanted, other._claims, other._hosts = dict(wanted), dict(claims), dict(hosts)
        copies: Dict[str, Dict[str, Seen]] = {}
        for host, observation in seen.items():
            for name in {*observation.instances, *self.observation(host).instances}:
                there = copies.setdefault(name, dict(self._copies.get(name, {})))
                there.pop(host, None)
                if name in observation.instances:
                    there[host] = observation.instances[name]
        other.observations = ChainMap(dict(seen), dict(self.observations))
        other._copies = ChainMap(copies, self._copies)
        return other

    def wanted(self, name: str) -> Wanted:
        """With this plan's changes; without a request or rule, and while the whole site is stopped, it is STOPPED."""
        return self.wanted_else(name) if self.site_stop is None else self.site_stop.wanted(self.now)

    def wanted_else(self, name: str) -> Wanted:
        """What is wanted when the site is not stopped as a whole."""
        if name in self._wanted:
            return self._wanted[name] or Wanted(STOPPED)
        return self.state.wanted.get(name) or Wanted(STOPPED)

    def claim(self, name: str) -> Claim:
        """With this plan's changes; an instance never claimed has a free claim of epoch 0."""
        if name in self._claims:
            return self._claims[name] or Claim()
        return self.state.claims.get(name) or Claim()

    def claims(self) -> Dict[str, Claim]:
        """Instance -> its claim, with this plan's changes."""
        after = dict(self.state.claims)
        for name, claim in self._claims.items():
            if claim is None:
                after.pop(name, None)
            else:
                after[name] = claim
        return after

    def changed(self) -> Tuple[Dict[str, Claim], Dict[str, Wanted], Dict[str, HostRecord]]:
        """What this plan changes in the ledger; what it deletes is as if nobody had known it."""
        claims = {name: claim or Claim() for name, claim in self._claims.items()}
        return claims, {name: wanted or Wanted(STOPPED) for name, wanted in self._wanted.items()}, dict(self._hosts)

    def record(self, host: str) -> HostRecord:
        """With this plan's changes; a host that the ledger does not know is up."""
        return self._hosts.get(host) or self.state.hosts.get(host) or HostRecord()

    def observation(self, host: str) -> Observation:
        """What the host showed; of one that was not asked, why not."""
        known = self.observations.get(host)
        if known is not None:
            return known
        why = "%s was not asked in this run" % host
        if self.site_host(host) is None:
            why = "%s is not in the inventory any more: put it back, or confirm that it is down" % host
        return Observation(host, why=why)

    def copies(self, name: str) -> Dict[str, Seen]:
        """What seen hosts show of an instance: live processes, or a claim file left behind."""
        return {
            host: seen for host, seen in self._copies.get(name, {}).items() if seen.live or seen.claim is not None
        }

    def seen_instances(self) -> List[str]:
        """Names of the instances that any host showed, in order."""
        return sorted(self._copies)

    def next_epoch(self, name: str) -> int:
        """The epoch of the next start."""
        return 1 + self.known_epoch(name)

    def known_epoch(self, name: str) -> int:
        """The highest epoch that the ledger or any seen host knows of, or that a host may use by itself."""
        claim = self.claim(name)
        granted = claim.ahead.until if claim.ahead is not None else 0
        return max(claim.epoch, claim.highest, granted, self._highest.get(name, 0))

    def busy(self, name: str) -> str:
        """Why another run must be waited for; empty when no run is at work on the instance.

        A run at work on a host that is down has nothing left to do there, and what it finds out does not count."""
        claim = self.claim(name)
        if claim.host and self.record(claim.host).state == DOWN:
            return ""
        if claim.actor is None or claim.actor.run == self.run or claim.actor.deadline <= self.now:
            return ""
        deadline = min(claim.actor.deadline, self.now + self.site.settings.run_timeout)
        doing = {STARTING: "starting it", STOPPING: "moving it" if claim.target else "stopping it"}
        until, what = clock(deadline, self.now, seconds=True), doing.get(claim.phase, "changing it")
        if claim.actor.lost:
            return "run %s was %s and got no answer from %s; what it sent counts until %s, or until %s shows that " \
                "nothing came of it" % (claim.actor.run, what, claim.host, until, claim.host)
        return "run %s is %s until %s" % (claim.actor.run, what, until)

    def confirmed_down(self, host: str) -> bool:
        """By a person, not by the monitor's signals alone."""
        record = self.record(host)
        return record.state == DOWN and record.by != MONITOR

    def label(self, instance: Instance) -> str:
        """How sentences about an HCI call it: ``item 02``."""
        if instance.application.per == "item":
            return "item %s" % instance.item.id
        return instance.name

    def held_since(self, name: str) -> str:
        """`` (opened by eve at 12:03)`` for a sentence, or "" when that is not known."""
        wanted = self.wanted(name)
        return " (opened by %s at %s)" % (wanted.by, clock(wanted.at, self.now)) if wanted.by else ""

    def site_host(self, name: str) -> Optional[Host]:
        """None when it is not in the inventory."""
        try:
            return self.site.host(name)
        except KeyError:
            return None

    def item_order(self, instance: Instance) -> int:
        """The position of its item in the site: earlier items are placed first."""
        if self._item_order is None:
            self._item_order = {item.id: i for i, item in enumerate(self.site.rows)}
        return self._item_order[instance.item.id]

    def is_started(self, name: str) -> bool:
        """Whether it is wanted started, with this plan's changes."""
        return self.wanted(name).state == STARTED

    def charges(self, name: str) -> Tuple[Failure, ...]:
        """The failures that count against an instance's budget, with those of this plan."""
        before = self.state.claims.get(name) or Claim()
        now = self.claim(name).failures
        return now if now != before.failures else charges(before, self.now, self.site.settings)

    def troubles(self, name: str) -> Tuple[Failure, ...]:
        """The same, and the crashes in a row: what speaks for another host."""
        charged, claim = self.charges(name), self.claim(name)
        return charged + tuple(crash for crash in claim.crashes if crash not in charged)

    def refusing(self, name: str) -> List[str]:
        """Hosts that lately refused to start it: another one is tried first."""
        return [refusal.host for refusal in refused_lately(self.claim(name), self.now)]
