# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people say about alarms, and what one shift tells the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.core.alarms import handover
from monitor.core.alarms.life import Marks
from monitor.core.alarms.view import alarm_document
from monitor.core.controller import alarm_calls, trail_search
from monitor.core.plan.plan import make_plan
from monitor.core.report import status
from tests import scenario_form

Json = dict[str, Any]
NOW = scenario_form.NOW
ALARMS = [
    {"id": "item:02", "kind": "bus", "items": ["02"], "acknowledged": False},
    {"id": "host:server_1", "kind": "host", "items": [], "acknowledged": True},
]
FAILURE = {"failure:scen2_srv_02:server_2": {
    "what": "failure", "instance": "scen2_srv_02", "hosts": ["server_2"], "at": NOW - 9, "why": "x", "count": 1,
    "run": "1"}}  # fmt: skip


def asked(kind: str, notices: Json | None = None, **request: Any) -> Any:
    given = scenario_form.based({"base": "three_running", "ledger": {"notices": notices or {}}})
    site, state = scenario_form.build_site(given), scenario_form.build_state(given)
    seen = scenario_form.build_observations(given, site)
    body = {"kind": kind, "who": "eve", "from": "console_1", "why": "a test", "alarms": ALARMS, **request}
    return make_plan(site, state, 7, seen, body, NOW, "42", dict.fromkeys(site.by_name(), "d"), None)


def refusals(plan: Any) -> list[str]:
    return [action.reason for action in plan.actions if action.kind == "refuse"]


def test_an_acknowledged_alarm_is_marked_and_its_failures_are_seen_with_it() -> None:
    changes = asked("acknowledge", FAILURE, ids=["item:02"]).changes["notices"]
    assert changes["failure:scen2_srv_02:server_2"] is None
    assert changes["alarm:item:02"] == {
        "what": "alarm", "about": "item:02", "by": "eve", "why": "a test", "at": NOW}  # fmt: skip


def test_acknowledging_a_failure_acknowledges_the_alarm_of_its_item() -> None:
    changes = asked("acknowledge", FAILURE, ids=["failure:scen2_srv_02:server_2"]).changes["notices"]
    assert set(changes) == {"failure:scen2_srv_02:server_2", "alarm:item:02"}


def test_all_means_what_nobody_has_acknowledged_yet() -> None:
    assert set(asked("acknowledge", all=True).changes["notices"]) == {"alarm:item:02"}


def test_what_came_after_a_person_asked_stays_as_it_is() -> None:
    """The run that carries it out may begin much later: nobody has seen what came meanwhile."""
    new = {"id": "item:03", "kind": "bus", "items": ["03"], "acknowledged": False, "noticed": NOW - 5}
    alarms = [{**ALARMS[0], "noticed": NOW - 20}, new]
    [(key, mark)] = asked("acknowledge", all=True, alarms=alarms, asked=NOW - 10).changes["notices"].items()
    assert (key, mark["at"]) == ("alarm:item:02", NOW - 10)
    plan = asked("acknowledge", ids=["item:03"], alarms=alarms, asked=NOW - 10)
    assert refusals(plan) == ["item:03 came after you asked for that: look at it first"]


def test_shelves_end_marks_of_what_is_over_go_and_both_are_swept() -> None:
    old = {
        "shelf:item:03": {"what": "shelf", "about": "item:03", "by": "eve", "at": NOW - 90, "until": NOW - 1},
        "alarm:item:01": {"what": "alarm", "about": "item:01", "by": "eve", "at": NOW - 90000},
        "alarm:host:server_1": {"what": "alarm", "about": "host:server_1", "by": "eve", "at": NOW - 90000},
    }  # fmt: skip
    changes = asked("shelve", old, ids=["02", "drift"], until="30min").changes["notices"]
    assert changes["shelf:item:02"]["until"] == changes["shelf:drift"]["until"] == NOW + 1800
    assert changes["shelf:item:03"] is None and changes["alarm:item:01"] is None
    assert "alarm:host:server_1" not in changes, "it still stands"
    unshelved = asked("unshelve", {"shelf:item:02": changes["shelf:item:02"]}, ids=["02"]).changes["notices"]
    assert unshelved == {"shelf:item:02": None}


@pytest.mark.parametrize(("kind", "request_", "why"), [
    ("acknowledge", {"ids": ["item:03"]}, "there is nothing called item:03 to acknowledge"),
    ("acknowledge", {}, "say what to acknowledge: an id that muster alarms shows, for example item:02"),
    ("shelve", {"ids": ["drft"], "until": "30min"}, "drft is no alarm, item or kind of alarm; did you mean drift?"),
    ("shelve", {"ids": ["02"], "until": "25:00"}, "25:00 is not a time"),
    ("shelve", {"ids": ["02"]}, "nothing is shelved for good"),
    ("unshelve", {"ids": ["02"]}, "02 is not shelved"),
    ("drill_begin", {"ids": ["server_9"], "until": "2h"}, "server_9 is no host or item of this site"),
    ("drill_begin", {"ids": ["server_2"], "until": "2h", "why": ""}, "a drill needs its end (--until WHEN) and a reas"),
    ("drill_begin", {"ids": ["server_2"]}, "a drill needs its end (--until WHEN) and a reason"),
    ("drill_begin", {"ids": ["server_2"], "until": "25:00"}, "25:00 is not a time"),
    ("drill_end", {"ids": ["server_2"]}, "there is no drill on server_2"),
    ("note", {"item": "77"}, "there is no item 77 in this site"),
    ("note", {"item": "02", "why": ""}, "a note needs its text"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(kind: str, request_: Json, why: str) -> None:
    [said] = refusals(asked(kind, **request_))
    assert why in said


def drill(about: str, **more: Any) -> Json:
    return {"what": "drill", "about": about, "by": "eve", "why": "power", "at": NOW - 60, "until": NOW + 60, **more}


def test_a_drill_is_about_hosts_and_items_ends_and_can_be_made_longer() -> None:
    old = {"drill:host:server_2": drill("host:server_2"), "drill:item:01": drill("item:01", until=NOW - 1)}
    plan = asked("drill_begin", old, ids=["server_2", "03", "host:server_3"], until="30min")
    changes = plan.changes["notices"]
    assert changes["drill:host:server_2"] == drill("host:server_2", why="a test", until=NOW + 1800), "it began before"
    assert (changes["drill:item:03"]["at"], changes["drill:host:server_3"]["at"]) == (NOW, NOW)
    assert changes["drill:item:01"] is None, "it is over"
    assert [entry["what"] for entry in plan.trail][-1].startswith("drill on server_3 by eve until")


def test_a_drill_ends_when_a_person_says_so() -> None:
    old = {"drill:host:server_2": drill("host:server_2"), "drill:item:03": drill("item:03")}
    assert asked("drill_end", old, ids=["server_2"]).changes["notices"] == {"drill:host:server_2": None}
    assert asked("drill_end", old, ids=["item:03"]).changes["notices"] == {"drill:item:03": None}
    assert asked("drill_end", old, all=True).changes["notices"] == dict.fromkeys(old)
    assert not refusals(asked("drill_end", {}, all=True))


def test_the_hand_over_has_what_is_not_normal_what_is_held_back_what_people_did_and_their_notes() -> None:
    plan = asked("note", item="02", why="watch the fan")
    [note] = [entry for entry in plan.trail if entry["result"] == "note"]
    ill = {"scen2_srv_01": {"epoch": 1, "without": ["data_processing"]}}
    given = scenario_form.based({"base": "three_running", "ledger": {"pauses": {"item/03": {"why": "new fan"}}},
                                 "seen": {"server_1": {"instances": ill}}})  # fmt: skip
    site = scenario_form.build_site(given)
    seen = scenario_form.build_observations(given, site)
    document = status.status_document(site, scenario_form.build_state(given), 7, seen, {}, NOW)
    marks = Marks.of([{"what": "shelf", "about": "drift", "by": "eve", "at": NOW, "until": NOW + 60},
                      drill("host:server_2")])  # fmt: skip
    trail = [
        {"at": NOW - 60, "who": "monitor", "what": "run 3 begins", "why": "", "result": ""},
        {"at": NOW - 50, "who": "eve", "what": "run 4 (restart) begins: restart x", "why": "", "result": ""},
        {"at": NOW - 40, "who": "eve", "what": "scen2_srv_01 runs on server_1", "why": "a try", "result": "running"},
        note,
    ]  # fmt: skip
    found = handover.handover(document, alarm_document({}, marks, NOW), [], trail, NOW - 3600)
    assert [item["item"] for item in found["items"]] == ["01"]
    assert [entry["what"] for entry in found["requests"]] == ["scen2_srv_01 runs on server_1"]
    assert [(entry["what"], entry["why"]) for entry in found["notes"]] == [("note about item 02", "watch the fan")]
    text = "\n".join(handover.lines(found))
    for words in ("item 01: not operational", "item 03 is paused by eve (new fan)", "alarms about drift are shelved",
                  "drill on server_2 by eve until", "outages\n  nothing",
                  "eve: note about item 02: watch the fan"):  # fmt: skip
        assert words in text


def test_the_hand_over_has_notes_from_before_a_long_night_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    trail = [{"id": n, "at": NOW - 3600 + n, "who": "eve", "what": "request %d" % n, "result": ""}
             for n in range(1, 3001)]  # fmt: skip
    trail[0].update(what="note about item 02", why="watch the fan", result="note")

    def read(after: int | None, limit: int) -> list[Json]:
        found = [entry for entry in trail if after is None or entry["id"] > after]
        return found[:limit] if after is not None else found[-limit:]

    document = {"at": NOW, "site": "s", "items": [], "hosts": [], "monitor": {"state": "running"},
                "instances": {"scen2_srv_02": {"wanted": {"without": {"data_processing": "was stopped by eve"}},
                                               "given": {"sensor": "1 more argument, given by eve"}}}}  # fmt: skip
    found = alarm_calls.handed_over(
        str(tmp_path), document, lambda at: trail_search.since(read, at), {"since": NOW - 3600})
    assert [note["why"] for note in found["notes"]] == ["watch the fan"]
    first, *kept = found["requests"]
    assert first["what"].startswith("2940 more before") and len(kept) == 59
    assert found["held"] == ["data_processing of scen2_srv_02 was stopped by eve",
                             "sensor of scen2_srv_02 runs with 1 more argument, given by eve"]  # fmt: skip
