# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes around a plan: what hosts are sent, phases, outcomes, fingerprints. Decisions are in the scenarios."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from monitor.core.decide.draft import PlanError
from monitor.core.model.plan import Plan
from monitor.core.model.records import State, apply_changes
from monitor.core.plan import plan as planner
from monitor.core.plan.act_requests import act_requests, next_phase
from monitor.core.plan.outcome import settle
from tests.small_site import quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0
SITE = small_site(items=3)
DIGESTS = dict.fromkeys(SITE.by_name(), "d")
ALIVE = {"pid": 1}
WANTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}


def seen(**instances: dict[str, int]) -> dict[str, Any]:
    """Observations of all hosts; per host, instance -> epoch of a whole copy."""
    found = {}
    for host in SITE.hosts:
        copies = {}
        for name, epoch in instances.get(host.name, {}).items():
            programs = ("internal_data_bus", "data_processing", "common_bus_interface", "sensor_view")
            copies[name] = {"epochs": [epoch], "claim": epoch, "last_epoch": epoch, "digest": "d",
                            "programs": dict.fromkeys(programs, ALIVE)}  # fmt: skip
        found[host.name] = quiet_host(host.name, instances=copies)
    return found


def settled() -> dict[str, Any]:
    """A ledger with one running service on each server."""
    claims = {f"scen2_srv_0{i}": running(f"server_{i}") for i in (1, 2, 3)}
    hosts = {host.name: {"state": "up", "incarnation": "boot/1"} for host in SITE.hosts}
    return small_state(claims=claims, wanted=dict.fromkeys(claims, WANTED), hosts=hosts)


def all_seen() -> dict[str, Any]:
    return seen(server_1={"scen2_srv_01": 1}, server_2={"scen2_srv_02": 1}, server_3={"scen2_srv_03": 1})


def plan(state: Any, observations: Any, kind: str, run: str = "5", now: float = NOW, **more: Any) -> Plan:
    request = {"kind": kind, "who": "eve", "from": "controller", "why": "", **more}
    return planner.make_plan(SITE, state, 7, observations, request, now, run, DIGESTS)


def sent(*arguments: Any, **more: Any) -> dict[str, Any]:
    """The act requests as the hosts get them."""
    return {host: request.to_json() for host, request in act_requests(*arguments, **more).items()}


def answers_to(requests: dict[str, Any], result: dict[str, str] | None = None) -> dict[str, Any]:
    done = {"stop": "stopped"}
    return {
        host: {"results": {e["instance"]: {"result": (result or {}).get(e["do"], done.get(e["do"], "running"))}
                           for e in request["instances"]}}
        for host, request in requests.items()
    }  # fmt: skip


def test_a_plan_is_json_and_leaves_its_inputs_alone():
    state, observations = settled(), all_seen()
    before = copy.deepcopy((state, observations))
    made = plan(state, observations, "drain", host="server_1")
    document = json.loads(json.dumps(made.to_json()))
    assert document == made.to_json()
    assert Plan.from_json(document) == made
    assert (state, observations) == before
    assert made == plan(state, observations, "drain", host="server_1")


def test_a_request_carries_all_that_the_host_needs():
    state = small_state()
    made = plan(state, seen(), "deploy")
    requests = sent(SITE, apply_changes(state, made.changes), made, 1, DIGESTS)
    assert set(requests) == {"server_1", "server_2", "server_3"}
    request = requests["server_1"]
    assert (request["run"], request["start_service_manager"], request["config"]) == ("5", True, None)
    assert request["expires"] == made.expires == NOW + request["deadline"]
    assert request["deadline"] < SITE.settings.run_timeout
    [entry] = request["instances"]
    assert (entry["instance"], entry["do"], entry["epoch"], entry["digest"]) == ("scen2_srv_01", "start", 1, "d")
    assert entry["starting_failure_strategy"] == "stop"
    assert entry["ports"][0] == {"name": "client", "port": 20004, "program": "internal_data_bus"}
    assert [p["name"] for p in entry["programs"]] == [p.name for p in SITE.application("scen2_srv").programs]
    assert entry["programs"][3]["waits_for"] == "common_data_bus"


def test_nothing_is_sent_that_the_ledger_does_not_allow():
    state = small_state()
    made = plan(state, seen(), "deploy")
    assert sent(SITE, state, made, 1, DIGESTS) == {}
    assert set(sent(SITE, state, made, 1, DIGESTS, check=True)) == {"server_1", "server_2", "server_3"}
    taken = apply_changes(state, made.changes)
    taken["claims"]["scen2_srv_01"]["actor"] = {"run": "6", "deadline": NOW + 999}
    assert "server_1" not in sent(SITE, taken, made, 1, DIGESTS)


def test_configuration_goes_to_hosts_whose_folder_differs():
    state, observations = settled(), all_seen()
    observations["server_2"]["config"] = "c"
    made = plan(state, observations, "reconcile")
    wanted = {"server_1": "c", "server_2": "c"}
    requests = sent(SITE, state, made, 1, DIGESTS, wanted, observations)
    assert {host: request["config"] for host, request in requests.items()} == {"server_1": {"digest": "c"}}
    asked = plan(state, observations, "stop", instances=["scen2_srv_01"])
    after = apply_changes(state, asked.changes)
    requests = sent(SITE, after, asked, 1, DIGESTS, wanted, observations)
    assert requests["server_1"]["config"] is None


def test_an_hci_learns_where_its_services_may_be_the_holder_first():
    state = settled()
    made = plan(state, all_seen(), "open", instances=["scen2_hci_02"], host="console_1")
    requests = sent(SITE, apply_changes(state, made.changes), made, 1, DIGESTS)
    peers = requests["console_1"]["instances"][0]["environment"]["MUSTER_PEERS"].split(",")
    addresses = {host.name: host.address for host in SITE.hosts}
    assert peers == [addresses[name] for name in ("server_2", "server_1", "server_3")]


def test_a_moved_instance_starts_only_after_its_confirmed_stop():
    state = settled()
    made = plan(state, all_seen(), "drain", host="server_1")
    state = apply_changes(state, made.changes)
    assert state["claims"]["scen2_srv_01"]["target"] == "server_2"
    first = sent(SITE, state, made, 1, DIGESTS)
    assert sent(SITE, state, made, 2, DIGESTS) == {}

    answers = answers_to(first)
    assert next_phase(made, answers, 2) == {"server_2": ["scen2_srv_01"]}
    changes, _ = settle(SITE, state, made, answers, NOW + 3)
    state = apply_changes(state, changes)
    claim = state["claims"]["scen2_srv_01"]
    assert (claim["host"], claim["phase"], claim["epoch"], claim["target"]) == ("server_2", "starting", 2, None)
    assert claim["actor"]["deadline"] == NOW + 3 + SITE.settings.run_timeout

    second = sent(SITE, state, made, 2, DIGESTS)
    assert second["server_2"]["expires"] == pytest.approx(NOW + 3 + second["server_2"]["deadline"])
    answers.update(answers_to(second))
    changes, trail = settle(SITE, state, made, answers, NOW + 4, final=True)
    state = apply_changes(state, changes)
    assert state["claims"]["scen2_srv_01"]["phase"] == "running"
    assert [entry["result"] for entry in trail] == ["running"]
    assert settle(SITE, state, made, answers, NOW + 5, final=True) == ({}, [])


def test_an_unconfirmed_stop_keeps_the_instance_where_it_is():
    state = settled()
    made = plan(state, all_seen(), "drain", host="server_1")
    state = apply_changes(state, made.changes)
    answers = {"server_1": {"results": {"scen2_srv_01": {"result": "failed", "reason": "pid 12 does not end"}}}}
    changes, _ = settle(SITE, state, made, answers, NOW + 3, final=True)
    state = apply_changes(state, changes)
    claim = state["claims"]["scen2_srv_01"]
    assert (claim["host"], claim["phase"], claim["actor"], claim["epoch"]) == ("server_1", "stopping", None, 1)
    assert sent(SITE, state, made, 2, DIGESTS) == {}


def test_two_copies_are_both_stopped_before_a_start():
    state = settled()
    there = {"scen2_srv_01": 1}
    observations = seen(server_2={"scen2_srv_02": 1, **there}, server_3={"scen2_srv_03": 1, **there})
    made = plan(state, observations, "reconcile")
    state = apply_changes(state, made.changes)
    stops = {a.host for a in made.actions if a.kind == "stop"}
    assert stops == {"server_2", "server_3"}
    first = sent(SITE, state, made, 1, DIGESTS)
    answers = answers_to(first)
    answers["server_3"] = {"unreachable": "no answer"}
    changes, _ = settle(SITE, state, made, answers, NOW + 1, final=True)
    state = apply_changes(state, changes)
    claim = state["claims"]["scen2_srv_01"]
    assert (claim["host"], claim["phase"], claim["target"]) == ("server_3", "stopping", "server_1")
    assert sent(SITE, state, made, 2, DIGESTS) == {}


def test_a_silent_host_keeps_its_claim_until_it_is_seen_and_nothing_is_charged():
    state = settled()
    made = plan(state, all_seen(), "restart", instances=["scen2_srv_01"])
    state = apply_changes(state, made.changes)
    changes, trail = settle(SITE, state, made, {"server_1": {"unreachable": "timed out"}}, NOW + 1, final=True)
    assert list(changes) == ["claims"]
    assert changes["claims"]["scen2_srv_01"]["actor"]["lost"] and not changes["claims"]["scen2_srv_01"]["failures"]
    assert [entry["result"] for entry in trail] == ["unknown"]
    soon = plan(apply_changes(state, changes), all_seen(), "reconcile", run="6", now=NOW + 2)
    assert [(a.kind, a.epoch) for a in soon.actions] == [("restart", 3)]


def test_an_unfinished_start_keeps_its_claim_until_the_deadline_of_its_run():
    state = settled()
    made = plan(state, all_seen(), "restart", instances=["scen2_srv_01"])
    state = apply_changes(state, made.changes)
    held = plan(state, all_seen(), "reconcile", run="6", now=NOW + 60)
    assert [a.kind for a in held.actions] == ["hold"]
    assert held.waits == {"scen2_srv_01": NOW + SITE.settings.run_timeout}
    later = plan(state, all_seen(), "reconcile", run="6", now=NOW + SITE.settings.run_timeout)
    assert [(a.kind, a.epoch) for a in later.actions] == [("restart", 3)]


def test_an_outcome_of_a_run_that_was_taken_over_changes_nothing():
    state = settled()
    made = plan(state, all_seen(), "restart", instances=["scen2_srv_01"])
    requests = sent(SITE, apply_changes(state, made.changes), made, 1, DIGESTS)
    other = plan(apply_changes(state, made.changes), all_seen(), "reconcile", run="6", now=NOW + 999)
    state = apply_changes(apply_changes(state, made.changes), other.changes)
    assert settle(SITE, state, made, answers_to(requests), NOW + 1000, final=True)[0] == {}


def test_a_refused_start_is_not_charged_and_looked_at_again():
    state = small_state()
    made = plan(state, seen(), "deploy")
    state = apply_changes(state, made.changes)
    requests = sent(SITE, state, made, 1, DIGESTS)
    changes, _ = settle(SITE, state, made, answers_to(requests, {"start": "refused"}), NOW + 1, final=True)
    claim = changes["claims"]["scen2_srv_01"]
    assert (claim["phase"], claim["actor"], claim["failures"]) == ("starting", None, [])


def test_processes_left_by_a_failed_start_keep_the_claim():
    state = settled()
    made = plan(state, all_seen(), "open", instances=["scen2_hci_01"], host="console_1")
    state = apply_changes(state, made.changes)
    failed = {"result": "failed", "reason": "sensor_view exited 1", "failed": {"sensor_view": "exited 1"}}
    for more, left in (
        ({"started": ["internal_data_bus"]}, ["internal_data_bus"]),
        ({"started": []}, []),
        ({"started": ["internal_data_bus"], "left": []}, []),
    ):
        answers = {"console_1": {"results": {"scen2_hci_01": {**failed, **more}}}}
        changes, _ = settle(SITE, state, made, answers, NOW + 1, final=True)
        claim = changes["claims"]["scen2_hci_01"]
        assert (claim["phase"], claim["left"]) == ("failed", left)


def test_a_plan_that_refuses_one_thing_does_nothing_else():
    made = plan(settled(), all_seen(), "stop", instances=["scen2_srv_01", "nonsense"])
    assert [a.kind for a in made.actions] == ["refuse"]
    assert made.changes == {}
    assert made.trail[0]["result"] == "refused"


def test_the_fingerprint_ignores_measured_figures_and_follows_all_else():
    state, observations = settled(), all_seen()
    first = plan(state, observations, "drain", host="server_1")
    observations["server_2"]["load"]["cpu"] = 4.0
    observations["server_2"]["instances"]["scen2_srv_02"]["cpu"] = 3.0
    assert plan(state, observations, "drain", host="server_1").fingerprint == first.fingerprint
    state["claims"]["scen2_srv_01"]["reason"] = "changed"
    assert plan(state, observations, "drain", host="server_1").fingerprint != first.fingerprint
    state = settled()
    observations["server_1"]["incarnation"] = "boot/2"
    assert plan(state, observations, "drain", host="server_1").fingerprint != first.fingerprint


def test_a_host_that_left_the_inventory_holds_what_is_claimed_there():
    state = settled()
    state["claims"]["scen2_srv_01"]["host"] = "server_9"
    made = plan(state, all_seen() | seen(), "reconcile")
    holds = {a.instance: a.reason for a in made.actions if a.kind == "hold"}
    assert "server_9 is not in the inventory any more" in holds["scen2_srv_01"]


def test_floors_and_missing_preparation_are_reasons():
    observations = seen()
    observations["server_1"]["prepared"] = False
    observations["server_2"]["service_manager"] = "stopped"
    observations["server_3"] = {"host": "server_3", "answer": "unreachable", "why": "server_3 does not answer"}
    made = plan(small_state(), observations, "start", instances=["scen2_srv_01"])
    rows = {row["host"]: row["why"] for row in made.candidates["scen2_srv_01"]}
    assert rows == {
        "server_1": "server_1 is not prepared: deploy to it first",
        "server_2": "the service manager of server_2 does not run: reconcile starts it",
        "server_3": "server_3 does not answer",
    }


def test_the_state_survives_json():
    state = settled()
    assert State.from_json(State.from_json(state).to_json()).to_json() == State.from_json(state).to_json()


def test_an_unknown_kind_of_request_is_an_error():
    with pytest.raises(PlanError, match="there is no request fly, only reconcile"):
        plan(settled(), all_seen(), "fly")


class TestStopSequence:
    """Several applications that one run stops go one after the other, however many items there are."""

    @staticmethod
    def stopped(items: int, **sequences: int) -> dict[str, set[int]]:
        """Application -> the phases in which its instances are stopped, when all of them are."""
        site = small_site(items=items)
        applications = tuple(replace(a, stop_sequence=sequences[a.name]) for a in site.applications)
        site = replace(site, applications=applications)
        names = list(site.by_name())
        copies: dict[str, dict[str, int]] = {}
        for name in names:
            copies.setdefault("server_1" if "srv" in name else "console_1", {})[name] = 1
        claims = {name: running(host) for host, held in copies.items() for name in held}
        state = small_state(claims=claims, wanted=dict.fromkeys(names, WANTED))
        request = {"kind": "stop", "who": "eve", "instances": names}
        digests = dict.fromkeys(names, "d")
        made = planner.make_plan(site, state, 7, seen(**copies), request, NOW, "5", digests)
        assert sorted(a.instance for a in made.actions if a.kind == "stop") == sorted(names)
        state, phases = apply_changes(state, made.changes), {a.phase for a in made.actions}
        answers: dict[str, Any] = {}
        for phase in sorted(phases):  # as a run does it
            requests = sent(site, state, made, phase, digests)
            for host, answer in answers_to(requests).items():
                answers.setdefault(host, {"results": {}})["results"].update(answer["results"])
            changes, _ = settle(site, state, made, answers, NOW + phase, final=phase == max(phases))
            state = apply_changes(state, changes)
        assert {claim["phase"] for claim in state["claims"].values()} == {"free"}
        return {
            application.name: {a.phase for a in made.actions if a.instance.startswith(application.name)}
            for application in site.applications
        }

    @pytest.mark.parametrize("items", [1, 30])
    def test_greatest_first(self, items: int) -> None:
        assert self.stopped(items, scen2_srv=1, scen2_hci=5) == {"scen2_hci": {1}, "scen2_srv": {2}}
        assert self.stopped(items, scen2_srv=7, scen2_hci=5) == {"scen2_srv": {1}, "scen2_hci": {2}}

    def test_of_zero_or_all_the_same_is_no_reason_to_wait(self) -> None:
        assert self.stopped(3, scen2_srv=1, scen2_hci=0) == {"scen2_srv": {1}, "scen2_hci": {1}}
        assert self.stopped(3, scen2_srv=2, scen2_hci=2) == {"scen2_srv": {1}, "scen2_hci": {1}}

    def test_a_stop_that_waits_for_another_one_is_not_taken_over_meanwhile(self) -> None:
        site = small_site(items=1)
        services, windows = site.applications
        applications = (replace(services, stop_sequence=1), replace(windows, stop_sequence=5))
        site = replace(site, applications=applications)
        claims = {"scen2_srv_01": running("server_1"), "scen2_hci_01": running("console_1")}
        state = small_state(claims=claims, wanted=dict.fromkeys(claims, WANTED))
        copies = seen(server_1={"scen2_srv_01": 1}, console_1={"scen2_hci_01": 1})
        request = {"kind": "stop", "who": "eve", "instances": list(claims)}
        made = planner.make_plan(site, state, 7, copies, request, NOW, "5", {})
        state = apply_changes(state, made.changes)
        answers = answers_to(sent(site, state, made, 1, {}))
        changes, _ = settle(site, state, made, answers, NOW + 50)
        assert changes["claims"]["scen2_srv_01"]["actor"]["deadline"] == NOW + 50 + site.settings.run_timeout


@pytest.mark.parametrize(
    ("kind", "name", "field", "host"),
    [("open", "scen2_hci_01", "console", "console_1"), ("resolve", "scen2_srv_01", "keep", "server_1")],
)
def test_the_former_name_of_a_field_gives_the_same_plan(kind: str, name: str, field: str, host: str) -> None:
    former = plan(settled(), all_seen(), kind, instances=[name], host=host)
    assert plan(settled(), all_seen(), kind, instances=[name], **{field: host}) == former
    assert former.request[field] == host
