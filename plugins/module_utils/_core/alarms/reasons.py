# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why something that is so makes no alarm: what ISA-18.2 calls suppression by design, in one list.

Each reason is about everything that an alarm is about, or it does not count. The rules of the site come after these
(`alarms.rules`); shelving is something else: there a person does not want to hear of an alarm that is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from ..model.alarm import DRAINED, DRILL, PAUSED, STOPPED_SITE
from ..model.drill import drill_says
from ..model.sentences import listing
from .picture import Condition, Picture

Json = Dict[str, Any]
NO_DRILL = ("conflict",)  # kinds that no drill makes harmless: two copies run


class Reason(NamedTuple):
    name: str
    kinds: Tuple[str, ...]  # of alarms
    says: Callable[[Picture, Condition], str]  # that it applies, as a sentence; empty when it does not


def _stopped(picture: Picture, condition: Condition) -> str:
    return picture.stopped


def _paused(picture: Picture, condition: Condition) -> str:
    said = [picture.paused(item) for item in condition.items]
    return said[0] if said and all(said) else ""


def _drained(picture: Picture, condition: Condition) -> str:
    """What a person has emptied may go; what it still takes along is an alarm."""
    drained = [host for host in condition.hosts if picture.hosts.get(host, {}).get("drain")]
    whole = drained and len(drained) == len(condition.hosts) and not condition.ill
    return "%s is drained" % listing(drained) if whole else ""


def _reserve_drained(picture: Picture, condition: Condition) -> str:
    drained = [name for name in picture.servers if picture.hosts.get(name, {}).get("drain")]
    return "%s is drained" % listing(sorted(drained)) if drained else ""


REASONS = (
    Reason(STOPPED_SITE, ("service", "n-1"), _stopped),
    Reason(PAUSED, ("item", "bus", "no-room", "quarantine"), _paused),
    Reason(DRAINED, ("host",), _drained),
    Reason(DRAINED, ("n-1",), _reserve_drained),
)


def suppressed(picture: Picture, condition: Condition, drills: Mapping[str, Mapping[str, Any]]) -> Condition:
    """The condition, and why it is no alarm if it is none.

    :param drills: as `life.Marks` has them.
    """
    if condition.doubled:
        return condition
    for reason in REASONS:
        says = reason.says(picture, condition) if condition.kind in reason.kinds else ""
        if says:
            return replace(condition, by_design=says, reason=reason.name)
    if not drills or condition.kind in NO_DRILL:
        return condition
    began = picture.since.get(condition.key) or condition.since or picture.now
    known = {
        about: drill for about, drill in drills.items()
        if float(drill.get("at") or 0.0) <= began and float(drill.get("until") or 0.0) > picture.now
    }  # fmt: skip
    about = _drill(picture, condition, known)
    if not about:
        return condition
    return replace(condition, by_design=drill_says(about, drills[about], picture.now), reason=DRILL, drill=about)


def _drill(picture: Picture, condition: Condition, drills: Mapping[str, Mapping[str, Any]]) -> str:
    """What the drill is about to which all of a condition belongs, the one that ends first; empty when it is none.

    An item belongs to a drill on the host where it ran when it was well last, too.
    """
    found: List[str] = []
    for host in condition.hosts:
        if "host:%s" % host not in drills:
            return ""
        found.append("host:%s" % host)
    for item in () if condition.hosts else condition.items:
        ran = ["host:%s" % host for host in picture.memory.held.get(item, ())]
        if "item:%s" % item in drills:
            found.append("item:%s" % item)
        elif ran and all(host in drills for host in ran):
            found += ran
        else:
            return ""
    return min(found, key=lambda about: float(drills[about]["until"])) if found else ""
