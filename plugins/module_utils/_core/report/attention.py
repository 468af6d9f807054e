# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status shows besides how things run: pauses, what people have to see or decide, and what the monitor notes."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping

from ..decide import notices
from ..decide import pauses as decide_pauses
from ..model import sentences
from ..model.asked import subject
from ..model.records import Booked, Claim, Pause, Records, SiteStop
from ..model.words import SITE, item_key

Json = Dict[str, Any]
MOST_OVER = 2  # conflicts that are over and are listed one by one
MOST = 20  # notes of the monitor; beyond, they are counted


def part(state: Mapping[str, Any], now: float) -> Json:
    """``{"stopped", "moves", "requests", "pauses", "conflicts", "failures", "drift", "marks"}`` of the status document.

    ``stopped`` is {by, why, at, says} while the whole site is stopped, else None; a move that is still to be done is
    {instance, host, to, by, why, at, due, at_a_time, rebalance, says}. A pause is {key, by, why, at, until, says}, a
    conflict {id, instance, hosts, policy, since, why, open, acknowledged}, a failure {id, instance, host, at, why,
    count, acknowledged}, a drift {id, instance, hosts, since, why}, a
    mark of alarms {what, about, by, why, at, until}, a request that no run has planned {id, kind, who, why, at, says}.
    """
    pauses = [
        dict(pause.to_json(), key=key, says=decide_pauses.sentence(key, pause, now))
        for key, pause in sorted(_now(state, now).items())
    ]
    claims = Records(dict(state.get("claims") or {}), Claim.from_json)
    stop = SiteStop.of(state.get("meta") or {})
    return dict(
        notices.shown(state.get("notices") or {}, claims),
        pauses=pauses,
        requests=[_waits(ident, asked, now) for ident, asked in (state.get("requests") or {}).items()],
        stopped=dict(stop.to_json(), says=stop.sentence(now)) if stop is not None else None,
        moves=[
            dict(record, instance=name, says=_move(name, Booked.from_json(record), now))
            for name, record in sorted((state.get("moves") or {}).items())
        ],
    )


def _move(name: str, booked: Booked, now: float) -> str:
    when = "at %s" % sentences.clock(booked.due, now) if booked.due else "in its turn"
    why = " (%s)" % booked.why if booked.why else ""
    return "%s moves from %s to %s %s, as %s asked%s" % (name, booked.host, booked.to, when, booked.by, why)


def _waits(ident: str, asked: Mapping[str, Any], now: float) -> Json:
    """A request that waits for its turn. What may be secret of it is left out."""
    at, who = float(asked.get("asked") or now), str(asked.get("who") or "")
    says = "%s, asked for by %s at %s, waits for its turn" % (
        subject(asked), who or "somebody", sentences.clock(at, now, seconds=True))  # fmt: skip
    return {"id": ident, "kind": asked.get("kind"), "who": who, "why": asked.get("why") or "", "at": at, "says": says}


def _now(state: Mapping[str, Any], now: float) -> Dict[str, Pause]:
    """Pauses that are not over yet, whether or not a run has noticed."""
    known = {key: Pause.from_json(record) for key, record in (state.get("pauses") or {}).items()}
    return {key: pause for key, pause in known.items() if pause.until is None or pause.until > now}


def mark_paused(item: Json, pauses: List[Json]) -> None:
    """Say in an item's entry that it is paused: ``paused``, and in its cause."""
    keys = (SITE, item_key(item["item"]))
    says = next((pause["says"] for key in keys for pause in pauses if pause["key"] == key), "")
    item["paused"] = bool(says)
    if says:
        item["cause"] = "%s; %s" % (item["cause"], says) if item["cause"] else says


def mark_pending(item: Json, instances: Mapping[str, Any]) -> None:
    """Say in an item's entry what of it has not taken its configuration yet: ``pending``, and in its cause.

    :param instances: instance -> its ``pending``.
    """
    item["pending"] = sorted(name for name, pending in instances.items() if pending)
    if item["pending"]:
        says = "a new configuration is pending for %s" % sentences.listing(item["pending"])
        item["cause"] = "%s; %s" % (item["cause"], says) if item["cause"] else says


def lines(document: Mapping[str, Any], now: float) -> List[str]:
    """The same as text, with the ids to acknowledge."""
    text = ["stopped: %s" % document["stopped"]["says"]] if document.get("stopped") else []
    text += ["move: %s" % move["says"] for move in document.get("moves") or []]
    text += ["request: %s [%s]" % (one["says"], one["id"]) for one in document.get("requests") or []]
    text += ["paused: %s" % pause["says"] for pause in document.get("pauses") or []]
    text += ["drift: %s (only reported)" % drift["why"] for drift in document.get("drift") or []]
    conflicts = document.get("conflicts") or []
    over = [conflict for conflict in conflicts if not conflict["open"]]
    if len(over) > MOST_OVER:  # what is true now must be seen
        conflicts = [conflict for conflict in conflicts if conflict["open"]]
    else:
        over = []
    for conflict in sorted(conflicts, key=lambda conflict: not conflict["open"]):
        more = "" if conflict["open"] else ", it is over"
        if conflict["acknowledged"]:
            more += ", acknowledged by %s" % conflict["acknowledged"]["by"]
        since = sentences.clock(conflict["since"] or now, now)
        text.append("conflict: %s (since %s%s) [%s]" % (conflict["why"], since, more, conflict["id"]))
    if over:
        about = sentences.listing(dict.fromkeys(conflict["instance"] for conflict in over))
        text.append("conflicts that are over: %d, about %s (muster acknowledge --all)" % (len(over), about))
    for failure in document.get("failures") or []:
        often = " (%s)" % sentences.times(failure["count"]) if failure["count"] > 1 else ""
        at = sentences.clock(failure["at"] or now, now)
        where = "%s on %s" % (failure["instance"], failure["host"])
        text.append("failed: %s at %s%s: %s [%s]" % (where, at, often, failure["why"], failure["id"]))
    return text


def notes(monitor: Mapping[str, Any]) -> List[str]:
    """What to know of the settings of its runs; warnings, unknown states and shadowed wishes of the monitor's probes.

    From ``monitor.json``: at most `MOST` sentences, the last one of which counts those left out.
    """
    found = list(_noted(monitor))
    return found if len(found) <= MOST else found[: MOST - 1] + ["and %d more" % (len(found) - MOST + 1)]


def _noted(monitor: Mapping[str, Any]) -> Iterator[str]:
    yield from monitor.get("settings") or []
    for name, host in (monitor.get("hosts") or {}).items():
        if host.get("no_line"):
            yield "%s: %s" % (name, host["no_line"])
    for wish in monitor.get("shadow") or []:
        reason = "it is paused" if wish.get("paused") else "its probe is in shadow"
        yield "would %s %s, but %s: %s" % (wish["what"], wish["instance"], reason, wish["why"])
    for name, bus in (monitor.get("buses") or {}).items():
        yield from _of_probe("the bus of %s" % name, bus)
        if bus.get("link"):
            yield from _of_probe("the link of %s to its services" % name, bus["link"])
    for name, copies in (monitor.get("services") or {}).items():
        for host, service in copies.items():
            yield from _of_probe("%s on %s" % (name, host), service)


def _of_probe(what: str, health: Dict[str, Any]) -> Iterator[str]:
    if health.get("warning"):
        yield "%s works, with a warning: %s" % (what, health["warning"])
    elif health.get("state") == "unknown" and health.get("why") not in (None, "", "not asked yet"):
        yield "whether %s works is not known: %s" % (what, health["why"])
