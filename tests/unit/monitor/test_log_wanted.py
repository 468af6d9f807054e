# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request for logs is about, which hosts are asked, and how their answers become one."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest

from monitor.core.model import moments
from monitor.core.requests import log_sources
from monitor.web.logs import answer, wanted
from tests.small_site import small_site

SITE = small_site()
PLACES = {"scen2_srv_01": "server_2"}


def asked(name: str, host: str = "") -> list[tuple[str, str, str]]:
    return [(s.host, s.instance, s.program) for s in log_sources.log_sources(SITE, PLACES, name, host)]


def test_a_name_stands_for_programs_where_they_are() -> None:
    assert asked("scen2_srv_01/data_*") == [("server_2", "scen2_srv_01", "data_processing")]
    assert {host for host, instance, _program in asked("01") if instance == "scen2_srv_01"} == {"server_2"}
    assert {host for host, _instance, _program in asked("scen2_srv_02/data_processing")} == {
        "server_1", "server_2", "server_3"}, "nothing holds it: each host may have had it"  # fmt: skip
    assert asked("common_data_bus_server_3") == [("server_3", "", "common_data_bus")]
    assert asked("common_data_bus", "server_2") == [("server_2", "", "common_data_bus")]
    assert ("server_1", "", "supervisord") in asked("server_1")
    assert asked("monitor") == [("controller", "", "monitor")]


@pytest.mark.parametrize(
    ("name", "host", "words"),
    [
        ("scen2_srv_1", "", "did you mean scen2_srv_01"), ("01/data_procesing", "", "did you mean data_processing?"),
        ("scen2_srv_01", "server_1", "it is asked for on server_2"), ("", "", "there is no instance"),
    ],
)  # fmt: skip
def test_what_has_no_log_is_refused(name: str, host: str, words: str) -> None:
    with pytest.raises(log_sources.NoLogs, match=words.replace("?", r"\?")):
        asked(name, host)


def test_moments_that_are_over_are_read() -> None:
    now = time.mktime((2030, 1, 31, 14, 0, 0, 0, 0, -1))
    assert moments.past("10m", now) == now - 600
    assert moments.past("13:30", now) == now - 1800
    assert moments.past("15:00", now) == now - 23 * 3600
    assert moments.past("2030-01-31 12:00", now) == now - 7200
    with pytest.raises(ValueError, match="yesterday is not a time"):
        moments.past("yesterday", now)


def test_cursors_travel_as_ids_and_nonsense_is_none() -> None:
    cursors = {"server_1": {"f": {"0": [12, 34]}}, "server_2": {"j": "s=1;i=2"}}
    assert wanted.decoded(wanted.encoded(cursors)) == cursors
    for text in ("", "x", "é", "W10", "A" * 20000):
        assert wanted.decoded(text) == {}
    for odd in (b'{"a": 1}', b'{"a": "ab"}', b'{"a": {"f": {"0": [1e999, 1]}}}', b'{"a": {"f": {"0": {"x": 1}}}}',
                b'{"a": {"f": [1]}}', b'{"a": {"f": {"0": [1, -1]}}}', b'{"a": {"f": {"0": [1]}}}', b'{"a": {"j": 1}}',
                b'{"a": {"f": {"0": [true, 1]}}}', b'{"a": {"x": {}}}', b'{"a": ' + b"[" * 9000):  # fmt: skip
        assert wanted.decoded(base64.urlsafe_b64encode(odd).decode()) == {}, odd[:60]
    found, problems = wanted.read(SITE, PLACES, "01", {"since": "never", "until": "x"}, "nonsense")
    assert found is None and [problem["field"] for problem in problems] == ["since", "until", "Last-Event-ID"]


def test_answers_of_hosts_are_merged_and_a_silent_one_is_named(monkeypatch: Any) -> None:
    monkeypatch.setattr(answer, "WITHIN_SECONDS", 0.2)
    found, _problems = wanted.read(SITE, PLACES, "common_data_bus", {})
    assert found is not None

    def open_(host: str, request: Any, take: Any) -> Any:
        if host == "server_1":
            take({"lines": [{"s": 0, "at": 3.0, "t": "three"}, {"s": 7, "at": 1.0, "t": "of nobody"}], "cursor": {}})
            take({"over": ""})
        elif host == "server_2":
            take({"lines": [{"s": 0, "at": 2.0, "t": "two"}], "cursor": {}})
            take({"over": "no line to server_2 answers"})
        return lambda: None

    async def scene() -> dict[str, Any]:
        return await answer.answer(open_, found, found.requests(SITE, False), 10)

    document = asyncio.run(scene())
    assert [(line["source"], line.get("text") or line["note"]) for line in document["lines"]] == [
        (1, "two"), (0, "three"), (1, "no line to server_2 answers"), (2, "server_3 did not answer within 0.2 s"),
    ]  # fmt: skip
