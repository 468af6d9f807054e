# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site has once, and each host, have rows, verdicts, names and peers of their own."""

from __future__ import annotations

import dataclasses
from typing import Any

from monitor.core.model.site import Need, Site
from monitor.core.plan.act_requests import act_requests
from monitor.core.plan.plan import make_plan
from monitor.core.plan.readiness import readiness
from monitor.core.report.explain import explain_item
from monitor.core.report.verdict import verdicts
from monitor.core.requests.names import meaning_of, names_of
from tests.small_site import CONSOLES, SERVERS, quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0


def site() -> Site:
    """Scenario 2's services for item 01 only; one set of services for the site, and one HCI of it per console."""
    small = small_site(items=2)
    services, windows = small.applications
    return dataclasses.replace(small, applications=(
        dataclasses.replace(services, items=("01",)),
        dataclasses.replace(services, name="all_srv", per="site", start_sequence=2),
        dataclasses.replace(windows, name="all_hci", per="host", peer="all_srv"),
        dataclasses.replace(windows, items=("01",)),
    ))  # fmt: skip


def copy(epoch: int = 1, *programs: str) -> dict[str, Any]:
    alive = programs or ("internal_data_bus", "data_processing", "common_bus_interface", "sensor_view")
    return {"epochs": [epoch], "claim": epoch, "digest": "d", "last_epoch": epoch, "cpu": 1.0,
            "programs": {name: {"pid": 1} for name in alive}, "deferred": [], "failed": {}}  # fmt: skip


def at_rest() -> tuple[dict[str, Any], dict[str, Any]]:
    places = {"scen2_srv_01": "server_1", "all_srv_site": "server_2", "all_hci_console_1": "console_1"}
    state = small_state(
        claims={name: running(host, since=NOW - 60) for name, host in places.items()},
        wanted={name: {"state": "started", "host": host if "hci" in name else None, "by": "eve", "why": "", "at": 0.0}
                for name, host in places.items()},
    )  # fmt: skip
    seen = {host: quiet_host(host) for host in (*SERVERS, *CONSOLES)}
    for name, host in places.items():
        seen[host] = quiet_host(host, instances={name: copy()})
    return state, seen


def test_every_row_has_its_verdict_and_its_own_instances() -> None:
    state, seen = at_rest()
    found = verdicts(site(), state, seen, {}, NOW)
    assert {row: entry["verdict"] for row, entry in found.items()} == {
        "01": "operational", "02": "stopped", "site": "operational", "console_1": "operational",
        "console_2": "stopped",
    }  # fmt: skip
    assert {row: sorted(entry["instances"]) for row, entry in found.items()} == {
        "01": ["scen2_hci_01", "scen2_srv_01"], "02": [], "site": ["all_srv_site"],
        "console_1": ["all_hci_console_1"], "console_2": ["all_hci_console_2"],
    }  # fmt: skip


def test_an_hci_whose_services_of_the_site_are_gone_is_degraded() -> None:
    state, seen = at_rest()
    seen["server_2"] = quiet_host("server_2")
    found = verdicts(site(), state, seen, {}, NOW)
    assert found["console_1"]["verdict"] == "degraded"
    assert found["console_1"]["cause"].startswith("services of the site not reachable: all_srv_site does not run")


def plan(request: dict[str, Any], state: dict[str, Any], seen: dict[str, Any]) -> Any:
    known = site()
    digests = dict.fromkeys(known.by_name(), "d")
    return make_plan(known, state, 7, seen, {"who": "eve", **request}, NOW, "42", digests, None)


def test_a_plan_starts_each_once_and_never_what_an_item_has_not() -> None:
    _state, _seen = at_rest()
    seen = {host: quiet_host(host) for host in (*SERVERS, *CONSOLES)}
    made = plan({"kind": "deploy"}, small_state(), seen)
    assert sorted(a.instance for a in made.actions if a.acts and a.instance) == ["all_srv_site", "scen2_srv_01"]


def test_the_hci_of_a_console_opens_there_without_naming_it_and_knows_the_peer_of_the_site() -> None:
    state, seen = at_rest()
    made = plan({"kind": "open", "instances": ["all_hci_console_2"]}, state, seen)
    assert [(a.kind, a.host) for a in made.actions if a.acts] == [("start", "console_2")]
    requests = act_requests(site(), state, made, 1, dict.fromkeys(site().by_name(), "d"), check=True)
    (order,) = requests["console_2"].instances
    assert order.environment["MUSTER_PEERS"].split(",")[0] == site().host("server_2").address
    elsewhere = plan({"kind": "open", "instances": ["all_hci_console_2"], "console": "console_1"}, state, seen)
    assert "all_hci_console_2 may run on console_2 only" in elsewhere.refusals[0]


def test_names_stand_for_what_is_there() -> None:
    names = names_of(site())
    assert meaning_of("start", "all_srv", names).instances == ("all_srv_site",)
    assert meaning_of("stop", "scen2_srv", names).instances == ("scen2_srv_01",)
    assert meaning_of("open", "console_2", names).instances == ("all_hci_console_2",)
    assert meaning_of("restart", "site", names).instances == ("all_srv_site",)
    assert "has no service to start" in meaning_of("start", "02", names).problem


def test_a_service_per_host_stops_with_its_drained_host_and_no_loss_is_counted() -> None:
    known = site()
    each = dataclasses.replace(known.application("all_srv"), name="each_srv", per="host", identifiers=SERVERS)
    known = dataclasses.replace(known, applications=(*known.applications, each))
    state, seen = at_rest()
    state["claims"]["each_srv_server_3"] = running("server_3", since=NOW - 60)
    state["wanted"]["each_srv_server_3"] = {"state": "started", "host": None, "by": "eve", "why": "", "at": 0.0}
    seen["server_3"] = quiet_host("server_3", instances={"each_srv_server_3": copy()})
    assert readiness(known, state, seen, NOW)["hosts"]["server_3"]["moves"] == 0
    made = make_plan(known, state, 7, seen, {"who": "eve", "kind": "drain", "host": "server_3", "why": "x"}, NOW, "42",
                     dict.fromkeys(known.by_name(), "d"), None)  # fmt: skip
    assert [(a.kind, a.instance, a.after) for a in made.actions if a.acts] == [("stop", "each_srv_server_3", "free")]


def test_explain_answers_for_a_row() -> None:
    state, seen = at_rest()
    found = explain_item(site(), state, seen, "site", NOW)
    assert [entry["instance"] for entry in found["applications"]] == ["all_srv_site"]
    found = explain_item(site(), state, seen, "console_1", NOW)
    assert found["applications"][0]["rule"].startswith("it may run on console_1")


def test_an_application_is_operational_with_as_many_of_some_programs_as_it_needs() -> None:
    small = site()
    one = small.application("all_srv")
    lasting = ("internal_data_bus", "data_processing", "common_bus_interface")
    programs = tuple(dataclasses.replace(p, required=False) for p in one.programs)
    state, seen = at_rest()
    found = []
    for any_of, running_ones in ((2, lasting[:2]), (2, lasting[:1]), (1, lasting[:1])):
        needing = dataclasses.replace(one, programs=programs, needs=(Need(any_of, lasting),))
        known = dataclasses.replace(small, applications=(needing,))
        seen["server_2"] = quiet_host("server_2", instances={"all_srv_site": copy(1, *running_ones)})
        found.append(verdicts(known, state, seen, {}, NOW)["site"]["verdict"])
    assert found == ["degraded", "not operational", "degraded"]


def test_a_signal_needs_a_program_of_an_item() -> None:
    names = names_of(small_site(items=2))
    assert meaning_of("signal", "02", names).problem == "say which program of item 02: 02/PROGRAM"
    assert meaning_of("signal", "03", names).problem.startswith("there is no instance 03 in this site")
