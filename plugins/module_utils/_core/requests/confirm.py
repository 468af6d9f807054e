# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person confirms that a host is down: services claimed there may move, HCIs that were open there have ended."""

from __future__ import annotations

from dataclasses import replace
from typing import List

from ..decide.draft import Draft
from ..model.sentences import did_you_mean, listing
from ..model.words import DOWN, MONITOR


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
    record = draft.record(host)
    if record.state != DOWN or record.by == MONITOR:
        why = draft.why or "%s says so" % draft.who
        draft.set_host(host, replace(record, state=DOWN, since=draft.now, evidence=why, by=draft.who))
        draft.note("%s is confirmed down" % host, draft.why, host=host)
    freed = ": %s may start elsewhere, windows when they are opened again" % listing(sorted(claimed)) if claimed else ""
    draft.hold(None, host, "%s is confirmed down by %s%s" % (host, draft.who, freed))
    order = {name: position for position, name in enumerate(draft.site.by_name())}
    return sorted(claimed, key=lambda name: (order.get(name, len(order)), name))
