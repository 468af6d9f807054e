# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would happen if: the live decision code over a copy of site, ledger and observations. Pure.

Plans are made, taken for done, and made again until nothing follows any more, as runs would do it one after another.
Every start and stop is taken to succeed, and every host not assumed down to stay as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Sequence

from ..compile import checks
from ..compile.errors import Problems
from ..compile.keys import HIGHEST_SLOT, ITEM
from ..compile.reader import Reader
from ..decide import corrections
from ..decide.draft import Json, PlanError
from ..model.observation import seen_running, unseen
from ..model.plan import FREE_CLAIM, HOLD, STOP, Action, Plan
from ..model.records import Claim, HostRecord, State, apply_changes
from ..model.sentences import did_you_mean, listing
from ..model.site import Host, Item, Site
from ..model.words import DOWN, MONITOR, SEEN, STARTED, UNREACHABLE
from ..plan.outcome import settle
from ..plan.plan import make_plan
from . import readiness

ASSUMPTIONS = ("down", "up", "drain", "undrain", "add_items", "remove_items", "load")
ROUNDS = 20  # plans made one after another; more would mean that they undo each other
WHO = "what-if"
ALL = 1000  # instances at a time


class WrongQuestion(PlanError):
    """What is assumed makes no sense for this site; the text is the sentence for a person."""


class UnknownName(WrongQuestion):
    """What is assumed names something that the site does not have."""

    unknown = True


def what_if(
    site: Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Any],
    assume: Mapping[str, Any],
    now: float,
    digests: Mapping[str, str],
) -> Json:
    """Plans until nothing more happens, under some assumptions.

    :param observations: JSON, by host; one that was not asked is taken for what the ledger says of it.
    :param assume: {down: [hosts], up: [hosts], drain: [hosts], undrain: [hosts], add_items: [id or "id:slot"],
        remove_items: [ids], load: {host: percent of other work there}}; all optional.
    :returns: {assumed, revision, rounds, actions, waits, holds, hosts, readiness}, the last as in the status document;
        ``actions`` are those of the plans that do something, with their round; ``waits`` are the services that find no
        place in the end: {instance, why, already} with `already` for those that wait now; ``holds`` is what the last
        plan leaves as it is: {instance, host, why}; ``hosts`` are {host, reserved, limit, instances} afterwards.
    :raises WrongQuestion: when something in `assume` is not known or makes no sense.
    :raises PlanError: as `make_plan` does.
    """
    world = World(site, state, observations, now, digests)
    assumed = world.assume(assume)
    waiting = world.waiting()
    for kind in ("undrain", "drain"):
        for host in assume.get(kind) or ():
            request = {"kind": kind, "host": host, "who": WHO, "why": "what if", "force": True}
            world.round(dict(request, at_a_time=ALL) if kind == "drain" else request, revision)
    last = world.round({"kind": "reconcile", "who": WHO, "why": "what if"}, revision)
    while last.acts:
        if world.rounds >= ROUNDS:
            raise WrongQuestion("%d plans one after another did not come to an end: this is a defect" % ROUNDS)
        last = world.round({"kind": "reconcile", "who": WHO, "why": "what if"}, revision)
    waits = [
        {"instance": name, "why": why, "already": name in waiting} for name, why in sorted(world.waiting().items())
    ]
    told = {entry["instance"] for entry in waits}
    holds = [
        {"instance": action.instance, "host": action.host, "why": action.reason}
        for action in last.actions
        if action.kind == HOLD and action.instance not in told
    ]
    losses = readiness.readiness(world.site, world.state, world.observations, world.now)
    return {
        "assumed": assumed,
        "revision": revision,
        "rounds": world.rounds,
        "actions": world.actions,
        "waits": waits,
        "holds": holds,
        "hosts": world.hosts(),
        "readiness": dict(losses, says=readiness.sentence(losses)),
    }


def at_once(state: Mapping[str, Any]) -> Json:
    """A copy of the ledger in which nothing waits for its turn: that changes when things move, not what comes of it."""
    copied: Json = {kind: dict(records) for kind, records in state.items()}
    for host, record in copied["hosts"].items():
        if (record.get("drain") or {}).get("at_a_time"):
            copied["hosts"][host] = dict(record, drain=dict(record["drain"], at_a_time=0))
    for name, move in (copied.get("moves") or {}).items():
        copied["moves"][name] = dict(move, at_a_time=0)
    return copied


class World:
    """A copy of site, ledger and observations, in which plans are taken for done."""

    def __init__(
        self, site: Site, state: Mapping[str, Any], observations: Mapping[str, Any], now: float,
        digests: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.site, self.now, self.digests = site, now, digests
        self.state: Json = at_once(state)
        self.observations: Json = corrections.as_claimed(site, State.from_json(state), observations)
        self.actions: List[Json] = []
        self.rounds = 0

    # --- what is assumed

    def assume(self, assume: Mapping[str, Any]) -> List[str]:
        """Change site, ledger and observations; one sentence per assumption."""
        unknown = [key for key in assume if key not in ASSUMPTIONS]
        if unknown:
            known = listing(ASSUMPTIONS, most=len(ASSUMPTIONS)) + did_you_mean(unknown[0], ASSUMPTIONS)
            raise WrongQuestion("%s cannot be assumed, only %s" % (unknown[0], known))
        named = [(key, host) for key in ("down", "up", "drain", "undrain") for host in _listed(assume, key)]
        for key, host in named:
            self._known(host)
            others = [other for other, name in named if name == host and other != key]
            if others:
                raise WrongQuestion("%s cannot be both %s and %s" % (host, key, others[0]))
        said = [self._add(str(item)) for item in _listed(assume, "add_items")]
        said += [self._remove(str(item)) for item in _listed(assume, "remove_items")]
        if not isinstance(assume.get("load") or {}, Mapping):
            raise WrongQuestion("load must map hosts to percents, for example {server_1: 30}")
        said += [self._load(self._known(host), load) for host, load in (assume.get("load") or {}).items()]
        words = {"down": self._down, "up": self._up}
        for key, host in named:
            if key in words:
                words[key](host)
                said.append("%s is %s" % (host, "down" if key == "down" else "up again, with nothing running"))
            else:
                said.append("%s is %s" % (host, "drained" if key == "drain" else "used again"))
        return said

    def _known(self, host: str) -> Host:
        names = [known.name for known in self.site.hosts]
        if host not in names:
            raise UnknownName("there is no host %s in this site%s" % (host, did_you_mean(str(host), names)))
        return self.site.host(host)

    def _add(self, written: str) -> str:
        item_id, _unused, given = written.partition(":")
        if not given and item_id.isdigit():
            given = str(int(item_id))
        slots = {item.slot: item.id for item in self.site.items}
        if given and not (given.isdigit() and int(given) <= HIGHEST_SLOT):
            raise WrongQuestion("the slot of item %s is %s, must be 0 to %d" % (item_id, given, HIGHEST_SLOT))
        slot = int(given) if given else next(n for n in range(HIGHEST_SLOT + 1) if n not in slots)
        after = replace(self.site, items=(*self.site.items, Item(item_id, slot)))
        problems = Problems()
        Reader(problems).value(ITEM.field("id"), item_id, ("item",))
        if item_id in slots.values():
            problems.add(("item",), "there is one already")
        elif slot in slots:
            problems.add(("item",), "slot %d belongs to item %s; give it another one: %s:SLOT" % (
                slot, slots[slot], item_id))  # fmt: skip
        if not problems.errors:
            checks.check(after, problems)  # its ports
        if problems.errors:
            raise WrongQuestion("item %s cannot be added: %s" % (item_id, problems.errors[0].message))
        self.site = after
        return "item %s is added (slot %d)" % (item_id, slot)

    def _remove(self, item_id: str) -> str:
        ids = [item.id for item in self.site.items]
        if item_id not in ids:
            raise UnknownName("there is no item %s in this site%s" % (item_id, did_you_mean(item_id, ids)))
        self.site = replace(self.site, items=tuple(item for item in self.site.items if item.id != item_id))
        return "item %s is removed" % item_id

    def _load(self, host: Host, load: Any) -> str:
        """Other work on its machine: instead of what was measured there."""
        if isinstance(load, bool) or not isinstance(load, (int, float)) or not 0 <= load <= 1000:
            raise WrongQuestion("the load of %s is %r, must be a number of percent from 0 to 1000" % (host.name, load))
        together = [other.name for other in self.site.hosts if other.node == host.node]
        ours = sum(
            float(copy.get("cpu") or 0.0)
            for name in together
            for copy in ((self.observations.get(name) or {}).get("instances") or {}).values()
        )
        hosts = [
            replace(other, measure="node", extra_load=round(load) if other.name == host.name else 0)
            if other.name in together else other
            for other in self.site.hosts
        ]  # fmt: skip
        self.site = replace(self.site, hosts=tuple(hosts))
        for name in together:
            seen = self.observations.get(name)
            if seen:
                self.observations[name] = dict(seen, load=dict(seen.get("load") or {}, cpu=ours))
        return "%s has %g %% of other work" % (host.name, load)

    def _down(self, host: str) -> None:
        before = HostRecord.from_json(self.state["hosts"].get(host) or {})
        record = replace(before, state=DOWN, since=self.now, evidence="assumed", by=MONITOR)
        self.state["hosts"][host] = record.to_json()
        why = "%s is assumed down" % host
        self.observations[host] = unseen(host, UNREACHABLE, why)

    def _up(self, host: str) -> None:
        seen = self.observations.get(host) or {}
        if seen.get("answer") == SEEN and seen.get("service_manager") == "running":
            raise WrongQuestion("%s is up already" % host)
        self.observations[host] = seen_running(host, "assumed")

    # --- what follows

    def round(self, request: Mapping[str, Any], revision: int) -> Plan:
        """One run that does what it planned."""
        self.rounds += 1
        self.now += 1.0
        run = "%s %d" % (WHO, self.rounds)
        plan = make_plan(self.site, self.state, revision, self.observations, request, self.now, run, self.digests, None)
        if plan.refusals:
            raise WrongQuestion(plan.refusals[0])
        self.state = apply_changes(self.state, plan.changes)
        changed = set(plan.changes.get("claims") or {})
        acts = plan.acts
        answers: Json = {}
        for phase in sorted({action.phase for action in acts}):
            for action in acts:
                if action.phase == phase:
                    results = answers.setdefault(action.host, {"results": {}})["results"]
                    results[action.instance] = {"result": "stopped" if action.kind == STOP else "running"}
            for last in (False, phase == _last(acts)):  # a move is released by the first, for the next phase
                changes, _unused = settle(self.site, self.state, plan, answers, self.now, last)
                self.state = apply_changes(self.state, changes)
                changed |= set(changes.get("claims") or {})
        for action in acts:
            self._unsee(action)
        self.observations = corrections.correct(self.site, self.state, self.observations, changed)
        self.actions += [
            dict(action.to_json(), round=self.rounds) for action in plan.actions
            if action.acts or action.kind == FREE_CLAIM
        ]  # fmt: skip
        return plan

    def _unsee(self, action: Action) -> None:
        """What was stopped is not seen there any more, whether a claim stood for it or not."""
        seen = self.observations.get(action.host) or {}
        if action.kind == STOP and action.instance in (seen.get("instances") or {}):
            instances = {name: copy for name, copy in seen["instances"].items() if name != action.instance}
            self.observations[action.host] = dict(seen, instances=instances)

    # --- how it ends

    def waiting(self) -> Dict[str, str]:
        """Services that are wanted and hold no host, with the reason."""
        found = {}
        for name, instance in self.site.by_name().items():
            claim = Claim.from_json(self.state["claims"].get(name) or {})
            wanted = (self.state["wanted"].get(name) or {}).get("state")
            if wanted == STARTED and not claim.holds and not instance.application.on_request:
                found[name] = claim.reason or "%s holds no host" % name
        return found

    def hosts(self) -> List[Json]:
        held: Dict[str, List[str]] = {}
        for name, document in self.state["claims"].items():
            claim = Claim.from_json(document)
            if claim.holds:
                held.setdefault(str(claim.host), []).append(name)
        known = self.site.by_name()
        return [
            {
                "host": host.name,
                "reserved": sum(known[n].application.loading for n in held.get(host.name, ()) if n in known),
                "limit": host.load_limit,
                "instances": sorted(held.get(host.name, ())),
            }
            for host in self.site.hosts
        ]


def _listed(assume: Mapping[str, Any], key: str) -> Sequence[str]:
    value = assume.get(key) or ()
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise WrongQuestion("%s must be a list" % key)
    return list(dict.fromkeys(value))


def _last(acts: Sequence[Action]) -> int:
    return max(action.phase for action in acts)
