# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that a host may use by itself for an instance, and by which rules. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Mapping, Optional

from ..model.claim import Ahead
from ..model.records import Claim
from ..model.sequence import application_of
from ..model.site import Application, Site
from .failures import WAITS, charges

AHEAD = 10  # how many beyond its epoch


def ahead(site: Site, name: str, epoch: int, before: Claim) -> Optional[Ahead]:
    """What the claim of an instance says of a start under this epoch; None where its host may do nothing by itself.

    :param before: what the claim was.
    """
    application = application_of(site, name)
    if application is None or not _may(site, application):
        return None
    return Ahead(epoch + AHEAD, before.ahead.used if before.ahead is not None else 0)


def terms(site: Site, application: Application, claim: Claim, now: float) -> Optional[Dict[str, Any]]:
    """What an order says of it to a host; None where it may do nothing by itself.

    :param claim: as the ledger has it when the order is sent.
    """
    if claim.ahead is None or not _may(site, application):
        return None
    by = _rules(site, application)
    return {
        **by,
        "rules": _name(by),
        "until": claim.ahead.until,
        "used": claim.ahead.used,
        "row": len(claim.crashes),
        "ages": [max(0.0, round(now - failure.at, 3)) for failure in charges(claim, now, site.settings)],
    }


def rules(site: Site, application: Application) -> str:
    """By what a run knows whether a host goes by the rules that the site has now."""
    return _name(_rules(site, application))


def _name(by: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(by, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def _rules(site: Site, application: Application) -> Dict[str, Any]:
    settings = site.settings
    return {
        "limit": settings.failure_budget,
        "window": settings.failure_window,
        "stable": settings.stable_after,
        "waits": list(WAITS),
        "bus": application.bus.program if application.bus else "",
        "repair": application.repair,
        "strategies": {program.name: program.running_failure_strategy for program in application.programs},
    }


def _may(site: Site, application: Application) -> bool:
    return site.settings.exclusion == "witnesses" and not application.on_request
