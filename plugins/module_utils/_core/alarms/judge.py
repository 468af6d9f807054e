# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one status document to the alarms that stand: the entry of this room."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..model.alarm import Alarm, Rule
from . import failures, hosts, items, reasons, whole
from .life import FOLDED, Marks, Standing, step
from .picture import BACK, Condition, Memory, Picture

Json = Dict[str, Any]
CHARGED = 20  # failures of one item that are remembered beside those that the ledger still has


def judged(
    document: Mapping[str, Any], known: Mapping[str, Any], marks: Marks, rules: Sequence[Rule] = (),
    facts: Mapping[str, Any] = {},
) -> Tuple[Json, List[Json]]:  # fmt: skip
    """What is remembered after a status document, and every change of an alarm's state.

    ``waits`` of it: something becomes an alarm, or ends, by lasting only.

    :param known: what this returned for the document before; empty at first.
    :param facts: what the document does not have: {failing: why the monitor's turns fail, disk: {path, percent}, keys:
        [{name, until}]}; each may be missing.
    """
    memory, standing = Memory.from_json(known.get("memory") or {}), Standing.from_json(known)
    now = float(document["at"])
    if now < float(known.get("at") or 0.0):
        standing.set_back(now)
        memory = memory.set_back(now)
    told = {key for key, alarm in standing.alarms.items() if alarm.active}
    apart = {key for key in told if standing.alarms[key].acknowledged or standing.alarms[key].raised <= now - FOLDED}
    picture = Picture(document, memory, facts, dict(standing.nascent), told, apart)
    found, below = conditions(picture)
    found = [reasons.suppressed(picture, condition, marks.drills) for condition in found]
    changes = step(standing, found, marks, rules, picture.now, lambda alarm: ending(picture, alarm))
    after = _remembered(picture, below, standing)
    waits = bool(standing.nascent or standing.calm) or failures.settling(picture) or whole.booting(picture)
    return {**standing.to_json(), "memory": after.to_json(), "at": picture.now, "waits": waits}, changes


def conditions(picture: Picture) -> Tuple[List[Condition], Dict[str, str]]:
    """Everything of which a person should know, one condition per cause; and what is below which."""
    gone = picture.silent
    below, explained = hosts.under(picture, gone), hosts.explained(picture)
    found = [
        *hosts.storm(picture, gone, below),
        *hosts.conditions(picture, gone, below, explained),
        *items.conditions(picture, below, explained),
        *whole.conditions(picture, gone),
    ]
    return list({condition.key: condition for condition in reversed(found)}.values())[::-1], below


def ending(picture: Picture, alarm: Alarm) -> str:
    """What is said of an alarm whose cause is gone."""
    past = alarm.past or alarm.says
    if alarm.key.startswith("item:"):
        item = alarm.key.partition(":")[2]
        return "%s; %s" % (past, items.is_now(picture, item)) if item in picture.items else past
    what, _unused, host = alarm.key.partition(":")
    if what == "hold":
        return hosts.storm_over(picture, alarm)
    if what == "host" and host not in picture.hosts:
        return "%s was down or silent, and is not in the site any more" % host
    return past


def _remembered(picture: Picture, below: Mapping[str, str], standing: Standing) -> Memory:
    members: Dict[str, List[str]] = {}
    for item, key in below.items():
        members.setdefault(key, list(picture.memory.members.get(key, ())))
        if item not in members[key]:
            members[key].append(item)
    for key, names in picture.memory.members.items():
        if key not in members and key in standing.alarms and standing.alarms[key].active:
            members[key] = list(names)
    charged = {item: [failure.at for failure in failures.failures(picture, item)] for item in picture.items}
    charged.update(whole.service_ends(picture))
    for key, before in picture.memory.charged.items():
        if key in picture.items or key.startswith("service:"):
            now = charged.get(key, [])
            known = before if isinstance(before, list) else [before]
            charged[key] = [at for at in known if at not in now][-CHARGED:] + now
    ill = {item: picture.memory.ill.get(item, picture.now if picture.memory.begun else 0.0)
           for item in picture.items if not picture.well(item)}  # fmt: skip
    ran = {item: {at for at in (*picture.memory.ran.get(item, ()), *picture.running(item)) if picture.now - at < BACK}
           for item in (picture.items if picture.back else ())}  # fmt: skip
    readiness = picture.document.get("readiness") or {}
    ready = bool(readiness.get("ready")) or picture.memory.ready
    held = {item: picture.holders(item) if picture.well(item) else list(picture.memory.held.get(item, ()))
            for item in picture.items}  # fmt: skip
    charged = {key: times for key, times in charged.items() if times}
    lasts = {*picture.silent.values(), *(key for key, alarm in standing.alarms.items() if alarm.active)}
    absent = {key: names for key, names in picture.absent.items() if key in lasts}
    return Memory(True, charged, dict(below), members, {item: names for item, names in held.items() if names}, ready,
                  ill, hosts.explained(picture), picture.silent, picture.back_later(),
                  {item: sorted(times) for item, times in ran.items() if times}, absent)  # fmt: skip
