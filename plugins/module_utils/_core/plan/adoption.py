# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new controller believes of a living site whose ledger is lost: a backup, and what the hosts show. Pure.

Nothing of it touches a process. What runs is believed to be wanted where it runs, under the epoch that it shows. What
does not answer is believed to hold what it may hold, so that nothing starts twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..model.observation import Observation, Seen, observed
from ..model.records import Claim, HostRecord, State, Wanted
from ..model.sentences import clock, did_you_mean, duration, listing
from ..model.sequence import application_of
from ..model.site import Application, Site
from ..model.words import DOWN, DRAINED, FAILED, FREE, RUNNING, STARTED, STOPPED, SUSPECT, UP

MARGIN = 1000  # epochs left out where a host that is silent may have used some that nobody else knows
ADOPTED = "the site was adopted"

Json = Dict[str, Any]


class Backup(NamedTuple):
    """A copy of the lost ledger."""

    path: str
    state: Mapping[str, Any]
    revision: int
    at: float  # when it was written
    place: str = ""  # a phrase, where it is no file of a person's

    @property
    def where(self) -> str:
        return self.place or self.path

    @property
    def site_id(self) -> str:
        return str(self.state["meta"].get("site_id") or "")


@dataclass(frozen=True)
class Belief:
    """What a ledger would hold after the adoption. With refusals, nothing may be adopted."""

    site_id: str = ""
    backup: Optional[Backup] = None
    changes: Mapping[str, Mapping[str, Any]] = ()  # type: ignore[assignment]
    believed: Tuple[str, ...] = ()
    unknown: Tuple[str, ...] = ()
    refusals: Tuple[str, ...] = ()

    def gist(self) -> str:
        """What a person agrees to, as text: the same belief has the same, whenever it is formed."""
        kinds = {kind: self.changes[kind] for kind in ("claims", "wanted", "hosts") if kind in self.changes}
        timeless = {
            kind: {name: _timeless(record) for name, record in records.items()} for kind, records in kinds.items()
        }
        revision = self.backup.revision if self.backup else 0
        return json.dumps([self.site_id, revision, timeless], sort_keys=True)


def _timeless(record: Optional[Mapping[str, Any]]) -> Any:
    return record and {key: value for key, value in record.items() if key not in ("at", "since")}


def belief(
    site: Site,
    backups: Iterable[Backup],
    observations: Mapping[str, Any],
    down: Iterable[str],
    who: str,
    now: float,
    exact: bool = False,
) -> Belief:
    """
    :param backups: all that were found, of any ledger.
    :param observations: documents with their ``evidence``.
    :param down: hosts that a person has seen switched off.
    :param exact: the backup has to be right as it is, or it is refused.
    """
    return _Adoption(site, list(backups), observations, sorted(set(down)), who, now, exact).belief()


class _Adoption:
    def __init__(
        self,
        site: Site,
        backups: List[Backup],
        documents: Mapping[str, Any],
        down: List[str],
        who: str,
        now: float,
        exact: bool,
    ) -> None:
        self.site, self.down, self.who, self.now, self.exact = site, down, who, now, exact
        self.documents = documents
        self.seen: Dict[str, Observation] = {host.name: observed(documents, host.name) for host in site.hosts}
        self.answering = [name for name, seen in self.seen.items() if seen.seen]
        self.silent = [name for name, seen in self.seen.items() if not seen.seen and name not in down]
        self.ids = {name: self.seen[name].site_id for name in self.answering if self.seen[name].site_id}
        self.site_id = next(iter(self.ids.values()), "")
        ours = [backup for backup in backups if backup.site_id == self.site_id]
        self.others = len(backups) - len(ours)
        self.backup = max(ours, key=lambda backup: (backup.revision, not backup.place, backup.at)) if ours else None
        self.passed_over = [backup for backup in ours if backup.place and backup is not self.backup]
        self.before = State.from_json(self.backup.state if self.backup else {})
        self.claims: Json = {}
        self.wanted: Json = {}
        self.believed: List[str] = []
        self.unknown: List[str] = []
        self.refusals: List[str] = []
        self.newer: List[str] = []  # what the hosts show and the backup does not know

    def belief(self) -> Belief:
        self._who_answers()
        if self.refusals:
            return Belief(self.site_id, self.backup, refusals=tuple(self.refusals))
        self._source()
        same = [name for name in self._names() if self._instance(name)]
        if same and self.backup:
            self.believed.append("%d instances are as the backup says" % len(same))
        hosts = {host.name: self._host(host.name).to_json() for host in self.site.hosts if self._known(host.name)}
        if self.exact:
            self._exactly()
        self._what_nobody_knows()
        changes: Json = {"claims": self.claims, "wanted": self.wanted, "hosts": hosts}
        if self.backup:
            changes["requests"] = dict.fromkeys(self.backup.state.get("requests") or {})
        return Belief(
            self.site_id, self.backup, {} if self.exact else changes, tuple(self.believed), tuple(self.unknown),
            tuple(self.refusals),
        )  # fmt: skip

    # --- whether there is anything to adopt

    def _who_answers(self) -> None:
        for name in self.down:
            if name not in self.seen:
                known = [host.name for host in self.site.hosts]
                self.refusals.append("there is no host %s%s" % (name, did_you_mean(name, known)))
            elif self.seen[name].seen:
                self.refusals.append("%s answers, so it is not down" % name)
        if not self.ids:
            why = "; ".join("%s: %s" % (name, self.seen[name].why or "no reason known") for name in self.silent[:3])
            self.refusals.append("no host shows that it belongs to a site%s: there is nothing to adopt; a new site is "
                                 "deployed" % (" (%s)" % why if why else ""))  # fmt: skip
            return
        if len(set(self.ids.values())) > 1:
            groups = sorted({i: listing(n for n, of in self.ids.items() if of == i) for i in self.ids.values()}.items())
            said = "; ".join("%s: %s" % group for group in groups)
            self.refusals.append("the hosts belong to different ledgers (%s): remove the site from those that are "
                                 "wrong, or take them out of the inventory" % said)  # fmt: skip
        elif self.site_id.rpartition("-")[0] != self.site.name:
            self.refusals.append("the hosts belong to the site %s and this inventory describes %s"
                                 % (self.site_id.rpartition("-")[0], self.site.name))  # fmt: skip
        named = {self.seen[name].controller: name for name in self.ids if self.seen[name].controller}
        for controller in sorted(set(named) - {self.site.controller}):
            self.refusals.append("%s is controlled by %s and this controller is called %s: give the new machine the "
                                 "old one's name in the inventory (group muster_controller); its address may differ"
                                 % (named[controller], controller, self.site.controller))  # fmt: skip
        watched = [name for name in self.answering if self._evidence(name).get("watched")]
        if watched:
            self.refusals.append("a monitor still listens to %s: the old controller lives. Stop its monitor and keep "
                                 "it off, then adopt" % listing(watched))  # fmt: skip

    def _source(self) -> None:
        if self.backup:
            self.believed.append("the ledger is %s, from %s: revision %d, written at %s, %s ago" % (
                self.site_id, self.backup.where, self.backup.revision,
                clock(self.backup.at, self.now, seconds=True), duration(max(0.0, self.now - self.backup.at))))
            for other in self.passed_over:
                self.believed.append("%s has revision %d of it" % (other.where, other.revision))
        else:
            self.believed.append("the ledger is %s; no backup of it was found, so only the hosts tell" % self.site_id)
        if self.others:
            self.believed.append("%d backups are of another ledger and do not count" % self.others)

    # --- instances

    def _names(self) -> List[str]:
        """Every instance of the inventory, then what others know of."""
        names = [instance.name for instance in self.site.instances()]
        more: Set[str] = set(self.before.claims) | set(self.before.wanted)
        for host in self.answering:
            more |= {name for name, copy in self.seen[host].instances.items() if copy.live}
        return names + sorted(more - set(names))

    def _instance(self, name: str) -> bool:
        """Believe something about an instance. :return: whether it is what the backup says."""
        application = application_of(self.site, name)
        before = self.before.claims.get(name, Claim())
        copies = {host: seen.instances[name] for host, seen in self.seen.items()
                  if name in seen.instances and seen.instances[name].live}  # fmt: skip
        highest = self._highest(name, before)
        if highest > before.epoch and self.backup:
            self.newer.append("%s has epoch %d, and the backup knows up to %d" % (name, highest, before.epoch))
        if copies:
            return self._lives(name, application, before, copies, highest)
        may = self._may_hold(application, before)
        if before.epoch == 0 and highest == 0 and not may and name not in self.before.wanted:
            return False  # nobody ever heard of it: the first deploy that has it starts it
        if application is not None and not application.on_request and name not in self._absent():
            return self._silent(name, application, before, may, highest)
        return self._not_there(name, application, before, may, highest)

    def _lives(
        self, name: str, application: Optional[Application], before: Claim, copies: Mapping[str, Seen], highest: int
    ) -> bool:
        host = max(copies, key=lambda one: (max(copies[one].epochs or (0,)), before.host == one))
        copy, seen = copies[host], self.seen[host]
        epoch = max(copy.epochs or (0,))
        as_before = (before.host, before.epoch, before.phase) == (host, highest, RUNNING)
        if as_before:
            claim = replace(before, actor=None, target=None, incarnation=seen.incarnation or before.incarnation)
        else:
            claim = Claim(
                host, highest, RUNNING, deferred=copy.deferred, failed=dict(copy.failed), failures=before.failures,
                since=self.now, digest=copy.digest, incarnation=seen.incarnation,
            )  # fmt: skip
            self.believed.append("%s runs on %s, epoch %d" % (name, host, epoch))
        self.claims[name] = claim.to_json()
        if epoch != highest:
            self.unknown.append("why %s runs on %s under epoch %d although epoch %d was used: the first run starts it "
                                "again there" % (name, host, epoch, highest))  # fmt: skip
        if len(copies) > 1:
            rest = [one for one in copies if one != host]
            self.unknown.append("why %s runs on %s, too: the copy on %s is believed, and the next reconcile ends the "
                                "others as muster_conflicts says" % (name, listing(rest), host))  # fmt: skip
        known = self.before.wanted.get(name)
        window = application is not None and application.on_request
        if known is None or (highest > before.epoch and known.state != STARTED) or (window and known.host != host):
            why = "it ran on %s when %s" % (host, ADOPTED)
            self._want(name, STARTED, host if window else None, why)
            if known is not None:
                self.believed.append("%s is to run: it was started after the backup" % name)
        elif known.state != STARTED:
            self.unknown.append("why %s runs on %s although it was to be stopped: the next reconcile stops it"
                                % (name, host))  # fmt: skip
        if name not in self.site.by_name():
            self.unknown.append("why %s runs on %s, which this inventory does not describe: the next deploy stops it"
                                % (name, host))  # fmt: skip
        return as_before and known is not None

    def _silent(
        self, name: str, application: Application, before: Claim, may: List[str], highest: int
    ) -> bool:
        """A service that no host shows. It may live on a host that does not answer."""
        if len(may) > 1 and not self.exact:
            self.refusals.append("%s may run on %s, which do not answer: make them answer, or confirm that they are "
                                 "switched off" % (name, listing(may)))  # fmt: skip
            return False
        if not may:
            return self._not_there(name, application, before, may, highest)
        host = str(before.host) if before.host in may else may[0]
        same = before.holds and before.host == host and before.phase == RUNNING
        claim = replace(before, actor=None, target=None) if same else Claim(
            host, highest, RUNNING, failures=before.failures, since=self.now)
        self.claims[name] = claim.to_json()
        if not same:
            self.believed.append("%s is kept for %s, which does not answer" % (name, host))
        if name not in self.before.wanted:
            self._want(name, STARTED, None, "it may run on %s, which did not answer when %s" % (host, ADOPTED))
        return same

    def _not_there(
        self, name: str, application: Optional[Application], before: Claim, may: List[str], highest: int
    ) -> bool:
        """It runs on no host that answers."""
        window = application is None or application.on_request
        known = self.before.wanted.get(name)
        kept = before.holds and str(before.host) in may and window  # an HCI on a console that does not answer
        same = kept or before.phase in (FREE, FAILED)
        gap = MARGIN if may or self.down else 0
        if kept:
            claim = replace(before, actor=None, target=None)
        elif before.phase == FAILED:
            claim = replace(before, actor=None, left=(), epoch=highest)
        else:
            claim = Claim(before.host, highest + gap, failures=before.failures, since=before.since)
        self.claims[name] = claim.to_json()
        if not same:
            self.believed.append("%s does not run; the backup had it on %s" % (name, before.host))
        if window:
            if known is not None and known.state == STARTED and not kept:
                self._want(name, STOPPED, None, "it was not open when %s" % ADOPTED)
            if may and not kept:
                self.unknown.append("whether %s is open on %s" % (name, listing(may, 3)))
        elif known is None:
            self._want(name, STOPPED, None, "it did not run when %s, and nobody knows whether somebody had stopped it"
                       % ADOPTED)  # fmt: skip
            self.unknown.append("whether somebody had stopped %s: it does not run and is left so; muster start %s "
                                "starts it" % (name, name))  # fmt: skip
        elif known.state == STARTED and not same:
            self.unknown.append("whether somebody stopped %s after the backup: the next deploy starts it" % name)
        return same

    def _want(self, name: str, state: str, host: Optional[str], why: str) -> None:
        self.wanted[name] = Wanted(state, host, self.who, why, self.now).to_json()

    def _highest(self, name: str, before: Claim) -> int:
        shown = [seen.instances[name].highest for seen in self.seen.values() if name in seen.instances]
        ever = [int((self._evidence(host).get("epochs") or {}).get(name) or 0) for host in self.answering]
        return max([before.epoch] + shown + ever)

    def _may_hold(self, application: Optional[Application], before: Claim) -> List[str]:
        """Hosts on which it may run although nobody sees it."""
        places = set(application.identifiers if application else ()) | {before.host or ""}
        return [name for name in self.silent if name in places]

    def _absent(self) -> Set[str]:
        """Instances of items that are not in this inventory."""
        return set(self.before.claims) - set(self.site.by_name())

    # --- hosts

    def _known(self, name: str) -> bool:
        return self.seen[name].seen or name in self.down or name in self.before.hosts or name in self.silent

    def _host(self, name: str) -> HostRecord:
        before = self.before.hosts.get(name, HostRecord(since=self.now))
        drained = DRAINED if before.drain is not None or before.state == DRAINED else ""
        if self.seen[name].seen:
            state = drained or UP
            return replace(before, state=state, incarnation=self.seen[name].incarnation, evidence="")
        word, how = (DOWN, "%s confirmed that it is switched off") if name in self.down else (
            SUSPECT, "it did not answer %s")
        how %= self.who if name in self.down else "when %s" % ADOPTED
        return replace(before, state=word, since=self.now, evidence=how, by=self.who)

    # --- sentences

    def _exactly(self) -> None:
        if self.backup is None:
            self.refusals.append("no backup of the ledger %s was found" % self.site_id)
            return
        if self.newer:
            self.refusals.append("the backup of revision %d is older than what the hosts show (%s): muster adopt takes "
                                 "what runs as it is" % (self.backup.revision, listing(self.newer, 3)))  # fmt: skip

    def _what_nobody_knows(self) -> None:
        for name in self.down:
            self.believed.append("%s is down, as %s confirms: what it held may start elsewhere" % (name, self.who))
        for name in self.silent:
            self.unknown.append("what runs on %s, which does not answer: %s"
                                % (name, self.seen[name].why or "no reason known"))  # fmt: skip
        if self.backup:
            since = clock(self.backup.at, self.now, seconds=True)
            self.unknown.append("what people asked for after %s: stops, drains, pauses" % since)
        else:
            self.unknown.append("what people had asked for: stops, drains, pauses, failures that were counted")
        self.unknown.append("whether somebody can still use the old controller: keep it off, and remove its state "
                            "folder before it is ever started again")  # fmt: skip

    def _evidence(self, host: str) -> Mapping[str, Any]:
        found = (self.documents.get(host) or {}).get("evidence")
        return found if isinstance(found, Mapping) else {}
