# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forget a host that left the inventory, so that a new host with the same name starts clean."""

from __future__ import annotations

from typing import List

from ..decide.draft import Draft
from ..model.sentences import listing


def forget(draft: Draft) -> List[str]:
    """Drop the host from the ledger; a host that still holds an instance is not forgotten.

    :return: no instance.
    """
    host = str(draft.request.get("host") or "")
    if draft.site_host(host) is not None:
        draft.refuse(None, host, "%s is in the inventory: take it out there before it is forgotten" % host)
        return []
    held = sorted(n for n, claim in draft.state.claims.items() if claim.holds and host in (claim.host, claim.target))
    if held:
        why = "%s still holds %s: put it back into the inventory and drain it, or confirm that it is down"
        draft.refuse(None, host, why % (host, listing(held)))
        return []
    if host not in draft.state.hosts:
        draft.hold(None, host, "nothing is known of %s" % host)
        return []
    draft.drop_host(host)
    draft.note("%s is forgotten" % host, draft.why, host=host)
    return []
