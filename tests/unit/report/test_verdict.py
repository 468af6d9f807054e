# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirement 3: major and minor failure of an instance, one merged verdict per item, with its first cause."""

from __future__ import annotations

from typing import Any

from monitor.core.model.words import VERDICTS
from monitor.core.report.verdict import verdicts
from tests.small_site import quiet_host, running, small_site, small_state

SITE = small_site(items=1)
PROGRAMS = ("internal_data_bus", "data_processing", "common_bus_interface")
WINDOWS = ("internal_data_bus", "sensor_view")
STARTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}


def seen(host: str, instance: str, programs: tuple[str, ...], epoch: int = 1) -> dict[str, Any]:
    copy = {"epochs": [epoch], "claim": epoch, "programs": {p: {"pid": 1} for p in programs}}
    return quiet_host(host, instances={instance: copy})


def verdict(claims: dict[str, Any], *observed: dict[str, Any], wanted: Any = None, bus: Any = None, hosts: Any = None):
    state = small_state(claims=claims, wanted={"scen2_srv_01": STARTED, **(wanted or {})}, hosts=hosts or {})
    observations = {observation["host"]: observation for observation in observed}
    found = verdicts(SITE, state, observations, bus or {}, 2000.0)["01"]
    assert found["verdict"] in VERDICTS
    return found


SERVICES = {"scen2_srv_01": running("server_1")}
BOTH = {**SERVICES, "scen2_hci_01": running("console_1")}
OPENED = {"scen2_hci_01": {**STARTED, "host": "console_1", "by": "eve"}}
WELL = seen("server_1", "scen2_srv_01", PROGRAMS)
SHOWN = seen("console_1", "scen2_hci_01", WINDOWS)


def test_all_programs_alive_is_operational_without_a_cause():
    found = verdict(SERVICES, WELL)
    assert (found["verdict"], found["cause"]) == ("operational", "")
    assert found["hci"]["state"] == "stopped"


def test_a_required_program_stopped_is_a_major_failure():
    found = verdict(SERVICES, seen("server_1", "scen2_srv_01", ("internal_data_bus", "common_bus_interface")))
    assert found["verdict"] == "not operational"
    assert found["cause"] == "scen2_srv_01 on server_1 runs without data_processing"
    assert (found["services"]["major"], found["services"]["minor"]) == (True, False)


def test_an_optional_program_stopped_is_a_minor_failure():
    found = verdict(SERVICES, seen("server_1", "scen2_srv_01", ("internal_data_bus", "data_processing")))
    assert found["verdict"] == "degraded"
    assert found["cause"] == "scen2_srv_01 on server_1 runs without common_bus_interface"
    assert (found["services"]["major"], found["services"]["minor"]) == (False, True)


def test_the_required_program_is_named_first():
    found = verdict(SERVICES, seen("server_1", "scen2_srv_01", ("internal_data_bus",)))
    assert found["cause"] == "scen2_srv_01 on server_1 runs without data_processing and common_bus_interface"


def test_nothing_of_it_alive_is_not_operational():
    found = verdict(SERVICES, quiet_host("server_1"))
    assert (found["verdict"], found["cause"]) == ("not operational", "scen2_srv_01 does not run on server_1 any more")


def test_a_copy_of_another_epoch_does_not_count():
    found = verdict(SERVICES, seen("server_1", "scen2_srv_01", PROGRAMS, epoch=7))
    assert found["verdict"] == "not operational"


def test_a_deferred_start_is_operational_and_says_what_it_waits_for():
    deferred = ["check_common_data_bus", "common_bus_interface"]
    claims = {"scen2_srv_01": running("server_1", deferred=deferred)}
    found = verdict(claims, seen("server_1", "scen2_srv_01", PROGRAMS[:2]))
    assert (found["verdict"], found["cause"]) == ("operational", "waiting for the common bus")


def test_a_program_that_failed_to_start_is_reported_with_its_reason():
    claims = {**SERVICES, "scen2_hci_01": running("console_1", failed={"sensor_view": "exited 1 (no display)"})}
    found = verdict(claims, WELL, seen("console_1", "scen2_hci_01", WINDOWS[:1]), wanted=OPENED)
    assert found["verdict"] == "degraded"
    assert found["cause"] == "scen2_hci_01 on console_1 runs without sensor_view: exited 1 (no display)"


def test_a_failed_start_is_not_operational_with_its_reason():
    found = verdict({"scen2_srv_01": running("server_1", phase="failed", reason="data_processing exited 3")})
    assert found["verdict"] == "not operational"
    assert found["cause"] == "scen2_srv_01 failed: data_processing exited 3"


def test_no_capacity_is_waiting_with_the_reason():
    reason = "scen2_srv_01 waits: server_1 has no room: 90 of 100 reserved, it needs 22"
    found = verdict({"scen2_srv_01": running(None, 0, phase="free", reason=reason)})
    assert (found["verdict"], found["cause"]) == ("waiting", reason)


def test_starting_and_moving_are_waiting():
    assert verdict({"scen2_srv_01": running("server_1", phase="starting")})["verdict"] == "waiting"
    found = verdict({"scen2_srv_01": running("server_1", phase="stopping", target="server_2")})
    assert found["cause"] == "scen2_srv_01 is moving from server_1 to server_2"


def test_stopped_by_a_person_is_stopped_and_says_by_whom():
    stopped = {**STARTED, "state": "stopped", "by": "eve", "why": "maintenance"}
    found = verdict({"scen2_srv_01": running("server_1", phase="free")}, wanted={"scen2_srv_01": stopped})
    assert (found["verdict"], found["cause"]) == ("stopped", "scen2_srv_01 is stopped by eve (maintenance)")


def test_a_host_that_does_not_answer_is_unknown():
    found = verdict(SERVICES, {"host": "server_1", "answer": "unreachable", "why": "connection timed out"})
    assert (found["verdict"], found["cause"]) == ("unknown", "server_1 does not answer: connection timed out")


def test_a_host_that_is_down_is_unknown_and_says_why():
    found = verdict(SERVICES, WELL, hosts={"server_1": {"state": "down", "evidence": "two signals"}})
    assert (found["verdict"], found["cause"]) == ("unknown", "server_1 is down: two signals")


def test_without_a_look_the_ledger_is_believed_for_a_while():
    lately = {"scen2_srv_01": running("server_1", since=1990.0)}
    assert verdict(lately)["verdict"] == "operational"
    found = verdict(SERVICES)
    assert found["verdict"] == "unknown"
    assert found["cause"].startswith("nobody has seen scen2_srv_01 on server_1 since ")


def test_a_bus_that_does_not_answer_is_a_major_failure():
    found = verdict(SERVICES, WELL, bus={"scen2_srv_01": {"health": "unhealthy", "why": "3 round trips missed"}})
    assert found["verdict"] == "not operational"
    assert found["cause"] == "the internal bus of scen2_srv_01 on server_1 does not answer: 3 round trips missed"
    assert verdict(SERVICES, WELL, bus={"scen2_srv_01": "unhealthy"})["verdict"] == "not operational"


def test_a_health_that_is_unknown_or_of_another_epoch_changes_nothing():
    for health in ("unknown", "healthy", {"health": "unhealthy", "epoch": 9}, None):
        assert verdict(SERVICES, WELL, bus={"scen2_srv_01": health})["verdict"] == "operational"


def test_unhealthy_windows_make_an_item_degraded_at_most():
    found = verdict(BOTH, WELL, quiet_host("console_1"), wanted=OPENED)
    assert (found["verdict"], found["cause"]) == ("degraded", "scen2_hci_01 does not run on console_1 any more")
    assert found["hci"]["major"] is True


def test_windows_whose_services_are_gone_say_so():
    found = verdict(BOTH, quiet_host("server_1"), SHOWN, wanted=OPENED)
    assert found["verdict"] == "not operational"
    assert found["cause"] == "scen2_srv_01 does not run on server_1 any more"
    assert found["hci"]["cause"].startswith("services of item 01 not reachable")


def test_windows_whose_link_is_lost_are_degraded():
    lost = {"health": "healthy", "epoch": 1, "link": {"state": "unhealthy", "why": "no leaf"}}
    found = verdict(BOTH, WELL, SHOWN, wanted=OPENED, bus={"scen2_hci_01": lost})
    assert found["verdict"] == "degraded"
    assert found["cause"] == "services of item 01 not reachable: no link to their bus: no leaf"
    assert (found["services"]["minor"], found["hci"]["minor"], found["hci"]["major"]) == (False, True, False)


def test_a_link_that_is_not_known_or_of_another_epoch_changes_nothing():
    lost = {"state": "unhealthy", "why": "no leaf"}
    for health in ({"health": "healthy", "epoch": 9, "link": lost}, {"health": "healthy", "link": {"state": "unknown"}},
                   {"health": "healthy", "link": None}):  # fmt: skip
        assert verdict(BOTH, WELL, SHOWN, wanted=OPENED, bus={"scen2_hci_01": health})["verdict"] == "operational"


def test_a_link_of_services_that_are_gone_is_not_the_cause():
    lost = {"health": "healthy", "epoch": 1, "link": {"state": "unhealthy", "why": "no leaf"}}
    found = verdict(BOTH, quiet_host("server_1"), SHOWN, wanted=OPENED, bus={"scen2_hci_01": lost})
    assert "no leaf" not in found["hci"]["cause"]


def test_open_windows_beside_good_services_are_operational():
    found = verdict(BOTH, WELL, SHOWN, wanted=OPENED)
    assert (found["verdict"], found["hci"]["host"]) == ("operational", "console_1")
