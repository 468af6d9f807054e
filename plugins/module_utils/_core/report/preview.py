# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy of an edited inventory would do to a site that runs, in a form for people. Pure.

Its plans are made one after the other and taken for done, as in `report.what_if`, until nothing starts, stops or moves
any more. New hosts are taken for prepared, which a deploy does first.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set

from ..model import change
from ..model.observation import Observation, observed, seen_running
from ..model.plan import FREE_CLAIM, RELOAD, RESTART, START, STOP, Plan
from ..model.records import Claim
from ..model.rollout import ABORTED, DONE, Rollout
from ..model.sentences import listing, number
from ..model.sequence import application_of
from ..model.site import Site, to_json
from ..model.words import CURRENT
from . import readiness
from .what_if import World, WrongQuestion

Json = Dict[str, Any]
ROUNDS = 20
MOST = 12  # names of one line
_OVER = (DONE, ABORTED)  # no deploy goes on with such a rollout


class Before(NamedTuple):
    """The site that was deployed last."""

    site: Site
    digests: Mapping[str, str]


def preview(
    before: Optional[Before],
    site: Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Any],
    request: Mapping[str, Any],
    now: float,
    digests: Mapping[str, str],
) -> Json:
    """What this request, a deploy, would do.

    :param before: None when nothing was deployed yet.
    :param observations: JSON, by host.
    :param digests: of the edited site.
    :returns: {edited, items, hosts, applications, prepared, starts, stops, moves, rollout, reloads, windows, waits,
        readiness}; every list is of sentences' parts, see `lines`.
    """
    fresh = [host.name for host in site.hosts if _is_new(observed(observations, host.name))]
    seen = dict(observations, **{host: seen_running(host, "") for host in fresh})
    world = World(site, state, seen, now, digests)
    running = {name for name, claim in _claims(state).items() if claim.holds}
    plans = [world.round(request, revision)]
    while any(action.kind in (START, STOP) for action in plans[-1].acts):
        if world.rounds >= ROUNDS:
            raise WrongQuestion("%d plans one after another did not come to an end: this is a defect" % ROUNDS)
        plans.append(world.round({"kind": "reconcile", "who": request.get("who") or ""}, revision))
    first = plans[0]
    rollout = (first.changes.get("rollouts") or state.get("rollouts") or {}).get(CURRENT)
    record = Rollout.from_json(rollout) if rollout else None
    return {
        **_differences(before, Before(site, digests)),
        "prepared": fresh,
        **_places(state, world, running),
        "rollout": _rollout(site, record, first),
        "reloads": [action.instance for action in first.actions if action.kind == RELOAD],
        "windows": _windows(site, state, first, record),
        "waits": [{"instance": name, "why": why} for name, why in sorted(world.waiting().items())],
        "readiness": readiness.readiness(site, world.state, world.observations, world.now),
    }


def _is_new(seen: Observation) -> bool:
    return seen.seen and not seen.prepared


def _claims(state: Mapping[str, Any]) -> Dict[str, Claim]:
    return {name: Claim.from_json(document) for name, document in state["claims"].items()}


def _differences(before: Optional[Before], after: Before) -> Json:
    """What was edited. A change that reaches no instance is named as a setting."""
    if before is None:
        return {"edited": None, "items": {}, "hosts": {}, "applications": {}, "settings": []}
    parts: Json = {}
    for kind in ("items", "hosts"):
        key = "id" if kind == "items" else "name"
        old = {getattr(one, key): to_json(one) for one in getattr(before.site, kind)}
        new = {getattr(one, key): to_json(one) for one in getattr(after.site, kind)}
        parts[kind] = {
            "added": [name for name in new if name not in old],
            "removed": [name for name in old if name not in new],
            "changed": [name for name in new if name in old and _but_order(new[name]) != _but_order(old[name])],
        }
    known = before.site.by_name()
    applications: Dict[str, int] = {}
    for name, instance in after.site.by_name().items():
        if name in known and before.digests.get(name) != after.digests.get(name):
            applications[instance.application.name] = applications.get(instance.application.name, 0) + 1
    old_site, new_site = to_json(before.site), to_json(after.site)
    others = [key for key in new_site if key not in ("items", "hosts", "groups", "state_dir")
              and new_site[key] != old_site.get(key)]  # fmt: skip
    settings = [key for key in others if key != "applications" or not applications]
    edited = bool(others or applications or any(names for part in parts.values() for names in part.values()))
    return {"edited": edited, **parts, "applications": applications, "settings": settings}


def _but_order(document: Any) -> Any:
    return {key: value for key, value in document.items() if key != "order"} if isinstance(document, dict) else document


def _places(state: Mapping[str, Any], world: World, running: Set[str]) -> Json:
    """What starts, stops and moves, whatever the rounds between. An open window of an item that leaves is a stop."""
    before, after = _claims(state), _claims(world.state)
    acted: Dict[str, Set[str]] = {}
    for action in world.actions:
        acted.setdefault(str(action["instance"]), set()).add(str(action["action"]))
    found: Dict[str, List[Json]] = {"starts": [], "stops": [], "moves": []}
    for name in sorted(acted):
        if acted[name] <= {RELOAD, RESTART, FREE_CLAIM}:
            continue
        old, new = before.get(name), after.get(name)
        was = str(old.host) if old is not None and name in running else ""
        now = str(new.host) if new is not None and new.holds else ""
        if was and now and was != now:
            found["moves"].append({"instance": name, "from": was, "to": now})
        elif now and not was:
            found["starts"].append({"instance": name, "host": now})
        elif was and not now:
            found["stops"].append({"instance": name, "host": was})
    return found


def _rollout(site: Site, record: Optional[Rollout], plan: Plan) -> Optional[Json]:
    """The batches of this deploy; None where it has none."""
    if record is None or record.state in _OVER:
        return None
    begins = record.id == plan.run
    does = {name: change.effect(instance.application, record.sources[name], record.targets[name])
            for name, instance in site.by_name().items() if name in record.targets}  # fmt: skip
    return {
        "id": record.id, "begins": begins, "state": record.state, "reason": record.reason, "at": record.at,
        "batches": [list(batch) for batch in record.batches], "hold_for": record.hold_for,
        "max_failures": record.max_failures, "revert": record.revert,
        "gently": [name for name, word in does.items() if word in (change.RELOAD, change.NOTHING)],
    }  # fmt: skip


def _windows(site: Site, state: Mapping[str, Any], plan: Plan, record: Optional[Rollout]) -> List[Json]:
    """Every open window that this concerns, and how."""
    pending = {name: document.get("pending") for name, document in (plan.changes.get("claims") or {}).items()
               if document is not None}  # fmt: skip
    does: Dict[str, List[str]] = {}
    for action in plan.actions:
        does.setdefault(action.instance, []).append(action.kind)
    turn: Dict[str, int] = {}  # of what is still to restart: the record is kept when that is over
    if record is not None and record.state not in _OVER:
        turn = {name: number for number, batch in enumerate(record.batches, 1) for name in batch
                if name in record.waiting or {RESTART, RELOAD} & set(does.get(name, ()))}  # fmt: skip
    found = []
    for name, claim in sorted(_claims(state).items()):
        instance = site.by_name().get(name)
        if not claim.holds or (instance is not None and not instance.application.on_request):
            continue
        if instance is None:
            if STOP in does.get(name, ()) and _was_window(site, name):
                found.append({"instance": name, "host": claim.host, "says": "closes: its item leaves the site"})
            continue
        if STOP in does.get(name, ()):
            says = "closes"
        elif RESTART in does.get(name, ()) or name in turn:
            says = "closes and opens again (on_change: %s)" % change.RESTART
        elif pending.get(name):
            says = "stays open, and takes its configuration when it is closed and opened again"
        else:
            services = [other for other in turn if site.instance(other).item.id == instance.item.id]
            if not services:
                continue
            says = "stays open"
        services = [other for other in turn if other != name and site.instance(other).item.id == instance.item.id]
        if services:
            says += "; %s restart%s behind it in batch %s" % (
                listing(services), "s" if len(services) == 1 else "", listing([str(turn[one]) for one in services]))
        found.append({"instance": name, "host": claim.host, "says": says})
    return found


def _was_window(site: Site, name: str) -> bool:
    application = application_of(site, name)
    return application is not None and application.on_request


def head(edited: Optional[bool]) -> str:
    """Which site a plan of a deploy looks at."""
    if edited is None:
        return "a deploy of this inventory, the first one:"
    if edited:
        return "a deploy of this inventory, which was edited since the last deploy:"
    return "a deploy of this inventory, which is what was deployed last:"


DEPLOYED = "the site as it was deployed last (an edited inventory: muster plan --deploy)"


def lines(document: Mapping[str, Any]) -> List[str]:
    """What `preview` returns, as text."""
    rows: List[str] = []
    for kind in ("items", "hosts"):
        part = document[kind]
        texts = ["%s %s" % (word, listing(part[word], most=MOST))
                 for word in ("added", "removed", "changed") if part.get(word)]  # fmt: skip
        rows += ["%-9s %s" % (kind, "; ".join(texts))] if texts else []
    for name, count in document["applications"].items():
        rows.append("%-9s another configuration of %d instance%s of %s" % (
            "changes", count, "" if count == 1 else "s", name))  # fmt: skip
    if document["settings"]:
        rows.append("%-9s %s" % ("settings", listing(["muster_" + key for key in document["settings"]], most=MOST)))
    if document["prepared"]:
        rows.append("%-9s %s" % ("prepares", listing(document["prepared"], most=MOST)))
    rows += _by_host("starts", document["starts"], "on")
    rows += _by_host("stops", document["stops"], "on")
    rows += ["%-9s %s from %s to %s" % ("moves", one["instance"], one["from"], one["to"])
             for one in document["moves"]]  # fmt: skip
    alone = [name for name in document["reloads"] if name not in (document["rollout"] or {}).get("gently", ())]
    if alone:
        rows.append("%-9s %s, without a restart" % ("reloads", listing(alone, most=MOST)))
    rows += _batches(document["rollout"])
    rows += ["%-9s %s on %s %s" % ("window", one["instance"], one["host"], one["says"])
             for one in document["windows"]]  # fmt: skip
    rows += ["%-9s %s" % ("waits", one["why"]) for one in document["waits"]]
    if not rows:
        rows.append("nothing changes")
    lost = readiness.sentence(document["readiness"]) or "the loss of any one server could still be made up for"
    rows.append("%-9s %s" % ("then", lost))
    return [head(document["edited"]), *("  " + row for row in rows)]


def _by_host(word: str, entries: Sequence[Mapping[str, str]], link: str) -> List[str]:
    hosts: Dict[str, List[str]] = {}
    for entry in entries:
        hosts.setdefault(entry["host"], []).append(entry["instance"])
    return ["%-9s %s %s %s" % (word, listing(names, most=MOST), link, host) for host, names in sorted(hosts.items())]


def _batches(rollout: Optional[Mapping[str, Any]]) -> List[str]:
    if rollout is None:
        return []
    batches = rollout["batches"]
    count = sum(len(batch) for batch in batches)
    words = "%d instance%s in %d batch%s" % (count, "" if count == 1 else "s", len(batches),
                                             "" if len(batches) == 1 else "es")  # fmt: skip
    word = "reloads" if len(rollout["gently"]) == count else "restarts"
    if rollout["begins"]:
        text = words
        if rollout["gently"]:
            which = "" if word == "reloads" else "%s " % listing(rollout["gently"], most=MOST)
            text += ", %swithout a restart" % which
        if len(batches) > 1:
            text += ", each of which must be well for %s s" % number(rollout["hold_for"])
            text += "; more than %d failed stop it" % rollout["max_failures"] if rollout["max_failures"] else (
                "; one that fails stops it")
            text += ", and what failed goes back" if rollout["revert"] else ""
        rows = ["%-9s %s" % (word, text)]
    else:
        why = " (%s)" % rollout["reason"] if rollout["reason"] else ""
        rows = ["%-9s rollout %s is %s%s: %s" % (word, rollout["id"], rollout["state"], why, words)]
    if len(batches) > 1:
        rows += ["%-9s   batch %d: %s" % ("", at, listing(batch, most=MOST)) for at, batch in enumerate(batches, 1)]
    return rows
