# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms about hosts: one for a machine that is down, with all that follows from it below."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from ..model.alarm import HIGH, LOW, MEDIUM, Alarm
from ..model.observation import is_full
from ..model.sentences import listing
from ..model.words import DEGRADED, DOWN, NOT_OPERATIONAL, UNKNOWN, UNREACHABLE, UP
from ..report.shown import NO_ROOM
from .failures import went_with
from .picture import HOLD_KEY, Condition, Picture

STORM_OVER = "hosts were silent together; all of them answer again"
DOUBT = 3.0  # s of one lost signal until it is worth a word
OUT_OF_REACH = 60.0  # s that runs do not reach a host although the monitor does


def under(picture: Picture, gone: Dict[str, str]) -> Dict[str, str]:
    """Item that is not well -> the key of the alarm about its cause.

    What came under an alarm stays there until it is well again, wherever it is by then.
    """
    found = {}
    for item in picture.items:
        if picture.well(item) and not _lost_window(picture, item, gone):
            continue
        was = [] if picture.well(item) else picture.memory.held.get(item, ())
        held = [gone[host] for host in (*picture.holders(item), *was) if host in gone]
        before = picture.memory.under.get(item, "")
        if before not in picture.told and went_with(picture, item, before):
            before = ""  # its host was in doubt for a moment only
        key = HOLD_KEY if HOLD_KEY in held else held[0] if held else before or _lost_window(picture, item, gone)
        if key and not _of_itself(picture, item, key, gone):
            found[item] = key
    return found


def _of_itself(picture: Picture, item: str, key: str, gone: Dict[str, str]) -> bool:
    """Whether an item has an alarm of its own which that of a host does not explain: it was there long before, or
    somebody knows of it. While the host is only in doubt, that explains nothing that was there before either."""
    own, memory = "item:%s" % item, picture.memory
    before = own in picture.told or (item in memory.ill and item not in memory.under)
    if own in picture.apart or not before:
        return own in picture.apart
    if own not in picture.told and went_with(picture, item, key):
        return False
    down = any(picture.hosts[host]["state"] == DOWN for host, its in gone.items() if its == key)
    lasts = picture.now - picture.since.get(key, picture.now)
    return not (down or key == HOLD_KEY or key in picture.told or lasts >= DOUBT)


def _lost_window(picture: Picture, item: str, gone: Dict[str, str]) -> str:
    """The alarm about the console that is gone with a window of an item."""
    for name, entry in picture.windows(item):
        if entry.get("host") in gone:
            return gone[str(entry["host"])]
        for host in gone:
            if name in (picture.hosts[host].get("left_behind") or ()):
                return gone[host]
    return ""


def explained(picture: Picture) -> Dict[str, List[Any]]:
    """Conflict -> [key of the alarm about the host that came back with the copy, since when]."""
    found: Dict[str, List[Any]] = {}
    for conflict in picture.document.get("conflicts") or ():
        known = picture.memory.explained.get(conflict["id"])
        if known and known[1] == conflict["since"]:
            found[conflict["id"]] = known
            continue
        item = str(picture.document["instances"].get(conflict["instance"], {}).get("item") or "")
        machines = {picture.machine(host) for host in conflict["hosts"]}
        for key, items in picture.memory.members.items():
            what, _unused, first = key.partition(":")
            if what == "host" and item in items and picture.machine(first) in machines:
                found[conflict["id"]] = [key, conflict["since"]]
    return found


def _doubled(picture: Picture, whose: Mapping[str, List[Any]]) -> Dict[str, List[Mapping[str, Any]]]:
    """key -> the conflicts that came back with its host and are there, or are new."""
    found: Dict[str, List[Mapping[str, Any]]] = {}
    for conflict in picture.document.get("conflicts") or ():
        ident = conflict["id"]
        if ident in whose and (conflict["open"] or ident not in picture.memory.explained):
            found.setdefault(whose[ident][0], []).append(conflict)
    return found


def conditions(
    picture: Picture, gone: Dict[str, str], below: Dict[str, str], whose: Mapping[str, List[Any]]
) -> Iterator[Condition]:
    """:param below: item -> key, of `under`. :param whose: of `explained`."""
    keys: Dict[str, List[str]] = {}
    doubled = _doubled(picture, whose)
    for host, key in gone.items():
        keys.setdefault(key, []).append(host)
    for key in below.values():
        if key.startswith("host:"):
            keys.setdefault(key, [])
    for key in {**keys, **doubled}:
        if key != HOLD_KEY:
            ill = [item for item, its in below.items() if its == key]
            found = _of_machine(picture, key, keys.get(key, []), ill)
            over = not (keys.get(key) or ill or any(conflict["open"] for conflict in doubled[key]))
            yield _with_copies(picture, found, doubled[key], over) if key in doubled else found
    for key, hosts in _fallen(picture).items():
        if key not in keys and key not in doubled:
            items = list(dict.fromkeys(item for host in hosts for item in picture.fallen[host]))
            found = _of_machine(picture, key, [], items, hosts)
            absences = [picture.back[host] for host in hosts]
            yield replace(found, over=True, since=min(one.began for one in absences),
                          ended=max(one.ended for one in absences),
                          says="%s; %s failed there" % (found.past, _items(items)))  # fmt: skip
    for name, entry in picture.hosts.items():
        if name in gone:
            continue
        if entry["state"] == UP and entry["answer"] == UNREACHABLE:
            says = "%s is not reached by runs: %s" % (name, entry.get("why") or "no answer")
            yield Condition("reach:%s" % name, "host", MEDIUM, says, after=OUT_OF_REACH, hosts=(name,),
                            past="%s was not reached by runs" % name)  # fmt: skip
        if is_full(entry.get("load") or {}):
            says = "disk of %s is full: nothing starts there" % name
            yield Condition("disk:%s" % name, "disk", HIGH, says, hosts=(name,))


def _fallen(picture: Picture) -> Dict[str, List[str]]:
    """Key -> the hosts of one machine on which several items failed in a short absence."""
    found: Dict[str, List[str]] = {}
    for host in picture.fallen:
        found.setdefault(picture.back[host].key, []).append(host)
    return found


def _of_machine(
    picture: Picture, key: str, hosts: List[str], items: List[str], away: Sequence[str] = ()
) -> Condition:  # fmt: skip
    """:param hosts: those of it that are gone; none when it is back, and not all is well yet.
    :param away: those of it that were gone, where that is not remembered under the key."""
    first = key.partition(":")[2]
    ever = [host for host in picture.absent.get(key) or away or [first] if host in picture.hosts]
    returned = [host for host in ever if host not in hosts]
    back = "%s %s back" % (listing(returned or [first]), "are" if len(returned) > 1 else "is")
    members = [i for i in dict.fromkeys([*picture.memory.members.get(key, ()), *items]) if i in picture.items]
    words = Words(picture, members, items)
    down = any(picture.hosts[host]["state"] == DOWN for host in hosts)
    name = hosts[0] if len(hosts) == 1 else first
    if len(hosts) > 1:
        name = "machine %s (%s)" % (picture.machine(hosts[0]), listing(hosts))
    head = "%s %s" % (name, "is down" if down else "does not answer")
    if not hosts:
        head = back if returned else "%s is not in the site any more" % first
    elif returned:
        head += ", %s" % back
    sure = down or not hosts or any(picture.memory.gone.get(host) == HOLD_KEY for host in hosts)
    windows = [item for item in members if not picture.services(item) or _lost_window(
        picture, item, dict.fromkeys(hosts, key))]  # fmt: skip
    tail = words.tail()
    if not tail and windows:
        tail = "the window%s of %s closed with it" % ("s" if len(windows) > 1 else "", _items(windows))
    serves = any(host in picture.servers for host in hosts or [first])
    priority = words.priority() or (MEDIUM if serves or windows else LOW)
    evidence = [str(picture.hosts[host].get("evidence") or "") for host in hosts]
    return Condition(
        key, "host", priority, head + (": " + tail if tail else ""), after=0.0 if sure else DOUBT,
        items=tuple(members), hosts=tuple(hosts or ever or [first]), below=words.below(), ill=tuple(items),
        detail="; ".join(dict.fromkeys(why for why in evidence if why)),
        past="%s are back; they were down or silent" % listing(ever) if len(ever) > 1 else
        "%s is back; it was down or silent" % (*ever, first)[0],
    )  # fmt: skip


def _with_copies(
    picture: Picture, condition: Condition, conflicts: List[Mapping[str, Any]], over: bool
) -> Condition:
    """The alarm about a host that is back, and still had copies of what is elsewhere by now.

    :param over: none of them is there any more, and nothing else either.
    """
    names = listing([str(conflict["instance"]) for conflict in conflicts])
    runs = "runs" if any(conflict["open"] for conflict in conflicts) else "ran"
    past = "%s and had a copy of %s" % (condition.past, names)
    return replace(
        condition, priority=HIGH if runs == "runs" else MEDIUM, doubled=True, over=over, past=past, after=0.0,
        since=max(float(conflict["since"] or 0.0) for conflict in conflicts) if over else 0.0,
        says=past if over else "%s; %s %s there, too, where it must not" % (condition.says, names, runs),
        below=condition.below + tuple((str(one["instance"]), str(one["why"])) for one in conflicts),
    )  # fmt: skip


def storm(picture: Picture, gone: Dict[str, str], below: Dict[str, str]) -> Iterator[Condition]:
    """Most servers are silent together: one alarm, with all hosts and items below."""
    says = str(picture.document["monitor"].get("storm") or "")
    silent = [host for host, key in gone.items() if key == HOLD_KEY]
    items = [item for item, key in below.items() if key == HOLD_KEY]
    if not says and not items:
        return
    members = [i for i in dict.fromkeys([*picture.memory.members.get(HOLD_KEY, ()), *items]) if i in picture.items]
    words = Words(picture, members, items)
    if says:
        head = "%d hosts are silent together, so nothing is concluded" % len(silent)
    else:
        head = "hosts that were silent together answer again"
    tail = words.tail()
    hosts = tuple((host, "%s does not answer" % host) for host in silent)
    yield Condition(
        HOLD_KEY, "hold", HIGH, head + (": " + tail if tail else ""), items=tuple(members), hosts=tuple(silent),
        below=hosts + words.below(), detail=says,
        past=STORM_OVER,
    )  # fmt: skip


def storm_over(picture: Picture, alarm: Alarm) -> str:
    """What is said of a storm that is over."""
    silent = [host for host in alarm.hosts if host in picture.gone]
    if not silent:
        return STORM_OVER
    return "hosts were silent together; %s still %s" % (listing(silent), "are" if len(silent) > 1 else "is")


class Words:
    """How the items below one cause are, counted and one by one."""

    def __init__(self, picture: Picture, members: List[str], ill: List[str]) -> None:
        self._picture, self._members, self._ill = picture, members, set(ill)

    def _group(self, item: str) -> str:
        entry = self._picture.items[item]
        if item not in self._ill or self._picture.well(item):
            return "again"
        if entry.get("word") == NO_ROOM:
            return NO_ROOM
        if any(part.get("phase") == "failed" and not part.get("until") for _n, part in self._picture.services(item)):
            return "failed"
        if entry["verdict"] == UNKNOWN:
            return UNKNOWN
        if entry["verdict"] in (DEGRADED, NOT_OPERATIONAL):
            return str(entry["verdict"])
        return "moving"

    def counts(self) -> Dict[str, int]:
        found: Dict[str, int] = {}
        for item in self._members:
            group = self._group(item)
            found[group] = found.get(group, 0) + 1
        return found

    def tail(self) -> str:
        """``40 items are moving, 2 have no room``"""
        parts: List[str] = []
        for group, one, many in _GROUPS:
            count = self.counts().get(group, 0)
            if count:
                noun = " item%s" % ("" if count == 1 else "s") if not parts else ""
                parts.append("%d%s %s" % (count, noun, one if count == 1 else many))
        return ", ".join(parts)

    def priority(self) -> str:
        """By consequence; empty where nothing stays out of service."""
        counts = self.counts()
        return HIGH if counts.get(NO_ROOM) or counts.get("failed") else ""

    def below(self) -> Tuple[Tuple[str, str], ...]:
        return tuple((item, _said(self._picture, item)) for item in self._members)


_GROUPS = (
    ("moving", "is moving", "are moving"),
    (NOT_OPERATIONAL, "is not operational", "are not operational"),
    (NO_ROOM, "has no room", "have no room"),
    ("failed", "failed", "failed"),
    (UNKNOWN, "is not known", "are not known"),
    (DEGRADED, "is degraded", "are degraded"),
    ("again", "runs again", "run again"),
)


def _said(picture: Picture, item: str) -> str:
    entry = picture.items[item]
    paused = picture.paused(item)
    word = "paused" if paused else str(entry.get("word") or entry["verdict"])
    where = (entry.get("services") or {}).get("host")
    if picture.well(item) and where:
        return "%s on %s" % (word, where)
    if word == NO_ROOM:
        return str(entry["short"])
    return "%s: %s" % (word, entry["short"]) if entry.get("short") else word


def _items(items: List[str]) -> str:
    return "item%s %s" % ("s" if len(items) > 1 else "", listing(items))
