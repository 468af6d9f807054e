# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What-if answers: the plans that would follow, taken for done until nothing more happens, over copies."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from monitor.core.decide.draft import PlanError
from monitor.core.plan import plan as planner
from monitor.core.report import explain, what_if
from tests.small_site import running
from tests.unit.report.test_readiness import NOW, WANTED, fleet, srv


def ask(world: tuple[Any, Any, Any], **assume: Any) -> dict[str, Any]:
    site, state, seen = world
    return what_if.what_if(site, state, 7, seen, assume, NOW, {})


def done(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(action["action"], action["instance"], action["host"]) for action in answer["actions"]]


def held(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {host["host"]: host["instances"] for host in answer["hosts"] if host["instances"]}


def test_nothing_given_is_changed() -> None:
    world = fleet(srv("server_1", "server_2", "server_3"))
    before = copy.deepcopy(world[1:])
    ask(world, down=["server_1"], add_items=["09"], load={"server_2": 50}, drain=["server_3"])
    assert world[1:] == before


def test_two_servers_down_move_all_that_fits_and_the_rest_waits_with_the_reason() -> None:
    answer = ask(fleet(srv("server_1", "server_2", "server_3"), 44), down=["server_2", "server_3"])
    assert done(answer) == [("start", "scen2_srv_02", "server_1")]
    assert [(w["instance"], w["already"]) for w in answer["waits"]] == [("scen2_srv_03", False)]
    assert "server_1 has no room" in answer["waits"][0]["why"]
    assert answer["readiness"]["hosts"]["server_1"]["without_place"] == ["scen2_srv_01", "scen2_srv_02"]


def test_room_that_a_removed_item_leaves_is_given_to_one_that_waited() -> None:
    world = fleet(srv("server_1", "server_2", "server_3"), 22, items=4)
    world[1]["wanted"]["scen2_srv_04"] = WANTED
    assert ask(world, load={"server_1": 0})["waits"][0] == {
        **ask(world, load={"server_1": 0})["waits"][0], "instance": "scen2_srv_04", "already": True,
    }  # fmt: skip
    answer = ask(world, remove_items=["02"])
    assert done(answer) == [("stop", "scen2_srv_02", "server_2"), ("start", "scen2_srv_04", "server_2")]
    assert answer["waits"] == [] and [action["round"] for action in answer["actions"]] == [1, 2]


def test_a_drain_moves_by_stop_then_start_and_ends_settled() -> None:
    answer = ask(fleet(srv("server_1", "server_1", "server_2")), drain=["server_1"])
    assert [action for action in done(answer) if action[0] == "stop"] == [
        ("stop", "scen2_srv_01", "server_1"), ("stop", "scen2_srv_02", "server_1"),
    ]  # fmt: skip
    assert "server_1" not in held(answer)
    assert sum(len(names) for names in held(answer).values()) == 3
    assert answer["holds"] == answer["waits"] == []


def test_an_added_item_is_placed_by_load_and_other_work_counts() -> None:
    world = fleet(srv("server_1", "server_2"))
    assert held(ask(world, add_items=["09"]))["server_3"] == ["scen2_srv_09"]
    assert "server_3" not in held(ask(world, add_items=["north:40"], load={"server_3": 90}))


def test_a_host_that_comes_back_is_used_again() -> None:
    world = fleet(srv("server_1"), 22, items=2, server_2={"state": "down", "by": "eve"}, server_3={"state": "drained"})
    world[1]["wanted"]["scen2_srv_02"] = WANTED
    world[2]["server_2"] = {"host": "server_2", "answer": "unreachable", "why": "dead"}
    answer = ask(world, up=["server_2"])
    assert done(answer) == [("start", "scen2_srv_02", "server_2")]
    assert done(ask(world, undrain=["server_3"])) == [("start", "scen2_srv_02", "server_3")]


def test_windows_of_a_dead_console_are_held_and_reported() -> None:
    world = fleet(srv("server_1"))
    world[1]["claims"]["scen2_hci_01"] = running("console_1")
    world[1]["wanted"]["scen2_hci_01"] = dict(WANTED, host="console_1")
    [hold] = ask(world, down=["console_1"])["holds"]
    assert hold["instance"] == "scen2_hci_01" and "believed down" in hold["why"]


@pytest.mark.parametrize(
    ("assume", "says"),
    [
        ({"dwn": ["server_1"]}, "dwn cannot be assumed, only down, .*did you mean down"),
        ({"down": "server_1"}, "down must be a list"),
        ({"down": ["server_9"]}, "there is no host server_9 in this site; there are server_1, server_2 and server_3"),
        ({"add_items": ["09:x"]}, "the slot of item 09 is x, must be 0 to 9999"),
        ({"add_items": ["a b"]}, 'item a b cannot be added: is "a b", must be an id'),
        ({"add_items": ["01:7"]}, "there is one already"),
        ({"add_items": ["5000"]}, "item 5000 cannot be added: port"),
        ({"load": {"server_1": "much"}}, "the load of server_1 is 'much', must be a number"),
        ({"load": ["server_1"]}, "load must map hosts to percents"),
    ],
)
def test_an_assumption_that_makes_no_sense_is_refused(assume: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        ask(fleet(srv("server_1")), **assume)


class TestExplain:
    def test_an_instance_does_not_count_against_its_own_host(self) -> None:
        site, state, seen = fleet(srv("server_1", "server_2"), 22)
        [entry] = explain.explain_item(site, state, seen, "scen2_srv_01", NOW)["applications"]
        rows = {row["host"]: (row["verdict"], row["fits"], row["reserved"]) for row in entry["candidates"]}
        assert rows == {
            "server_1": ("holds it", True, 0), "server_3": ("fits", True, 0), "server_2": ("no room", False, 22),
        }  # fmt: skip
        assert (entry["host"], entry["load"], entry["choice"]) == ("server_1", 22, "server_1")

    def test_the_first_choice_is_what_a_plan_would_choose(self) -> None:
        site, state, seen = fleet(srv("server_1", "server_2"), items=3)
        state["wanted"]["scen2_srv_03"] = WANTED
        services, windows = explain.explain_item(site, state, seen, "03", NOW)["applications"]
        plan = planner.make_plan(site, state, 7, seen, {"kind": "reconcile", "who": "eve"}, NOW, "5", {})
        [start] = [action for action in plan.actions if action.kind == "start"]
        assert services["choice"] == start.host == "server_3"
        assert services["candidates"][0]["verdict"] == "first choice"
        assert windows["where"] == "not wanted anywhere" and windows["choice"] is None

    def test_a_host_that_may_not_be_used_says_why(self) -> None:
        site, state, seen = fleet(srv("server_1"), server_2={"state": "drained"})
        seen["server_3"] = {"host": "server_3", "answer": "unreachable", "why": "server_3 does not answer"}
        [entry] = explain.explain_item(site, state, seen, "scen2_srv_01", NOW)["applications"]
        rows = {row["host"]: (row["verdict"], row["why"]) for row in entry["candidates"]}
        assert rows["server_2"] == ("ruled out", "server_2 is drained")
        assert rows["server_3"] == ("ruled out", "server_3 does not answer")

    def test_a_host_where_its_start_failed_comes_last(self) -> None:
        site, state, seen = fleet({"scen2_srv_01": "server_1"}, items=2)
        failures = [[NOW - 5, "server_2", "exited 3"], [NOW - 4, "server_2", "exited 3"]]
        state["claims"]["scen2_srv_02"] = running("server_2", phase="failed", failures=failures, reason="exited 3")
        state["wanted"]["scen2_srv_02"] = WANTED
        [entry] = explain.explain_item(site, state, seen, "scen2_srv_02", NOW)["applications"]
        assert entry["choice"] == "server_3"
        row = next(row for row in entry["candidates"] if row["host"] == "server_2")
        assert "failed to start there lately" in row["why"]
        assert entry["where"].startswith("failed on server_2") and "exited 3" in entry["where"]


def test_a_drain_that_not_everybody_can_leave_shows_who_stays_and_why() -> None:
    answer = ask(fleet(srv("server_1", "server_2", "server_3"), 22), drain=["server_1"])
    assert done(answer) == [] and answer["waits"] == []
    [hold] = answer["holds"]
    assert hold["instance"] == "scen2_srv_01" and "server_2 has no room" in hold["why"]
