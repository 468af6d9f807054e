# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the status document: some items, or what is not normal."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.report import status_part, status_text
from tests.unit.report.test_status import NOW, document, monitor, seen, two_running

Json = dict[str, Any]


def picture(**more: Any) -> Json:
    """Two items that run, on two of three servers; the third was not asked."""
    up = [seen("server_1", ("scen2_srv_01", 4)), seen("server_2", ("scen2_srv_02", 7)), seen("server_3")]
    found = document(two_running(), *up, monitor=monitor(**more))
    for entry in found["items"]:
        entry.update(verdict="operational", cause="")
    for host in found["hosts"]:
        host.update(drift=[], foreign=[], left_behind=[])
    for service in found["services"].values():
        for copy in service["hosts"].values():
            copy["state"] = "healthy"
    return found


def test_a_site_where_all_is_well_has_nothing_to_look_at() -> None:
    found = status_part.part(picture(), not_normal=True)
    assert status_part.is_normal(found)
    assert not (found["items"] or found["hosts"] or found["services"])
    text = status_text.render_table(found)
    assert "scen2" not in text and "server_1" not in text and "monitor: running" in text


@pytest.mark.parametrize(
    ("place", "change"),
    [
        *[("items", {"verdict": verdict}) for verdict in ("not operational", "degraded", "unknown", "waiting")],
        ("hosts", {"state": "down"}), ("hosts", {"state": "suspect"}), ("hosts", {"answer": "unreachable"}),
        ("hosts", {"left_behind": ["x"]}), ("hosts", {"drift": ["x"]}),
    ],
)  # fmt: skip
def test_what_does_not_work_is_shown_alone(place: str, change: Json) -> None:
    whole = picture()
    whole[place][1].update(change)
    found = status_part.part(whole, not_normal=True)
    assert not status_part.is_normal(found)
    assert found[place] == [whole[place][1]]
    assert not found["items" if place == "hosts" else "hosts"]


@pytest.mark.parametrize(
    ("place", "change"),
    [("items", {"verdict": "stopped"}), ("items", {"verdict": "degraded", "paused": True}),
     ("hosts", {"state": "drained", "answer": "unreachable"})],
)  # fmt: skip
def test_what_a_person_has_stopped_paused_or_drained_is_normal(place: str, change: Json) -> None:
    whole = picture()
    whole[place][1].update(change)
    assert status_part.is_normal(status_part.part(whole, not_normal=True))


@pytest.mark.parametrize(
    "change",
    [
        {"conflicts": [{"instance": "scen2_srv_01", "open": True}]}, {"failures": [{"instance": "scen2_srv_01"}]},
        {"drift": [{"instance": "scen2_srv_01"}]}, {"rollout": {"state": "stopped"}},
        {"readiness": {"ready": False, "hosts": {}, "says": "no"}},
        {"monitor": {"state": "silent"}}, {"monitor": {"state": "running", "no_runs": {"why": "x"}}},
    ],
)  # fmt: skip
def test_what_concerns_the_site_is_not_normal(change: Json) -> None:
    assert not status_part.is_normal(status_part.part(dict(picture(), **change), not_normal=True))


def test_a_conflict_that_is_over_and_a_rollout_under_way_are_normal() -> None:
    change: Json = {"conflicts": [{"instance": "a", "open": False}], "rollout": {"state": "running"}}
    assert status_part.is_normal(status_part.part(dict(picture(), **change), not_normal=True))


def test_a_copy_of_a_host_service_that_is_ill_is_shown_without_the_others() -> None:
    whole = picture()
    [name] = whole["services"]
    whole["services"][name]["hosts"]["server_2"]["state"] = "unhealthy"
    found = status_part.part(whole, not_normal=True)
    assert list(found["services"][name]["hosts"]) == ["server_2"] and not status_part.is_normal(found)


def test_some_items_come_with_the_hosts_that_hold_them() -> None:
    whole = dict(picture(), drift=[{"instance": "scen2_srv_01"}, {"instance": "scen2_srv_02"}, {"host": "server_3"}])
    found = status_part.part(whole, ["02"])
    assert [entry["item"] for entry in found["items"]] == ["02"]
    assert [host["host"] for host in found["hosts"]] == ["server_2"]
    assert {entry["item"] for entry in found["instances"].values()} == {"02"}
    assert found["drift"] == [{"instance": "scen2_srv_02"}, {"host": "server_3"}]
    assert len(whole["items"]) == 2, "the document itself stays as it is"


def test_requests_that_wait_are_listed_without_what_may_be_secret() -> None:
    asked = {"kind": "start", "instances": ["scen2_srv_01/data_processing"], "who": "eve", "at": NOW - 9.0,
             "env": ["KEY=hidden"], "arg": ["--hidden"], "from": "console_1"}  # fmt: skip
    state = {**two_running(), "requests": {"5f0c": asked}}
    found = document(state, seen("server_1", ("scen2_srv_01", 4)), monitor=monitor())
    [request] = found["requests"]
    assert (request["id"], request["kind"], request["who"]) == ("5f0c", "start", "eve")
    assert request["says"].startswith("start of scen2_srv_01/data_processing, asked for by eve at ")
    assert "hidden" not in str(found)
    assert "waits for its turn [5f0c]" in status_text.render_table(found, 200)
    assert status_part.part(found, not_normal=True)["requests"] == []
