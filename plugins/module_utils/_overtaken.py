# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations that another run has overtaken: what it committed since they were made counts more than they do. Pure.

Without this, a run that looked just before another one restarted an instance would take the new copy for a stray one.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from . import _model, _sequence, _state

Json = Dict[str, Any]


def correct(
    site: _model.Site, state: Mapping[str, Any], observations: Mapping[str, Any], changed: Iterable[str]
) -> Dict[str, Any]:
    """The observations as they count now.

    :param changed: instances whose claim was committed since this run looked.
    :returns: what runs or is free by its claim is taken as the claim says; where the other run has not finished, its
        hosts count as not asked, which holds what is claimed there.
    """
    corrected: Dict[str, Any] = dict(observations)
    for name in changed:
        claim = _state.Claim.from_json(state["claims"].get(name) or {})
        if claim.phase in (_state.RUNNING, _state.FREE):
            for place, seen in list(corrected.items()):
                if name in (seen.get("instances") or {}):
                    instances = {other: copy for other, copy in seen["instances"].items() if other != name}
                    corrected[place] = dict(seen, instances=instances)
            seen = corrected.get(claim.host or "") or {}
            if claim.phase == _state.RUNNING and seen.get("answer") == _state.SEEN:
                instances = dict(seen.get("instances") or {}, **{name: _as_claimed(site, name, claim)})
                corrected[str(claim.host)] = dict(seen, instances=instances)
            continue
        for host in (claim.host, claim.target):
            if host and (corrected.get(host) or {}).get("answer") == _state.SEEN:
                why = "another run began to change %s there after this run had looked" % name
                corrected[host] = {"host": host, "answer": _state.NOT_ASKED, "why": why}
    return corrected


def _as_claimed(site: _model.Site, name: str, claim: _state.Claim) -> Json:
    """What a host shows of an instance that runs as its claim says."""
    application = _sequence.application_of(site, name)
    absent = set(claim.deferred) | set(claim.failed)
    programs = [
        program.name
        for program in (application.programs if application else ())
        if program.start_sequence and not program.is_gate and program.name not in absent
    ]
    return {
        "epoch": claim.epoch,
        "epochs": [claim.epoch],
        "claim": claim.epoch,
        "last_epoch": claim.epoch,
        "digest": claim.digest,
        "programs": {program: {} for program in programs},
        "deferred": list(claim.deferred),
        "failed": dict(claim.failed),
    }
