# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about alarms and the past, and the stream with changes, of a monitor that only watches a dead site."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import publish, put_back
from monitor.core.controller.alarm_calls import Book
from monitor.core.controller.places import SITE_FILE
from monitor.web.changes import applied
from tests.integration.api_client import Client, fits
from tests.integration.monitor.served_monitor import Told, folder, get, monitor, play, web_here  # noqa: F401
from tests.integration.probes.real_buses import until

Json = dict[str, Any]
DOWN = {"state": "down", "incarnation": "", "since": 1.0, "evidence": "no power", "by": "eve"}


def commit(where: Path, kind: str, records: Json, trail: Sequence[Json] = ()) -> int:
    """As a run does: into the ledger, and published. :return: the revision."""
    document = publish.read_published(str(where), SITE_FILE)["site"]
    with controller_ledger.Ledger(str(where / "ledger.db")) as ledger:
        _state, revision = ledger.read()
        ledger.commit(revision, {kind: records}, list(trail))
        state, revision = ledger.read()
    publish.publish(str(where), document, state, revision, {}, {})
    return revision


def look(where: Path, document: Json) -> None:
    """As the monitor does beside its hooks, which this one has not."""
    Book(str(where)).look(document, {})


def test_every_route_about_alarms_answers_as_promised(folder: Path) -> None:
    async def scene() -> None:
        async with monitor(folder, Told(), web_here):
            look(folder, (await get(folder, "/api/v1/status")).json)
            commit(folder, "hosts", {"server_2": DOWN})
            status = (await get(folder, "/api/v1/status")).json
            look(folder, status)
            answers = {}
            for name, path in (
                ("alarms", "/alarms"), ("alarms_text", "/alarms.txt"), ("past", "/past?item=01&limit=5"),
                ("past", "/past?host=server_2&what=host&since=1h"), ("availability", "/availability?since=1h"),
                ("handover", "/handover?since=06:00"), ("handover_text", "/handover.txt"),
            ):  # fmt: skip
                answers[path] = await get(folder, "/api/v1" + path)
                assert answers[path].status == 200, answers[path].body
                fits(answers[path], name)
            [alarm] = [a for a in answers["/alarms"].json["alarms"] if a["kind"] == "host"]
            assert (alarm["id"], alarm["says"], alarm["priority"]) == ("host:server_2", "server_2 is down", "medium")
            assert b"server_2 is down  [host:server_2]" in answers["/alarms.txt"].body
            [change] = answers["/past?host=server_2&what=host&since=1h"].json["past"]
            assert (change["before"], change["after"]) == ("up", "down")
            table = await get(folder, "/api/v1/availability?form=csv")
            assert table.headers["content-type"].startswith("text/csv") and table.body.startswith(b"item,available")
            for path, says in (
                ("/past?since=25:00", "25:00 is not a time"), ("/past?what=items", "did you mean item?"),
                ("/availability?form=xls", "form"), ("/handover?sinc=1h", "did you mean since?"),
                ("/past?item=" + 501 * "a", "item"),
            ):  # fmt: skip
                wrong = await get(folder, "/api/v1" + path)
                assert (wrong.status, says in wrong.json["error"]) == (422, True), wrong.body

    play(scene)


def test_who_asks_for_the_past_of_what_never_was_hears_that(folder: Path) -> None:
    async def scene() -> None:
        async with monitor(folder, Told(), web_here):
            for path, says in (
                ("/past?item=1", "there is no item 1 in this site, and nothing of it in that time"),
                ("/story?host=server2", "there is no host server2 in this site, and nothing of it in that time; did you"
                                        " mean server_2?"),
                ("/history?host=server_9", "there is no host server_9"),
                ("/events?instance=nosuch", "there is no instance nosuch"),
                ("/last-words?instance=nosuch", "there is no instance nosuch"),
            ):  # fmt: skip
                wrong = await get(folder, "/api/v1" + path)
                assert (wrong.status, wrong.json["error"].startswith(says)) == (404, True), wrong.body
            quiet = await get(folder, "/api/v1/past?item=01&until=2020-01-31 14:00".replace(" ", "%20"))
            assert (quiet.status, quiet.json["past"]) == (200, [])

    play(scene)


def test_a_stream_with_changes_tells_what_differs_and_the_alarms(folder: Path) -> None:
    events: list[tuple[str, Any]] = []
    over = threading.Event()

    def read() -> None:
        client = Client(folder / "run" / "api.sock")
        for event, _ident, data in itertools.takewhile(lambda _e: not over.is_set(), client.stream(
                "/events/stream?changes=1")):  # fmt: skip
            if event in ("status", "change", "alarms"):
                events.append((event, data))

    async def scene() -> None:
        async with monitor(folder, Told(), web_here):
            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            await until(lambda: any(event == "status" for event, _data in events), "the whole status comes first")
            commit(folder, "hosts", {"server_2": DOWN})
            await until(lambda: any(event == "change" and data["hosts"] for event, data in events), "a change")
            document = (await get(folder, "/api/v1/status")).json
            look(folder, document)
            await until(lambda: any(event == "alarms" and data["alarms"] for event, data in events), "the alarms")
            over.set()

    play(scene)
    shown = [data for event, data in events if event == "status"]
    assert len(shown) == 1
    document = shown[0]
    for event, data in events:
        if event == "change":
            assert data["of"] == document["at"]
            document = applied(document, data)
    assert [host["state"] for host in document["hosts"] if host["host"] == "server_2"] == ["down"]


def test_an_open_stream_goes_on_when_a_backup_of_the_ledger_is_put_back(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    over = threading.Event()

    def read() -> None:
        client = Client(folder / "run" / "api.sock")
        for event, _ident, data in itertools.takewhile(lambda _e: not over.is_set(), client.stream("/events/stream")):
            if event == "trail":
                told.append(data["what"])

    def copy(source: Path, target: Path) -> None:
        with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
            one.backup(other)

    async def scene() -> None:
        async with monitor(folder, Told(), web_here):
            threading.Thread(target=read, daemon=True).start()
            while not told:
                note(folder, "the first")
                await asyncio.sleep(0.1)
            copy(folder / "ledger.db", tmp_path / "backup.db")
            for number in range(5):
                published = note(folder, "lost %d" % number)
            await until(lambda: "lost 4" in told, "what is lost later")
            copy(tmp_path / "backup.db", folder / "ledger.db")
            with controller_ledger.Ledger(str(folder / "ledger.db")) as ledger:
                put_back.put_back(ledger, "controller", ledger.read()[1], published)
            note(folder, "after it")
            await until(lambda: "after it" in told, "what came after the backup was put back")
            over.set()

    play(scene)


def note(where: Path, what: str) -> int:
    """An entry of the trail. :return: the revision with which it was published."""
    entry = {"at": time.time(), "who": "eve", "from": "here", "what": what, "why": "", "result": ""}
    return commit(where, "hosts", {}, [entry])
