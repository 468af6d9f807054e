# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of single alarms, the site's rules about them, and the list that people read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from monitor.core.alarms import reasons, view
from monitor.core.alarms.life import Marks, Standing, step
from monitor.core.alarms.picture import Condition, Memory, Picture
from monitor.core.alarms.rules import ruled
from monitor.core.model.alarm import KINDS, Rule
from monitor.core.report import shown
from monitor.tell import alarm_hooks

NOW = 1_700_000_000.0  # 22:13:20 UTC
TROUBLE = Condition("item:01", "item", "medium", "01 is not well", after=0.0, items=("01",), past="01 was not well")


def mark(at: float, about: str = "item:01", **more: Any) -> Marks:
    return Marks.of([{"what": "alarm", "about": about, "by": "eve", "why": "", "at": NOW + at, **more}])


def states(standing: Standing) -> list[str]:
    return [state for state, _since in standing.states.values()]


def test_an_acknowledgement_is_about_what_was_there_then() -> None:
    standing = Standing()
    step(standing, [TROUBLE], Marks(), (), NOW)
    step(standing, [TROUBLE], mark(5), (), NOW + 5)
    assert states(standing) == ["acknowledged"]
    step(standing, [], mark(5), (), NOW + 20)
    assert standing.alarms == {}, "it leaves the list with its cause"
    step(standing, [TROUBLE], mark(5), (), NOW + 700)
    assert states(standing) == ["unacknowledged"], "the next time is another one"


def test_what_lasts_less_than_its_delay_is_no_alarm() -> None:
    standing = Standing()
    slow = Condition("n-1:site", "n-1", "medium", "N-1 not met")
    assert step(standing, [slow], Marks(), (), NOW) == []
    assert step(standing, [slow], Marks(), (), NOW + KINDS["n-1"].after - 1) == []
    step(standing, [], Marks(), (), NOW + KINDS["n-1"].after)
    assert step(standing, [slow], Marks(), (), NOW + KINDS["n-1"].after + 5) == []


def test_a_shelf_covers_an_item_or_a_kind_and_ends() -> None:
    for about in ("item:01", "item"):
        standing = Standing()
        marks = Marks.of([{"what": "shelf", "about": about, "by": "eve", "at": NOW, "until": NOW + 60}])
        step(standing, [TROUBLE], marks, (), NOW)
        assert states(standing) == ["shelved"]
        [change] = step(standing, [TROUBLE], marks, (), NOW + 61)
        assert (change["before"], change["after"], change["lasted"]) == ("shelved", "unacknowledged", 61)


def test_a_rule_about_some_items_does_not_tone_down_what_is_about_others_too() -> None:
    both = Condition("host:server_1", "host", "high", "server_1 is down", items=("01", "02"), hosts=("server_1",))
    rules = (Rule(items=("01",), priority="low"), Rule(kinds=("host",), do="Call the hall."))
    condition, do = ruled(both, rules, NOW)
    assert (condition.priority, do) == ("high", "Call the hall.")
    assert ruled(TROUBLE, rules, NOW)[0].priority == "low"


@pytest.mark.parametrize(("between", "off"), [("22:00-06:00", True), ("06:00-22:00", False), ("22:13-22:14", True)])
def test_a_rule_holds_at_its_time_of_day(between: str, off: bool) -> None:
    assert bool(ruled(TROUBLE, (Rule(between=between, off=True),), NOW)[0].by_design) is off


def test_the_list_has_the_newest_that_nobody_knows_on_top_by_priority() -> None:
    standing = Standing()
    conditions = [
        Condition("drift:x", "drift", "low", "old", NOW - 50), TROUBLE,
        Condition("item:02", "item", "high", "02 is not well", NOW - 9, after=0.0, items=("02",)),
        Condition("item:03", "item", "high", "03 is not well", NOW - 3, after=0.0, items=("03",)),
        Condition("item:04", "item", "high", "04", after=0.0, items=("04",), by_design="item 04 is paused"),
    ]  # fmt: skip
    step(standing, conditions, mark(1, "item:03"), (), NOW)
    document = view.alarm_document(standing.to_json(), mark(1, "item:03"), NOW + 1)
    assert [alarm["id"] for alarm in document["alarms"]] == ["item:02", "item:01", "drift:x", "item:03", "item:04"]
    assert document["counts"]["suppressed"] == 1
    text = "\n".join(view.lines(document, NOW + 1))
    assert "item 04 is paused" not in text and "1 suppressed by design" in text
    assert view.summary(document) == (
        "alarms that nobody has acknowledged: 1 high, 1 medium and 1 low (muster alarms)")  # fmt: skip


def test_a_monitor_that_is_silent_is_an_alarm_of_those_who_read() -> None:
    document = view.alarm_document({}, Marks(), NOW, "monitor is silent")
    assert [(alarm["id"], alarm["priority"]) for alarm in document["alarms"]] == [("monitor:silent", "high")]


def drilled(condition: Condition, began: float = NOW, **drills: float) -> str:
    """What suppresses a condition. :param drills: what is drilled -> until when."""
    memory = Memory(True, held={"01": ["server_1"], "02": ["server_1", "server_2"]})
    items = [{"item": item} for item in ("01", "02", "03", "09")]
    hosts = [{"host": host, "state": "up"} for host in ("server_1", "server_2")]
    document: dict[str, Any] = {"at": NOW, "instances": {}, "items": items, "hosts": hosts, "monitor": {}}
    picture = Picture(document, memory, {}, {condition.key: began})
    known = {about.replace("_", ":", 1): {"by": "eve", "why": "", "at": NOW - 9, "until": NOW + until}
             for about, until in drills.items()}  # fmt: skip
    return reasons.suppressed(picture, condition, known).drill


def test_a_drill_covers_what_it_is_about_and_nothing_else() -> None:
    host = Condition("host:server_1", "host", "high", "it is down", items=("09",), hosts=("server_1",))
    assert drilled(host, host_server_1=60) == "host:server_1"
    assert not drilled(host, host_server_2=60) and not drilled(host, item_09=60)
    assert not drilled(host, NOW - 10, host_server_1=60), "it was there before the drill"
    assert not drilled(host, host_server_1=0), "the drill is over"
    both = replace(host, hosts=("server_1", "server_2"))
    assert not drilled(both, host_server_1=60)
    assert drilled(both, host_server_1=60, host_server_2=30) == "host:server_2", "the one that ends first"


def test_an_item_belongs_to_a_drill_on_the_hosts_where_it_ran_well() -> None:
    assert drilled(TROUBLE, host_server_1=60) == "host:server_1"
    assert drilled(TROUBLE, item_01=60) == "item:01"
    assert not drilled(replace(TROUBLE, key="item:02", items=("02",)), host_server_1=60)
    assert not drilled(replace(TROUBLE, key="item:03", items=("03",)), host_server_1=60), "where is not known"


def test_two_copies_are_an_alarm_in_a_drill_too() -> None:
    copies = Condition("conflict:x", "conflict", "high", "x runs twice", items=("01",), hosts=("server_1",))
    assert not drilled(copies, host_server_1=60, item_01=60)


def test_alarms_of_a_drill_are_apart_in_the_list_and_make_hooks_hear_nothing() -> None:
    marks = Marks.of([{"what": "drill", "about": "item:01", "by": "eve", "why": "fire", "at": NOW, "until": NOW + 60}])
    standing = Standing()
    found = replace(TROUBLE, by_design="drill on item 01", reason="drill", drill="item:01")
    [change] = step(standing, [found], marks, (), NOW)
    assert alarm_hooks.told({**change, "id": 1}, "site") == {} and standing.raised == []
    step(standing, [], marks, (), NOW + 5)
    document = view.alarm_document(standing.to_json(), marks, NOW + 6)
    assert [(a["id"], a["state"], a["reason"]) for a in document["alarms"]] == [("item:01", "suppressed", "drill")]
    text = view.lines(document, NOW + 6)
    assert text[:3] == ["no alarms", "drill on item 01 by eve until 22:14 (fire)",
                        "  medium  22:13:20  01 was not well  [item:01]"]  # fmt: skip
    assert view.summary(document) == ""
    step(standing, [], marks, (), NOW + 61)
    assert standing.alarms == {}, "it goes with its drill"


def test_what_nobody_acknowledged_comes_back_when_its_pause_is_over() -> None:
    standing = Standing()
    step(standing, [TROUBLE], Marks(), (), NOW)
    step(standing, [replace(TROUBLE, by_design="item 01 is paused", reason="paused")], Marks(), (), NOW + 5)
    again = Standing.from_json(json.loads(json.dumps(standing.to_json())))
    step(again, [], Marks(), (), NOW + 9)
    assert states(again) == ["came and went"]
    step(standing, [], mark(8), (), NOW + 9)
    assert standing.alarms == {}, "it was acknowledged meanwhile"


REASON = (
    "scen2_srv_02 waits: server_1 is believed down: the service manager of server_1 is gone (Connection refused); no"
    " bus on server_1 answers any more; server_2 is down; server_3 has no room: 84 of 100 reserved, it needs 42"
)


def test_what_decides_comes_first_and_within_sixty_characters() -> None:
    text = shown.places(REASON)
    assert text.startswith("server_3 is full (needs 42, has 16); server_1 and server_2 are down")
    item = {"verdict": "waiting", "cause": REASON, "services": {"instance": "scen2_srv_02"}}
    entry = {"state": "waiting", "phase": "free", "reason": REASON, "wanted": {"state": "started"}}
    shown.mark(item, {"scen2_srv_02": entry}, NOW)
    assert item["word"] == "no room"
    assert item["short"].startswith("No room: server_3 is full") and len(item["short"]) <= shown.LONGEST


@pytest.mark.parametrize(("entry", "word"), [
    ({"state": "starting"}, "starting"),
    ({"state": "stopping", "target": "server_1"}, "moving"),
    ({"state": "stopping", "target": None}, "stopping"),
    ({"state": "waiting", "phase": "failed", "until": NOW + 60}, "held back until 22:14"),
    ({"state": "waiting", "phase": "running"}, "waiting"),
])  # fmt: skip
def test_what_waiting_means(entry: dict[str, Any], word: str) -> None:
    assert shown.word({"verdict": "waiting"}, entry, NOW) == word


@pytest.mark.parametrize(("why", "phrase"), [
    ("the internal bus of scen2_srv_01 on server_1 crashed: its connection ended", "its data bus crashed"),
    ("the internal bus of scen2_srv_01 ended on server_1", "its data bus crashed"),
    ("the internal bus of scen2_srv_01 on server_1 hangs: it did not answer", "its data bus hung"),
    ("config_manager of scen2_srv_01 ended on server_1: code 3", "config_manager of scen2_srv_01 ended on server_1"),
])  # fmt: skip
def test_a_failure_as_a_phrase(why: str, phrase: str) -> None:
    assert shown.happened(why) == phrase


def test_after_the_clock_was_set_back_alarms_come_in_their_time_and_can_be_acknowledged() -> None:
    standing, early = Standing(), NOW - 3600
    slow = Condition("n-1:site", "n-1", "medium", "N-1 not met", after=30.0)
    step(standing, [TROUBLE, slow], Marks(), (), NOW)
    standing = Standing.from_json(json.loads(json.dumps(standing.to_json())))
    standing.set_back(early)
    assert step(standing, [TROUBLE, slow], Marks(), (), early) == [], "nothing changed"
    step(standing, [TROUBLE, slow], mark(-3590), (), early + 30)
    assert states(standing) == ["acknowledged", "unacknowledged"]


def test_what_somebody_acknowledged_before_the_clock_was_set_back_is_not_what_came_since() -> None:
    standing, early = Standing(), NOW - 3600
    step(standing, [TROUBLE], Marks(), (), NOW - 5)
    step(standing, [TROUBLE], mark(0), (), NOW)
    step(standing, [], mark(0), (), NOW + 1)
    standing.set_back(early)
    step(standing, [TROUBLE], mark(0), (), early)
    assert states(standing) == ["unacknowledged"]
    step(standing, [TROUBLE], mark(0), (), NOW + 2)
    assert states(standing) == ["unacknowledged"], "nor is it, when that time comes again"


def test_the_end_of_an_alarm_says_what_it_was_about_and_who_took_note_of_it() -> None:
    standing = Standing()
    step(standing, [TROUBLE], Marks(), (), NOW)
    step(standing, [], Marks(), (), NOW + 5)
    [over] = step(standing, [], mark(9), (), NOW + 10)
    assert (over["after"], over["items"], over["who"]) == ("over", ["01"], "eve")


def test_a_cause_that_dates_from_before_the_clock_was_set_back_is_an_alarm_at_once_and_only_once() -> None:
    down = replace(TROUBLE, since=NOW, kind="quarantine")
    standing = Standing()
    [change] = step(standing, [down], Marks(), (), NOW - 3600)
    assert (change["after"], standing.alarms["item:01"].raised) == ("unacknowledged", NOW - 3600)
    over, standing = replace(down, over=True), Standing()
    assert len(step(standing, [over], Marks(), (), NOW)) == 1
    standing.set_back(NOW - 3600)
    assert step(standing, [over], Marks(), (), NOW - 3600) + step(standing, [over], Marks(), (), NOW - 3590) == []
