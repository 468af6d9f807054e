# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations from before another run's commit are corrected by that commit."""

from __future__ import annotations

from typing import Any

from monitor.core.decide import corrections
from tests.small_site import quiet_host, running, small_site, small_state


def saw(host: str, **copies: int) -> dict[str, Any]:
    instances = {
        name: {"epoch": epoch, "epochs": [epoch], "programs": {"data_processing": {}}} for name, epoch in copies.items()
    }
    return quiet_host(host, instances=instances)


def correct(claims: dict[str, Any], changed: list[str], *hosts: dict[str, Any]) -> dict[str, Any]:
    before = {host["host"]: host for host in hosts}
    kept = repr(before)
    after = corrections.correct(small_site(), small_state(claims=claims), before, changed)
    assert repr(before) == kept, "the given observations are not changed"
    return after


def test_a_restarted_instance_is_taken_as_its_claim_says() -> None:
    claim = running("server_1", 9, deferred=["check_common_data_bus", "common_bus_interface"], digest="new")
    after = correct({"scen2_srv_01": claim}, ["scen2_srv_01"], saw("server_1", scen2_srv_01=8, scen2_srv_02=3))
    copy = after["server_1"]["instances"]["scen2_srv_01"]
    assert (copy["epochs"], copy["claim"], copy["digest"]) == ([9], 9, "new")
    assert sorted(copy["programs"]) == ["data_processing", "internal_data_bus"]
    assert after["server_1"]["instances"]["scen2_srv_02"]["epoch"] == 3


def test_a_moved_instance_is_no_stray_copy_on_its_old_host() -> None:
    after = correct(
        {"scen2_srv_01": running("server_2", 9)}, ["scen2_srv_01"], saw("server_1", scen2_srv_01=8), saw("server_2")
    )
    assert "scen2_srv_01" not in after["server_1"]["instances"]
    assert after["server_2"]["instances"]["scen2_srv_01"]["epoch"] == 9


def test_a_freed_instance_is_gone() -> None:
    after = correct(
        {"scen2_srv_01": running("server_1", 8, phase="free")}, ["scen2_srv_01"], saw("server_1", scen2_srv_01=8)
    )
    assert after["server_1"]["instances"] == {} and after["server_1"]["answer"] == "seen"


def test_where_the_other_run_has_not_finished_nothing_is_known() -> None:
    claim = running("server_1", 8, phase="stopping", target="server_2")
    after = correct(
        {"scen2_srv_01": claim}, ["scen2_srv_01"], saw("server_1", scen2_srv_01=8), saw("server_2"), saw("server_3")
    )
    assert [after[name]["answer"] for name in ("server_1", "server_2", "server_3")] == [
        "not asked",
        "not asked",
        "seen",
    ]
    assert "another run began to change scen2_srv_01 there" in after["server_1"]["why"]


def test_a_host_that_did_not_answer_is_not_made_to_have_answered() -> None:
    silent = {"host": "server_1", "answer": "unreachable", "why": "No route to host"}
    assert correct({"scen2_srv_01": running("server_1", 9)}, ["scen2_srv_01"], silent) == {"server_1": silent}
