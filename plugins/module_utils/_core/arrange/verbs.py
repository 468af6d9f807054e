# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function applies each kind of request, those of this room included. Pure."""

from __future__ import annotations

from typing import Callable, Dict, List

from ..decide.draft import Draft
from ..requests import ask as requests_ask
from . import move, rebalance, whole_site

ROLLOUTS = ("rollout_pause", "rollout_resume", "rollout_abort", "rollout_revert")
SILENT = ("confirm_down", "move", "rebalance", "site_stop", "site_start", *ROLLOUTS)  # say all there is to say


def ask(draft: Draft, unfit: Callable[[Draft, str], str]) -> List[str]:
    """Apply the request to the draft.

    :param unfit: why nothing new may start on a host, even with room.
    :return: the instances to reconcile, in site order.
    :raises PlanError: when there is no such kind of request.
    """
    refused = whole_site.refused(draft, draft.kind)
    if refused:
        draft.refuse(None, None, refused)
        return []
    whole_site.told(draft)
    verbs: Dict[str, Callable[[Draft], List[str]]] = {
        "move": move.move, "site_stop": whole_site.site_stop, "site_start": whole_site.site_start,
        "rebalance": lambda draft: rebalance.rebalance(draft, unfit),
    }  # fmt: skip
    return requests_ask.ask(draft, verbs)
