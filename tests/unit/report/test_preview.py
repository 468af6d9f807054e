# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy of an edited inventory would do: what was edited, what moves, batches, windows, what waits, N-1."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from monitor.core.model.observation import instance_seen
from monitor.core.model.rollout import RolloutSettings
from monitor.core.model.site import Item, Site
from monitor.core.report import preview
from tests.small_site import running
from tests.unit.report.test_readiness import NOW, fleet, srv

OPEN = {"state": "started", "host": "console_1", "by": "eve", "why": "asked", "at": 0.0}

WINDOW = {"scen2_hci_01": instance_seen(1, ("internal_data_bus", "sensor_view"), "d")}


def digests(site: Site, word: str) -> dict[str, str]:
    return dict.fromkeys(site.by_name(), word)


def shown(world: tuple[Any, Any, Any], after: Site, word: str = "d") -> dict[str, Any]:
    site, state, seen = world
    request = {"kind": "deploy", "who": "eve"}
    before = preview.Before(site, digests(site, "d"))
    return preview.preview(before, after, state, 7, seen, request, NOW, digests(after, word))


def test_what_was_deployed_last_changes_nothing_and_says_so() -> None:
    world = fleet(srv("server_1", "server_2", "server_3"))
    found = shown(world, world[0])
    assert found["edited"] is False and found["rollout"] is None
    assert preview.lines(found) == [
        "a deploy of this inventory, which is what was deployed last:",
        "  nothing changes",
        "  then      the loss of any one server could still be made up for",
    ]


def test_nothing_given_is_changed() -> None:
    world = fleet(srv("server_1", "server_2"))
    before = copy.deepcopy(world)
    shown(world, replace(world[0], items=(*world[0].items[1:], Item("09", 9))), "e")
    assert world == before


def test_items_that_come_and_go_start_and_stop_and_what_finds_no_room_waits() -> None:
    world = fleet(srv("server_1", "server_2", "server_3"), 22)
    after = replace(world[0], items=(*world[0].items[1:], Item("08", 8), Item("09", 9)))
    found = shown(world, after)
    assert found["items"] == {"added": ["08", "09"], "removed": ["01"], "changed": []}
    assert [entry["instance"] for entry in found["starts"]] == ["scen2_srv_08"]
    assert found["stops"] == [{"instance": "scen2_srv_01", "host": "server_1"}]
    assert [entry["instance"] for entry in found["waits"]] == ["scen2_srv_09"]
    text = preview.lines(found)
    assert text[0].endswith("which was edited since the last deploy:")
    assert "  items     added 08 and 09; removed 01" in text
    assert any("there is no room for" in line for line in text)


def test_a_changed_configuration_restarts_in_batches_and_windows_stay_open() -> None:
    site, state, seen = fleet(srv("server_1", "server_2", "server_3"))
    state["wanted"]["scen2_hci_01"] = OPEN
    state["claims"]["scen2_hci_01"] = running("console_1")
    seen["console_1"]["instances"] = WINDOW
    after = replace(site, rollout=RolloutSettings(max_parallel=1, hold_for=5.0))
    found = shown((site, state, seen), after, "e")
    assert found["rollout"]["batches"] == [["scen2_srv_02"], ["scen2_srv_03"], ["scen2_srv_01"]]
    assert found["applications"] == {"scen2_srv": 3, "scen2_hci": 3} and "rollout" in found["settings"]
    assert found["starts"] == found["stops"] == found["moves"] == []
    text = "\n".join(preview.lines(found))
    assert "restarts  3 instances in 3 batches, each of which must be well for 5 s; one that fails stops it" in text
    assert ("window    scen2_hci_01 on console_1 stays open, and takes its configuration when it is closed and opened"
            " again; scen2_srv_01 restarts behind it in batch 3") in text  # fmt: skip


@pytest.mark.parametrize("state_of_it", ["done", "aborted"])
def test_a_rollout_that_is_over_restarts_nothing(state_of_it: str) -> None:
    site, state, seen = fleet(srv("server_1", "server_2", "server_3"))
    state["wanted"]["scen2_hci_01"] = OPEN
    state["claims"]["scen2_hci_01"] = running("console_1")
    seen["console_1"]["instances"] = WINDOW
    batches = [["scen2_srv_02"], ["scen2_srv_01"]]
    ends = {name: "d" for batch in batches for name in batch}
    record = {"id": "3", "state": state_of_it, "at": 1, "batches": batches, "targets": ends, "sources": ends}
    state["rollouts"] = {"current": record}
    found = shown((site, state, seen), site)
    assert found["rollout"] is None and found["windows"] == []
    assert "  nothing changes" in preview.lines(found)


def test_a_batch_that_was_reached_restarts_no_more() -> None:
    site, state, seen = fleet(srv("server_1", "server_2", "server_3"))
    state["wanted"]["scen2_hci_01"] = OPEN
    state["claims"]["scen2_hci_01"] = running("console_1")
    seen["console_1"]["instances"] = WINDOW
    batches = [["scen2_srv_01"], ["scen2_srv_02"]]
    record = {"id": "3", "state": "paused", "at": 0, "batches": batches,
              "targets": {"scen2_srv_01": "d", "scen2_srv_02": "d"},
              "sources": {"scen2_srv_01": "c", "scen2_srv_02": "c"}}  # fmt: skip
    state["rollouts"] = {"current": record}
    assert shown((site, state, seen), site)["windows"] == []


def test_files_that_are_reloaded_are_no_restarts() -> None:
    site, state, seen = fleet(srv("server_1", "server_2", "server_3"))
    after = replace(site, rollout=RolloutSettings(max_parallel=1, hold_for=5.0))
    text = "\n".join(preview.lines(shown((site, state, seen), after, "d+reload:1")))
    assert "reloads   3 instances in 3 batches, without a restart, each of which must be well for 5 s" in text
    assert "restarts" not in text


def test_a_window_of_an_item_that_leaves_closes() -> None:
    site, state, seen = fleet(srv("server_1", "server_2", "server_3"))
    state["wanted"]["scen2_hci_01"] = OPEN
    state["claims"]["scen2_hci_01"] = running("console_1")
    seen["console_1"]["instances"] = WINDOW
    found = shown((site, state, seen), replace(site, items=site.items[1:]))
    assert found["windows"] == [
        {"instance": "scen2_hci_01", "host": "console_1", "says": "closes: its item leaves the site"}
    ]


def test_a_new_host_is_taken_for_prepared() -> None:
    world = fleet(srv("server_1", "server_2"), 22)
    world[2]["server_3"] = dict(world[2]["server_3"], prepared=False, service_manager="absent")
    world[1]["hosts"].pop("server_3")
    found = shown(world, replace(world[0], items=(*world[0].items, Item("09", 9))))
    assert found["prepared"] == ["server_3"]
    assert found["starts"] == [{"instance": "scen2_srv_09", "host": "server_3"}] and found["waits"] == []
