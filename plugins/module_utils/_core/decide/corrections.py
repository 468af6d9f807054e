# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrects observations that are older than a commit of another run: the commit counts. Pure.

Without this, a run that looked just before another one restarted an instance would take the new copy for a stray one.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from ..model import sequence
from ..model import site as site_model
from ..model.observation import instance_seen, seen_running, unseen
from ..model.records import Claim, State
from ..model.words import DRAINED, FREE, NOT_ASKED, RUNNING, SEEN, UP

Json = Dict[str, Any]


def correct(
    site: site_model.Site, state: Mapping[str, Any], observations: Mapping[str, Any], changed: Iterable[str]
) -> Dict[str, Any]:
    """The observations as they count now.

    :param changed: instances whose claim was committed since this run looked.
    :returns: what runs or is free by its claim is taken as the claim says; where the other run has not finished, its
        hosts count as not asked, which holds what is claimed there.
    """
    corrected: Dict[str, Any] = dict(observations)
    for name in changed:
        claim = Claim.from_json(state["claims"].get(name) or {})
        if claim.phase in (RUNNING, FREE):
            for place, seen in list(corrected.items()):
                if name in (seen.get("instances") or {}):
                    instances = {other: copy for other, copy in seen["instances"].items() if other != name}
                    corrected[place] = dict(seen, instances=instances)
            seen = corrected.get(claim.host or "") or {}
            if claim.phase == RUNNING and seen.get("answer") == SEEN:
                instances = dict(seen.get("instances") or {}, **{name: _as_claimed(site, name, claim)})
                corrected[str(claim.host)] = dict(seen, instances=instances)
            continue
        for host in (claim.host, claim.target):
            if host and (corrected.get(host) or {}).get("answer") == SEEN:
                why = "another run began to change %s there after this run had looked" % name
                corrected[host] = unseen(host, NOT_ASKED, why)
    return corrected


def as_claimed(
    site: site_model.Site, ledger: State, observations: Mapping[str, Any]
) -> Dict[str, Any]:
    """The observations, and for every host that was not asked what it shows if the ledger is right about it.

    For questions, not for runs. A host that is not up or drained in the ledger stays not asked.
    """
    filled: Dict[str, Any] = {}
    for host in site.hosts:
        record = ledger.hosts.get(host.name)
        asked = (observations.get(host.name) or {}).get("answer", NOT_ASKED) != NOT_ASKED
        if asked or record is None or record.state not in (UP, DRAINED):
            continue
        filled[host.name] = seen_running(host.name, record.incarnation)
    for name, claim in ledger.claims.items() if filled else ():
        if claim.host in filled and claim.holds:
            filled[str(claim.host)]["instances"][name] = _as_claimed(site, name, claim)
    return dict(observations, **filled)


def _as_claimed(site: site_model.Site, name: str, claim: Claim) -> Json:
    """What a host shows of an instance that runs as its claim says."""
    application = sequence.application_of(site, name)
    absent = set(claim.deferred) | set(claim.failed)
    programs = [
        program.name
        for program in (application.programs if application else ())
        if program.start_sequence and not program.is_gate and program.name not in absent
    ]
    return instance_seen(claim.epoch, programs, claim.digest, claim.deferred, claim.failed)
