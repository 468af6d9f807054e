# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failure policy, budgets, and the order of programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core.decide import failures as budgets
from monitor.core.model import sequence
from monitor.core.model.records import Claim, Failure
from monitor.core.model.site import Settings
from monitor.core.report import preview
from monitor.core.requests import shrink
from tests.small_site import small_site

SITE = small_site()
SERVICES, WINDOWS = SITE.applications
SETTINGS = Settings(failure_budget=5, failure_window=600.0, stable_after=10.0)


def claim(phase: str, since: float, *at: float) -> Claim:
    return Claim("server_1", 3, phase, since=since, failures=tuple(Failure(t, "server_1", "exited") for t in at))


def test_failures_of_a_running_instance_age_out():
    assert len(budgets.charges(claim("running", 1000.0, 300.0, 900.0), 1001.0, SETTINGS)) == 1


def test_one_failure_expires_per_period_of_operation():
    running = claim("running", 1000.0, 990.0, 991.0, 992.0)
    assert [len(budgets.charges(running, now, SETTINGS)) for now in (1009.0, 1010.0, 1020.0, 1031.0)] == [3, 2, 1, 0]


def test_failures_without_operation_in_between_never_age():
    failed = claim("failed", 10.0, *range(0, 5000, 1000))
    assert budgets.exhausted(budgets.charges(failed, 90000.0, SETTINGS), SETTINGS)


def test_a_charge_is_added_to_what_still_counts():
    charged = budgets.charge(claim("running", 1000.0, 990.0, 991.0), Failure(1010.0, "server_1", "again"), SETTINGS)
    assert [f.at for f in charged] == [991.0, 1010.0]


def test_another_host_is_tried_after_two_failures_on_one():
    assert budgets.avoided_hosts(claim("failed", 0.0, 1.0), 2.0, SETTINGS) == []
    assert budgets.avoided_hosts(claim("failed", 0.0, 1.0, 2.0), 3.0, SETTINGS) == ["server_1"]


@pytest.mark.parametrize(
    ("strategies", "expected"),
    [
        (("continue", "restart_process"), "restart_process"),
        (("restart_application", "restart_process"), "restart_application"),
        (("stop_application", "restart_application"), "stop_application"),
    ],
)
def test_the_most_severe_strategy_wins(strategies, expected):
    programs = tuple(
        replace(p, running_failure_strategy=s) for p, s in zip(WINDOWS.programs, strategies)
    )
    application = replace(WINDOWS, programs=programs)
    assert budgets.running_failure(application, [p.name for p in programs]) == expected
    assert budgets.running_failure(application, []) == "continue"


def test_a_hung_bus_is_never_repaired_alone():
    programs = tuple(replace(p, running_failure_strategy="restart_process") for p in SERVICES.programs)
    application = replace(SERVICES, programs=programs)
    assert budgets.bus_failure(application, hung=False) == "restart_process"
    assert budgets.bus_failure(application, hung=True) == "restart_application"


def test_a_program_may_have_a_starting_failure_strategy_of_its_own():
    programs = (replace(SERVICES.programs[0], starting_failure_strategy="continue"), *SERVICES.programs[1:])
    application = replace(SERVICES, programs=programs)
    assert budgets.starting_failure_strategy(application, "internal_data_bus") == "continue"
    assert budgets.starting_failure_strategy(application, "data_processing") == "stop"


def test_ranks_start_upwards():
    assert [[p.name for p in rank] for rank in sequence.start_ranks(SERVICES)] == [
        ["internal_data_bus"], ["check_internal_data_bus"], ["data_processing"], ["check_common_data_bus"],
        ["common_bus_interface"],
    ]  # fmt: skip


def test_gates_are_not_expected_to_live():
    assert sequence.expected_programs(SERVICES) == ("internal_data_bus", "data_processing", "common_bus_interface")


def test_the_application_of_an_instance_that_left_is_still_known():
    assert sequence.application_of(SITE, "scen2_srv_99") is SERVICES
    assert sequence.application_of(SITE, "other_1") is None


def test_an_application_whose_name_begins_that_of_another_is_not_taken_for_it():
    short = replace(WINDOWS, name="scen2")
    site = replace(SITE, applications=(SERVICES, replace(short, items=("01",))))
    assert not preview._was_window(site, "scen2_srv_99")
    assert sequence.application_of(site, "scen2_srv_99") is SERVICES
    assert sequence.application_of(site, "scen2_99").name == "scen2"
    here = SITE.hosts[0].name  # an instance of a host, of an application that it no longer has
    longer = replace(SERVICES, name="db_" + here[: here.index("_")])
    pair = (replace(short, name="db", per="host", identifiers=()), longer)
    assert sequence.application_of(replace(SITE, applications=pair), "db_" + here).name == "db"
    alone = (replace(short, name="db", per="site", identifiers=()),)
    assert sequence.application_of(replace(SITE, applications=alone), "db_old_99") is None


def test_items_that_were_lost_are_counted_under_the_application_that_they_had():
    site = replace(SITE, applications=(SERVICES, replace(WINDOWS, name="scen2")))
    assert shrink._items(site, ["scen2_srv_98", "scen2_99", "other_1"]) == {"98", "99"}
