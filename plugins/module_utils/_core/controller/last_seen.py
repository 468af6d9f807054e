# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts said last, kept beside the ledger, each with the revision at which it was true."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..decide import corrections
from ..model import site as site_model
from ..model.shape import as_it_runs
from ..model.switched import switched
from ..model.words import DOWN, NOT_ASKED, SUSPECT
from . import leases, ledgers, publish
from . import ledger as controller_ledger
from .places import SEEN_FILE

Json = Dict[str, Any]

_PASSING = ("lease", "alone")  # it may have another one since, and be done with what it did by itself


def asked(observation: Mapping[str, Any]) -> bool:
    """Whether the host was asked for this observation document."""
    return bool(observation.get("answer", NOT_ASKED) != NOT_ASKED)


def last_seen(
    site: site_model.Site, ledger: ledgers.Store, state: controller_ledger.State, usable: bool = False
) -> Json:
    """What every host said last, corrected by what was committed since.

    :param usable: without the hosts that are believed down or suspect: what they said before is no evidence.
    """
    site = switched(as_it_runs(site, state["claims"], state["meta"]), state["wanted"])
    observations: Json = {}
    for name, entry in publish.read_published(site.state_dir, SEEN_FILE).get("hosts", {}).items():
        if usable and (state["hosts"].get(name) or {}).get("state") in (DOWN, SUSPECT):
            continue
        changed = ledger.changed_since(int(entry["revision"]), "claims")
        entry = {key: value for key, value in entry.items() if key not in _PASSING}
        observations.update(corrections.correct(site, state, {name: entry}, changed))
    return observations


def current(
    site: site_model.Site,
    ledger: ledgers.Store,
    state: controller_ledger.State,
    revision: int,
    request: Mapping[str, Any],
    check: bool = False,
) -> Json:
    """The observations of a request, corrected by what other runs committed since its run looked: after
    `observed_revision`. Without observations, what the hosts said last."""
    if request.get("observations") is None:
        return last_seen(site, ledger, state, usable=not check) if ledger.exists() else {}
    observations = dict(request.get("observations") or {})
    before = request.get("observed_revision")
    if before is None or int(before) == revision:
        return observations
    site = switched(as_it_runs(site, state["claims"], state["meta"]), state["wanted"])
    return corrections.correct(site, state, observations, ledger.changed_since(int(before), "claims"))


def keep(site: site_model.Site, observations: Json, revision: int, now: float) -> None:
    """Remember what the hosts said, for who asks without asking them.

    :param revision: the ledger's, up to which the observations are right."""
    seen = {name: dict(entry, at=now, revision=revision) for name, entry in observations.items() if asked(entry)}
    if not seen:
        return
    leases.forget(site, {name: (entry.get("lease") or {}).get("witnesses") for name, entry in seen.items()})
    _write(site, dict(publish.read_published(site.state_dir, SEEN_FILE).get("hosts", {}), **seen))


def done(site: site_model.Site, answers: Mapping[str, Any]) -> None:
    """Correct what is in no ledger: what hosts confirmed to have stopped is no longer seen there, for a copy without a
    claim; and a service manager that was started runs, so that the next request can be carried out there.

    :param answers: host -> its answer to an act.
    """
    hosts: Json = dict(publish.read_published(site.state_dir, SEEN_FILE).get("hosts", {}))
    news = False
    for name, answer in answers.items():
        ended = {one for one, came in (answer.get("results") or {}).items() if came.get("result") == "stopped"}
        there = (hosts.get(name) or {}).get("instances") or {}
        if ended & set(there):
            left = {one: copy for one, copy in there.items() if one not in ended}
            hosts[name], news = dict(hosts[name], instances=left), True
        if answer.get("service_manager") == "started" and name in hosts:
            runs = {"service_manager": "running", "incarnation": answer.get("incarnation") or ""}
            hosts[name], news = dict(hosts[name], **runs), True
    if news:
        _write(site, hosts)


def _write(site: site_model.Site, hosts: Json) -> None:
    known = {host.name for host in site.hosts}
    try:
        publish.write_document(
            site.state_dir, SEEN_FILE, {"hosts": {name: entry for name, entry in hosts.items() if name in known}}
        )
    except OSError:
        return  # only a convenience: the run goes on
