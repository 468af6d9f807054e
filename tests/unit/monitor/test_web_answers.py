# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page and other clients get of the API besides documents: compressed answers, names, parts of curves."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from monitor.core.model import site as site_model
from monitor.core.report.status import labels
from monitor.web.app import SECRETS
from monitor.web.doors.caller import ACT, LOOK, Caller, named
from monitor.web.doors.compression import LARGE, Compression, accepts
from monitor.web.history import History

TEXT = b'{"items": "' + b"scen2_srv_01 " * 400 + b'"}'
Json = dict[str, Any]


def answered(
    path: str, body: bytes, coding: str = "gzip, br", kind: bytes = b"application/json", parts: int = 1
) -> Json:
    """What a caller gets: {body, headers}."""
    sent: list[Json] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in reversed(range(parts)):
            await send({"type": "http.response.body", "body": body, "more_body": left > 0})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [(b"accept-encoding", coding.encode())]}

    async def twice() -> None:
        wrapped = Compression(application, SECRETS)
        await wrapped(scope, None, send)  # type: ignore[arg-type]
        await wrapped(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(twice())
    half = len(sent) // 2
    assert sent[:half] == sent[half:], "the second answer is the same"
    return {"headers": dict(sent[0]["headers"]), "body": b"".join(m.get("body", b"") for m in sent[1:half])}


@pytest.mark.parametrize("body", [TEXT, TEXT * (LARGE // len(TEXT) + 1)])
def test_an_answer_is_compressed_for_who_takes_that(body: bytes) -> None:
    got = answered("/api/v1/status", body)
    assert got["headers"][b"content-encoding"] == b"gzip"
    assert int(got["headers"][b"content-length"]) == len(got["body"]) < len(body) / 10
    assert gzip.decompress(got["body"]) == body
    plain = answered("/api/v1/status", body, coding="br")
    assert plain["body"] == body and b"content-encoding" not in plain["headers"]


@pytest.mark.parametrize("path", ["/api/v1/logs/02", "/api/v1/last-words/7", "/api/v1/why/scen2_srv_01"])
def test_what_may_hold_secrets_is_never_compressed(path: str) -> None:
    assert answered(path, TEXT)["body"] == TEXT


def test_streams_small_answers_and_pictures_stay_as_they_are() -> None:
    cases = ((b"text/event-stream", TEXT, 3), (b"application/json", b"{}", 1), (b"image/png", TEXT, 1))
    for kind, body, parts in cases:
        got = answered("/api/v1/status", body, kind=kind, parts=parts)
        assert got["body"] == body * parts and b"content-encoding" not in got["headers"]


@pytest.mark.parametrize(
    ("coding", "taken"), [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False),
                          ("*, gzip;q=0", False), ("*;q=0, gzip", True)]
)
def test_the_caller_says_what_it_takes(coding: str, taken: bool) -> None:
    assert accepts({"headers": [(b"accept-encoding", coding.encode())]}) == taken


@pytest.mark.parametrize(
    ("person", "who"),
    [
        ("", "ops"), ("Eve", "ops (Eve)"), ("J%C3%BCrgen", "ops (Jürgen)"), ("a%0Ab%1b", "ops (ab)"), ("  ", "ops"),
        ("x) root (y", "ops (x root y)"), ("E" * 300, "ops (%s)" % ("E" * 60)),
    ],
)  # fmt: skip
def test_a_person_s_name_stands_beside_the_account_never_instead_of_it(person: str, who: str) -> None:
    caller = Caller("ops", "console_1", "console_1", "", (LOOK, ACT))
    assert named(caller, person).who == who
    assert named(caller, person).may == caller.may


def test_curves_are_given_in_part(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl", apart=1.0)
    for at in range(100):
        history.add(dict.fromkeys(("server_1", "server_2"), (1000.0 + at, 1.0, 2.0, 3.0, 4.0)))
    assert set(history.to_json()["hosts"]) == {"server_1", "server_2"}
    part = history.to_json(["server_1", "server_9"], 10)["hosts"]
    assert list(part) == ["server_1"]
    times = [point[0] for point in part["server_1"]]
    assert len(times) == 10 and times[0] == 1000.0 and times[-1] == 1099.0
    assert times == sorted(times)


def test_an_item_has_the_labels_that_its_site_gives_it() -> None:
    item = site_model.Item("02", 2, {"name": "Antenna 2", "area": "", "kind": 7, "other": "x"})
    assert labels(item) == {"name": "Antenna 2"}
