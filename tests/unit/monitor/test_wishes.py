# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From watch list and health to intents."""

from __future__ import annotations

import pytest

from monitor.core.model.words import BUS_CRASH, BUS_HANG, DOWN, GATE_OPEN, HOST_DOWN, PROGRAM_EXIT, SUSPECT, UP
from monitor.judge.health import Kind
from monitor.judge.hosts import Verdict
from monitor.judge.wishes import Exit, decide
from tests.unit.monitor.watch_lists import common_bus, entry, health, watch

BUS = ("scen2_srv_01", 1)
DEFERRED = {"deferred": ("check_common_data_bus", "common_bus_interface"), "waits_for": "common_data_bus"}


def test_nothing_is_wished_for_while_all_is_well() -> None:
    assert decide(watch(entry("scen2_srv_01")), {BUS: health(Kind.ANSWERED)}, {}, 0.0) == []


def test_a_crashed_bus_of_services_wishes_for_a_restart_and_says_why() -> None:
    [wish] = decide(watch(entry("scen2_srv_01")), {BUS: health(Kind.GONE, why="its connection ended")}, {}, 0.0)
    assert (wish.instance, wish.epoch, wish.cause, wish.what) == ("scen2_srv_01", 1, BUS_CRASH, "restart")
    assert wish.why == "the internal bus of scen2_srv_01 on server_1 crashed: its connection ended"


def test_a_hung_bus_wishes_for_the_same_and_says_hangs() -> None:
    [wish] = decide(watch(entry("scen2_srv_01")), {BUS: health(Kind.MISSED, times=3)}, {}, 2.0)
    assert (wish.cause, wish.what) == (BUS_HANG, "restart")
    assert "hangs: because" in wish.why


@pytest.mark.parametrize(
    ("strategy", "what"),
    [("restart_application", "restart"), ("restart_process", "restart"), ("stop_application", "stop")],
)
def test_the_wish_follows_the_strategy_of_the_bus(strategy: str, what: str) -> None:
    [wish] = decide(watch(entry("scen2_hci_01", strategy=strategy)), {("scen2_hci_01", 1): health(Kind.GONE)}, {}, 0.0)
    assert wish.what == what


def test_a_bus_whose_strategy_is_continue_is_left_alone() -> None:
    assert decide(watch(entry("scen2_srv_01", strategy="continue")), {BUS: health(Kind.GONE)}, {}, 0.0) == []


@pytest.mark.parametrize("phase", ["starting", "stopping", "failed", "free"])
def test_only_a_running_claim_leads_to_a_wish(phase: str) -> None:
    assert decide(watch(entry("scen2_srv_01", phase=phase)), {BUS: health(Kind.GONE)}, {}, 0.0) == []


def test_the_health_of_an_earlier_epoch_does_not_count() -> None:
    assert decide(watch(entry("scen2_srv_01", epoch=2)), {BUS: health(Kind.GONE)}, {}, 0.0) == []


def test_an_unknown_bus_restarts_nothing() -> None:
    assert decide(watch(entry("scen2_srv_01")), {BUS: health(Kind.UNREACHABLE)}, {}, 0.0) == []


def test_a_deferred_gate_goes_on_when_its_host_service_answers() -> None:
    services = {("common_data_bus", "server_1"): health(Kind.ANSWERED)}
    seen = watch(entry("scen2_srv_01", **DEFERRED), services=[common_bus("server_1"), common_bus("server_2")])
    [wish] = decide(seen, {BUS: health(Kind.ANSWERED)}, services, 0.0)
    assert (wish.cause, wish.what) == (GATE_OPEN, "continue")
    assert wish.why == "the common bus on server_1 answers: check_common_data_bus of scen2_srv_01 goes on"


def test_a_deferred_gate_waits_while_the_service_of_its_own_host_is_silent() -> None:
    services = {("common_data_bus", "server_1"): health(), ("common_data_bus", "server_2"): health(Kind.ANSWERED)}
    seen = watch(entry("scen2_srv_01", **DEFERRED), services=[common_bus("server_1"), common_bus("server_2")])
    assert decide(seen, {BUS: health(Kind.ANSWERED)}, services, 0.0) == []


def test_a_deferred_gate_asks_another_host_when_its_own_has_no_such_service() -> None:
    services = {("common_data_bus", "server_2"): health(Kind.ANSWERED)}
    seen = watch(entry("scen2_srv_01", **DEFERRED), services=[common_bus("server_2")])
    assert len(decide(seen, {BUS: health(Kind.ANSWERED)}, services, 0.0)) == 1


def test_an_answer_that_is_too_old_opens_no_gate() -> None:
    services = {("common_data_bus", "server_1"): health(Kind.ANSWERED)}
    seen = watch(entry("scen2_srv_01", **DEFERRED), services=[common_bus("server_1")])
    assert decide(seen, {}, services, 10.0) == []


def test_a_crash_goes_before_a_gate() -> None:
    services = {("common_data_bus", "server_1"): health(Kind.ANSWERED)}
    seen = watch(entry("scen2_srv_01", **DEFERRED), services=[common_bus("server_1")])
    [wish] = decide(seen, {BUS: health(Kind.GONE)}, services, 0.0)
    assert wish.cause == BUS_CRASH


@pytest.mark.parametrize("key", ["site", "item/01"])
def test_wishes_about_a_paused_item_are_only_reported(key: str) -> None:
    paused = watch(entry("scen2_srv_01", item="01"), pauses={key: 100.0})
    [wish] = decide(paused, {BUS: health(Kind.GONE)}, {}, 0.0, wall=99.0)
    assert wish.paused and wish.only_reported
    [wish] = decide(paused, {BUS: health(Kind.GONE)}, {}, 0.0, wall=101.0)
    assert not wish.only_reported


def test_a_pause_of_another_item_changes_nothing() -> None:
    paused = watch(entry("scen2_srv_01", item="01"), pauses={"item/02": None})
    assert len(decide(paused, {BUS: health(Kind.GONE)}, {}, 0.0, wall=99.0)) == 1


def test_a_crash_on_a_host_that_does_not_answer_waits_for_the_verdict() -> None:
    one = watch(entry("scen2_srv_01"))
    silent = {"server_1": Verdict("server_1", "suspect", "it does not answer")}
    assert decide(one, {BUS: health(Kind.GONE)}, {}, 0.0, silent) == []


def test_where_only_the_service_manager_is_gone_a_run_is_sent() -> None:
    one = watch(entry("scen2_srv_01"))
    there = {"server_1": Verdict("server_1", "suspect", "its service manager is gone", there=True)}
    [wish] = decide(one, {BUS: health(Kind.GONE)}, {}, 0.0, there)
    assert wish.instance == "scen2_srv_01"


def test_a_host_that_is_down_is_evacuated_once() -> None:
    down = {"server_1": Verdict("server_1", "down", "it burnt", since=5.0)}
    [wish] = decide(watch(entry("scen2_srv_01"), hosts={"server_1": "up"}), {}, {}, 7.0, down)
    assert (wish.key, wish.cause, wish.host, wish.why, wish.age) == (
        "host server_1",
        HOST_DOWN,
        "server_1",
        "it burnt",
        2.0,
    )
    assert decide(watch(entry("scen2_srv_01"), hosts={"server_1": "down"}), {}, {}, 7.0, down) == []


def verdict(state: str, **more: bool) -> dict[str, Verdict]:
    return {"server_1": Verdict("server_1", state, "server_1 is silent", 5.0, **more)}


def test_a_host_that_is_down_is_to_be_evacuated() -> None:
    [wish] = decide(watch(entry("scen2_srv_01")), {BUS: health(Kind.GONE)}, {}, 9.0, verdict(DOWN))
    assert (wish.host, wish.instance, wish.cause, wish.what, wish.age) == ("server_1", "", HOST_DOWN, "evacuate", 4.0)
    assert wish.why == "server_1 is silent"


def test_once_the_ledger_says_so_nothing_more_is_wished_for_there() -> None:
    seen = watch(entry("scen2_srv_01"), hosts={"server_1": "down"})
    assert decide(seen, {BUS: health(Kind.GONE)}, {}, 9.0, verdict(DOWN)) == []


def test_wishes_about_a_suspect_host_wait() -> None:
    seen = watch(entry("scen2_srv_01"), entry("scen2_srv_02", host="server_2"))
    buses = {BUS: health(Kind.GONE), ("scen2_srv_02", 1): health(Kind.GONE)}
    assert [wish.instance for wish in decide(seen, buses, {}, 9.0, verdict(SUSPECT))] == ["scen2_srv_02"]
    assert len(decide(seen, buses, {}, 9.0, verdict(UP))) == 2


def test_where_the_machine_itself_answers_a_run_is_sent() -> None:
    seen = watch(entry("scen2_srv_01"))
    assert len(decide(seen, {BUS: health(Kind.GONE)}, {}, 9.0, verdict(SUSPECT, there=True))) == 1


STRATEGIES = {"scen2_srv": {"data_processing": "restart_process", "viewer": "stop_application", "helper": "continue"}}


def exits(*programs: str) -> dict[tuple[str, int], Exit]:
    return {BUS: Exit(0.0, "server_1", dict.fromkeys(programs, "ended with code 3"))}


def test_ended_programs_are_one_wish_without_those_that_need_no_action() -> None:
    seen = watch(entry("scen2_srv_01"), programs=STRATEGIES)
    [wish] = decide(seen, {}, {}, 0.0, {}, exits("viewer", "helper", "data_processing"))
    assert (wish.cause, wish.what, wish.programs) == (PROGRAM_EXIT, "repair", ("data_processing", "viewer"))
    assert decide(seen, {}, {}, 0.0, {}, exits("helper")) == []


def test_a_crash_of_the_bus_goes_before_the_end_of_a_program() -> None:
    seen = watch(entry("scen2_srv_01"), programs=STRATEGIES)
    [wish] = decide(seen, {BUS: health(Kind.GONE)}, {}, 0.0, {}, exits("data_processing"))
    assert wish.cause == BUS_CRASH


def test_the_end_of_a_program_of_another_epoch_means_nothing() -> None:
    seen = watch(entry("scen2_srv_01", epoch=2), programs=STRATEGIES)
    assert decide(seen, {}, {}, 0.0, {}, exits("data_processing")) == []
