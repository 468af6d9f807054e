# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario: all that one plan depends on, as a document that can be kept and decided again. Pure.

`captured` makes one of a running site, `decide` and `answer` plan over one. The golden scenarios of the tests have the
same shape: {site, ledger, revision, seen, request, now, run, digests, configs, utc_offset, answers?}.

Of the site it holds only `KEPT`, the fields that decide. Commands, environment, files, variables of items, addresses
and how hosts are reached are left out: there may be secrets in them.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Dict, List, Mapping, Tuple

from ..decide.draft import PlanError
from ..model import site as site_model
from ..model.plan import Plan
from ..model.probe import Probe
from ..model.records import apply_changes
from ..model.rollout import RolloutSettings
from ..model.words import RECORD_KINDS
from ..plan.outcome import settle
from ..plan.plan import make_plan
from .plan_text import plan_lines, settled_lines

Json = Dict[str, Any]
KEPT: Dict[type, Tuple[str, ...]] = {
    site_model.Site: ("name", "controller", "hosts", "groups", "applications", "services", "items", "settings",
                      "items_source", "rollout", "resources", "controllers"),
    site_model.Host: ("name", "order", "node", "groups", "service_manager", "load_limit", "extra_load", "measure",
                      "min_free_memory", "min_free_disk", "resources"),
    site_model.Item: ("id", "slot", "terms"),
    site_model.Terms: ("loading", "identifiers", "written", "prefer", "apart", "together", "priority", "displace"),
    site_model.Application: ("name", "identifiers", "identifiers_as_written", "programs", "distribution",
                             "start_sequence", "stop_sequence", "starting_strategy", "starting_failure_strategy",
                             "bus", "peer", "repair", "conflicts", "on_change", "after_budget", "rollout", "per",
                             "items", "needs"),
    site_model.Need: ("any", "of"),
    site_model.Program: ("name", "start_sequence", "stop_sequence", "wait_exit", "required", "expected_loading",
                         "expected_memory", "resources",
                         "starting_failure_strategy", "running_failure_strategy", "start_timeout", "stop_timeout",
                         "on_timeout", "waits_for", "reload", "kind", "exit_codes", "ready"),
    site_model.Bus: ("program", "probe", "link"),
    RolloutSettings: ("canary", "max_parallel", "hold_for", "max_failures", "revert", "well_within"),
    site_model.Service: ("name", "hosts", "probe", "label"),
    site_model.Settings: ("start_timeout", "run_timeout", "stable_after", "failure_budget", "failure_window",
                          "observe_interval", "host_interval", "host_down_after", "exclusion"),
    Probe: ("type", "interval", "timeout", "failures", "window", "slow", "startup_timeout", "shadow", "probes"),
}  # fmt: skip
LEFT_OUT: Dict[type, Json] = {  # what a site cannot be read without, although nothing is decided by it
    site_model.Site: {"state_dir": "", "services": (), "settings": {}},
    site_model.Host: {"address": "", "root": ""},
    site_model.Application: {"ports": None, "files": (), "bus": None},
    site_model.Program: {"command": ()},
    site_model.Service: {"command": (), "files": (), "probe": None},
}
SEEN = ("host", "at", "answer", "why", "prepared", "site_id", "controller", "incarnation", "service_manager", "config",
        "drift", "foreign")  # fmt: skip
COPY = ("epoch", "epochs", "claim", "digest", "last_epoch", "deferred", "failed", "cpu", "memory", "ended", "endings",
        "done")


def captured(
    site: site_model.Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Any],
    request: Mapping[str, Any],
    now: float,
    digests: Mapping[str, str],
    config_digests: Mapping[str, str],
) -> Json:
    """The scenario of one moment of a site.

    :param state: the ledger's document.
    :param observations: host -> what it showed.
    """
    ledger = {kind: dict(state.get(kind) or {}) for kind in RECORD_KINDS}
    return {
        "site": _short(site),
        "ledger": {kind: records for kind, records in ledger.items() if records},
        "revision": revision,
        "seen": {name: _seen(document) for name, document in observations.items()},
        "request": dict(request),
        "now": now,
        "run": str(int(ledger["meta"].get("last_run") or 0) + 1),
        "digests": dict(digests),
        "configs": dict(config_digests),
    }


def decide(given: Mapping[str, Any]) -> Json:
    """The plan over a scenario, as `model.plan.Plan.to_json`.

    :raises PlanError: as `plan.make_plan` does.
    :raises KeyError: and `TypeError`, `ValueError`, `AttributeError`: when it is not a scenario.
    """
    return make_plan(
        site_of(given), _state(given), int(given["revision"]), given["seen"], given["request"], float(given["now"]),
        str(given["run"]), given["digests"], given.get("configs"),
    ).to_json()  # fmt: skip


def answer(given: Mapping[str, Any]) -> List[str]:
    """The lines of the plan over a scenario, and with `answers` those of what comes of it; or why there is no plan.

    :raises: as `decide`, except `PlanError`.
    """
    now = float(given["now"])
    try:
        plan = decide(given)
    except PlanError as error:
        return ["no plan: %s" % error]
    lines = plan_lines(plan, now)
    if given.get("answers") is not None:
        changes, trail = outcome(given, plan)
        lines += ["after the hosts answered"] + settled_lines(plan, changes, trail, now)
    return lines


def outcome(given: Mapping[str, Any], plan: Mapping[str, Any]) -> Tuple[Json, List[Json]]:
    """What is committed, and the trail, after the `answers` of a scenario: host -> instance -> result, or why the host
    did not answer. They come a second after the plan."""
    answers = {
        host: {"unreachable": came} if isinstance(came, str) else {"results": came}
        for host, came in given["answers"].items()
    }
    made = Plan.from_json(plan)
    after = apply_changes(_state(given), made.changes)
    return settle(site_of(given), after, made, answers, float(given["now"]) + 1, final=True)


def site_of(given: Mapping[str, Any]) -> site_model.Site:
    """The site of a scenario.

    :raises: as `decide`.
    """
    document = _complete(site_model.Site, given["site"])
    document["hosts"] = [_complete(site_model.Host, host) for host in document["hosts"]]
    document["services"] = [_complete(site_model.Service, service) for service in document["services"]]
    document["applications"] = [
        dict(
            _complete(site_model.Application, application),
            programs=[_complete(site_model.Program, program) for program in application["programs"]],
        )
        for application in document["applications"]
    ]
    return site_model.site_from_json(dict(document, schema=site_model.SCHEMA))


def _complete(kind: type, document: Mapping[str, Any]) -> Json:
    return {**LEFT_OUT.get(kind, {}), **document}


def _state(given: Mapping[str, Any]) -> Json:
    return {kind: dict(given["ledger"].get(kind) or {}) for kind in RECORD_KINDS}


def _short(value: Any) -> Any:
    """Fields that decide and are not as they are without being said."""
    kept = KEPT.get(type(value))
    if kept is not None:
        document = {}
        for field in fields(value):
            said = getattr(value, field.name)
            usual = field.default_factory() if field.default_factory is not MISSING else field.default
            if field.name in kept and said != usual:
                document[field.name] = _short(said)
        return document
    if isinstance(value, Mapping):
        return {key: _short(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(entry) for entry in value]
    return value


def _seen(document: Mapping[str, Any]) -> Json:
    """An observation without what decides nothing, such as when a process started."""
    found = {key: document[key] for key in SEEN if document.get(key)}
    found["instances"] = {
        name: dict(
            {key: copy[key] for key in COPY if copy.get(key) is not None},
            programs={name: {"pid": one.get("pid")} for name, one in (copy.get("programs") or {}).items()},
        )
        for name, copy in (document.get("instances") or {}).items()
    }
    found["services"] = {name: {} for name in document.get("services") or {}}
    found["load"] = {key: value for key, value in (document.get("load") or {}).items() if not isinstance(value, str)}
    lease = document.get("lease") or {}
    if lease.get("lost") or document.get("alone") is not None:
        found["lease"] = {"held": bool(lease.get("held")), "lost": bool(lease.get("lost"))}
    if document.get("alone") is not None:
        found["alone"] = dict(document["alone"])
    return found
