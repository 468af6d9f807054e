# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The past: entries of what changed, what they say of availability, and the file that keeps them."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.alarms import past
from monitor.core.alarms.availability import availability
from monitor.core.alarms.rates import rates
from monitor.core.controller import alarm_calls
from monitor.core.controller.past import PAST_FILE, Past, PastError
from monitor.core.model.sentences import span

NOW = 1_700_000_000.0
Json = dict[str, Any]


def document(at: float, verdict: str = "operational", host: str = "up") -> Json:
    return {
        "at": NOW + at,
        "items": [{"item": "01", "verdict": verdict, "cause": "a cause" if verdict != "operational" else ""}],
        "hosts": [{"host": "server_1", "state": host, "evidence": ""}],
    }


def told(*documents: Json) -> list[Json]:
    known: Json = {}
    entries: list[Json] = []
    for one in documents:
        known, new = past.changed(one, json.loads(json.dumps(known)))
        entries += new
    return entries


def test_a_change_says_from_what_to_what_why_and_how_long_it_was_so() -> None:
    [out, back] = told(document(0), document(5), document(10, "not operational"), document(17))
    assert (out["before"], out["after"], out["why"], out["lasted"]) == ("operational", "not operational", "a cause", 10)
    assert (back["before"], back["after"], back["lasted"]) == ("not operational", "operational", 7)


def test_what_is_new_has_no_entry_and_what_nobody_watched_has_one() -> None:
    assert told(document(0, "not operational")) == []
    [gap, change] = told(document(0), document(100, host="down"))
    assert (gap["what"], gap["lasted"]) == ("monitor", 100)
    assert (change["what"], change["subject"], change["after"]) == ("host", "server_1", "down")


def test_a_monitor_that_says_that_it_watches_leaves_no_gap() -> None:
    known, _none = past.changed(document(0), {})
    assert past.changed(document(100), known, NOW + 90)[1] == []


@pytest.mark.parametrize(("seconds", "text"), [
    (7.25, "7.2 s"), (42, "42 s"), (252, "4 min 12 s"), (11100, "3 h 5 min"), (200000, "2 days 7 h")])  # fmt: skip
def test_how_long(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_availability_counts_outages_and_leaves_out_what_was_stopped_or_not_watched() -> None:
    known: Json = {}
    entries: list[Json] = []
    for at, verdict in ((0, "operational"), (100, "not operational"), (110, "waiting"), (120, "operational"),
                        (200, "stopped"), (220, "degraded")):  # fmt: skip
        known, new = past.changed(document(at, verdict), known, NOW + at - 1)
        entries += new
    [row] = availability(["01"], known["item"], entries, NOW, NOW + 240)
    assert row["pieces"][0] == [NOW, NOW + 100, "operational"]
    assert (row["out"], row["outages"], row["longest"], row["stopped"]) == (20, 1, 20, 20)
    assert row["available"] == round(100 * 200 / 220, 3)


def test_an_item_without_a_change_was_always_what_it_is() -> None:
    known, _none = past.changed(document(0), {})
    [row] = availability(["01"], known["item"], [], NOW - 100, NOW + 100)
    assert (row["available"], row["operational"], row["unseen"], row["outages"]) == (100.0, 100, 100, 0)
    [unknown] = availability(["02"], known["item"], [], NOW - 100, NOW + 100)
    assert unknown["available"] is None


def test_time_in_which_nobody_watched_is_cut_out() -> None:
    known, entries = past.changed(document(0), {})
    known, entries = past.changed(document(100, "degraded"), known)
    [row] = availability(["01"], known["item"], entries, NOW, NOW + 120)
    assert (row["unseen"], row["degraded"], row["operational"]) == (100, 20, 0)


def test_time_in_which_an_item_was_not_in_the_site_is_no_outage() -> None:
    known: Json = {}
    entries: list[Json] = []
    away = {**document(20), "items": []}
    for one in (document(0), document(10, "not operational"), away, document(50), document(60)):
        known, new = past.changed(one, known, NOW + 59)
        entries += new
    assert [(e["before"], e["after"]) for e in entries][1:] == [("not operational", "not in the site")]
    [row] = availability(["01"], known["item"], entries, NOW, NOW + 100)
    assert (row["out"], row["outages"], row["unseen"], row["operational"]) == (10, 1, 30, 60)
    [older] = availability(["01"], known["item"], entries[:1], NOW, NOW + 100)
    assert (older["out"], older["operational"]) == (0, 60), "when it left was not written down then"


def test_while_the_monitor_is_gone_nobody_knows_how_available_anything_is(tmp_path: Path) -> None:
    began = time.time() - 1000
    known, _none = past.changed({**document(0), "at": began}, {})
    with Past(str(tmp_path), write=True) as store:
        store.remember({alarm_calls.VERDICTS: known, alarm_calls.WATCHED: {"at": began + 100}}, [])
    [row] = alarm_calls.available(str(tmp_path), {"since": began}, ["01"])["items"]
    assert row["operational"] == 100 and row["unseen"] == pytest.approx(900, abs=5)


def test_nothing_lasts_less_than_no_time_when_the_clock_is_set_back() -> None:
    assert [entry["lasted"] for entry in told(document(0), document(-3600, "degraded"))] == [0]


def test_the_file_keeps_entries_and_answers_by_item_person_word_and_time(tmp_path: Path) -> None:
    with Past(str(tmp_path), write=True) as store:
        store.remember({"alarms": {"a": 1}}, [
            {"at": NOW, "what": "item", "subject": "01", "why": "50% _of_ it", "items": ["01"]},
            {"at": NOW + 1, "what": "alarm", "subject": "host:server_1", "hosts": ["server_1"], "who": "eve"},
        ])  # fmt: skip
    assert stat.S_IMODE((tmp_path / PAST_FILE).stat().st_mode) == 0o600
    with Past(str(tmp_path)) as store:
        assert store.known("alarms") == {"a": 1}
        assert [e["subject"] for e in store.changes(item="01")] == ["01"]
        assert [e["subject"] for e in store.changes(host="server_1")] == ["host:server_1"]
        assert [e["subject"] for e in store.changes(person="eve")] == ["host:server_1"]
        assert [e["subject"] for e in store.changes(word="50% _of_")] == ["01"]
        assert store.changes(word="50%x_of_") == []
        assert [e["id"] for e in store.changes(after=1)] == [2]
        assert [e["id"] for e in store.changes(since=NOW + 1, until=NOW + 2)] == [2]
        assert store.last() == 2


def test_a_word_is_looked_for_in_texts_only_and_in_all_of_them(tmp_path: Path) -> None:
    with Past(str(tmp_path), write=True) as store:
        store.remember({}, [
            {"at": NOW, "what": "item", "subject": "01", "why": 'it said "no\\ROOM" there', "items": ["01", "Käfig"]},
            {"at": NOW + 1, "what": "alarm", "subject": "host:a", "why": "", "hosts": ["a"], "who": "ops (ÉVA)"},
        ])  # fmt: skip
        found = {word: [e["id"] for e in store.changes(word=word)] for word in (
            "lasted", "hosts", "why", 'SAID "no', "no\\room", "KÄFIG", "éva", "item")}  # fmt: skip
        assert [e["id"] for e in store.changes(person="éva")] == [2]
    assert found == {"lasted": [], "hosts": [], "why": [], 'SAID "no': [1], "no\\room": [1], "KÄFIG": [1], "éva": [2],
                     "item": [1]}  # fmt: skip


def test_without_a_file_the_past_is_empty_and_one_that_is_none_is_said(tmp_path: Path) -> None:
    with Past(str(tmp_path)) as store:
        assert (store.known("alarms"), store.changes(), store.last()) == ({}, [], 0)
    (tmp_path / PAST_FILE).parent.mkdir()
    (tmp_path / PAST_FILE).write_text("no database, but long enough to be taken for one" * 40)
    with Past(str(tmp_path)) as store, pytest.raises(PastError, match="cannot be used"):
        store.changes()


def test_a_damaged_past_is_set_aside_and_alarms_are_judged_on(tmp_path: Path) -> None:
    book, path = alarm_calls.Book(str(tmp_path)), tmp_path / PAST_FILE
    status = {**document(0), "monitor": {}, "instances": {}, "marks": []}
    status["hosts"] = [{"host": "server_1", "state": "down", "evidence": "", "answer": "seen", "load": {}}]
    first = book.look(status, {})["last"]
    for garbage in (b"no database at all, but long enough for one" * 100, path.read_bytes()[:5000]):
        path.with_name(path.name + "-wal").unlink(missing_ok=True)
        path.write_bytes(garbage)
        with pytest.raises(PastError, match=r"kept as past\.db\.unreadable, and a new one begins"):
            book.look(status, {})
        answer = book.look(status, {})
        assert [alarm["id"] for alarm in answer["alarms"]["alarms"]] == ["host:server_1"]
        assert path.with_name(path.name + ".unreadable").exists()
        status["hosts"][0]["state"] = {"down": "up", "up": "down"}[status["hosts"][0]["state"]]
        book.look(status, {})
        with Past(str(tmp_path)) as store:
            assert store.last() > first + 1000, "ids only grow"


def test_nonsense_that_was_remembered_is_as_nothing(tmp_path: Path) -> None:
    with Past(str(tmp_path), write=True) as store:
        store.remember({"alarms": {}}, [])
        store._opened().execute("UPDATE known SET value = '[1'")
        assert store.known("alarms") == {}


def test_old_entries_are_forgotten_but_for_the_newest(tmp_path: Path) -> None:
    with Past(str(tmp_path), write=True) as store:
        store.remember({}, [{"at": NOW + n, "what": "item", "subject": "01"} for n in range(1500)])
        assert store.forget(NOW + 1000) == 500
        assert store.forget(NOW + 5000) == 0, "a clock that runs ahead must not empty it"


def test_a_table_for_spreadsheets() -> None:
    [head, line] = alarm_calls.table([
        {"item": "0,1", "available": None, "operational": 1.5, "degraded": 0, "out": 0, "stopped": 0, "unseen": 0,
         "outages": 0, "longest": 0, "pieces": []}]).splitlines()  # fmt: skip
    assert head.startswith("item,available,operational")
    assert line == '"0,1",,1.5,0,0,0,0,0,0'


def test_rates_stand_beside_their_limits() -> None:
    raised = [NOW - 4000 + n for n in range(12)] + [NOW - 60]
    found = rates(raised, 10, 1, NOW, NOW - 6000)
    assert found["peak"] == {"value": 12, "limit": 10, "ok": False}
    assert (found["lately"]["value"], found["average"]["value"]) == (1, 1.3)
    assert [name for name, figure in found.items() if not figure["ok"]] == [
        "average", "peak", "standing", "chattering"]  # fmt: skip
