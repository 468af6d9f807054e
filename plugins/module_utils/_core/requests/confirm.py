# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person confirms that a host is down: services claimed there may move, HCIs that were open there have ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Final, List, Mapping, Optional

from ..decide.draft import Draft
from ..model.observation import observed
from ..model.plan import HOLD, START
from ..model.sentences import clock, did_you_mean, listing
from ..model.site import Settings
from ..model.words import DOWN, MONITOR

HEARD: Final = "heard"  # in the request: host -> when it answered last, as far as is known, seconds since 1970


def confirm_down(draft: Draft) -> List[str]:
    """Write down that the host is down.

    :return: the instances claimed there, in site order.
    """
    host = str(draft.request.get("host") or "")
    names = [h.name for h in draft.site.hosts]
    claimed = [n for n, c in draft.state.claims.items() if c.holds and host in (c.host, c.target)]
    if host not in names and not claimed:  # one that left the inventory may still hold something
        draft.refuse(None, host, "there is no host %s in this site%s" % (host, did_you_mean(host, names)))
        return []
    if draft.request.get("force") and draft.request.get("confirm") != host:
        draft.refuse(None, host, "to force it, name the host once more (confirm: %s)" % host)
        return []
    record = draft.record(host)
    if record.state != DOWN or record.by == MONITOR:
        why = draft.why or "%s says so" % draft.who
        draft.set_host(host, replace(record, state=DOWN, since=draft.now, evidence=why, by=draft.who))
        draft.note("%s is confirmed down" % host, draft.why, host=host)
    freed = ": %s may start elsewhere, windows when they are opened again" % listing(sorted(claimed)) if claimed else ""
    draft.hold(None, host, "%s marked as dead by %s%s" % (host, draft.who, freed))
    order = {name: position for position, name in enumerate(draft.site.by_name())}
    return sorted(claimed, key=lambda name: (order.get(name, len(order)), name))


def heard(request: Mapping[str, Any], observations: Mapping[str, Any], now: float) -> Dict[str, float]:
    """When the host that the request is about answered last: its sender may know, and what was observed says it.

    :param observations: before the request's word counts for more than what was seen. One of this run has no time.
    """
    host = str(request.get("host") or "")
    times = [float(at) for name, at in (request.get(HEARD) or {}).items() if name == host]
    document = observations.get(host)
    if document is not None and observed(observations, host).seen:
        times.append(float(document.get("at") or now) if isinstance(document, Mapping) else now)
    return {host: max(times)} if times else {}


def patience(settings: Settings) -> float:
    """Seconds since its last answer within which a host is not dead."""
    return settings.host_down_after + settings.host_interval


def answers(at: float, down_since: Optional[float], settings: Settings, now: float) -> bool:
    """Whether a host is not dead: it answered within its patience, and nobody has believed it down since.

    :param at: when it answered last. :param down_since: since when it is believed down; None: it is not.
    """
    return now - at <= patience(settings) and not (down_since is not None and down_since > at)


def refuse_if_it_answers(draft: Draft) -> None:
    """What a host holds that is not dead would run twice. In check mode the plan says so, and nothing is refused."""
    host = str(draft.request.get("host") or "")
    at = (draft.request.get(HEARD) or {}).get(host)
    believed = draft.state.hosts.get(host)
    down = believed.since if believed is not None and believed.state == DOWN else None
    if at is None or draft.request.get("force") or not answers(at, down, draft.site.settings, draft.now):
        return
    answered = "%s answered at %s, %.1f s ago" % (host, clock(at, draft.now, seconds=True), max(0.0, draft.now - at))
    if draft.request.get("dry_run"):
        draft.hold(None, host, "%s: without --force this is refused" % answered)
        return
    follows = [_follows(action) for action in draft.actions if action.instance and action.kind in (START, HOLD)]
    draft.refuse(None, host, "%s, so it is not dead%s. If nothing can run there all the same: --force" % (
        answered, ", and what runs there would run twice: %s" % "; ".join(follows) if follows else ""))  # fmt: skip


def _follows(action: Any) -> str:
    return "%s starts on %s" % (action.instance, action.host) if action.kind == START else str(action.reason)
