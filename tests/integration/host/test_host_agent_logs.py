# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of programs, wherever the service manager keeps them: the last lines, the run before, what comes next."""

from __future__ import annotations

from typing import Any

from monitor.core.host.logs import serve
from monitor.core.host.logs.sources import Wanted
from tests.integration.host.host_in_a_folder import Host, host_fixture, kill, program, wait_for  # noqa: F401 - a fixture

SAYS = ["/bin/sh", "-c", 'echo "run $MUSTER_EPOCH"; printf "\\033[2J\\377 odd\\n"; exec sleep 1000']


def sources(*programs: str) -> list[dict[str, str]]:
    return [{"instance": "app_01", "program": name, "application": "app_01", "item": "01"} for name in programs]


def texts(host: Host, *programs: str, **more: Any) -> list[str]:
    answer = host.ask("log", **{"sources": sources(*programs), "lines": 100, **more})
    found = [line["t"] for line in answer["lines"] if "t" in line]
    return [line for line in found if "muster" not in line and "app_01" not in line]  # systemd's own words


def test_what_programs_wrote_is_read_and_odd_bytes_are_shown_as_such(host: Host) -> None:
    host.define("app_01", [program("bus", 1, SAYS), program("core", 2, ["/bin/sh", "-c", "echo core; sleep 1000"])])
    assert host.do("start", "app_01", 7)["result"] == "running"
    wait_for(lambda: texts(host, "bus", "core") == ["run 7", "\\x1b[2J\\xff odd", "core"], "all lines")
    assert texts(host, "bus", word="run") == ["run 7"]
    assert texts(host, "core", lines=0) == []
    assert texts(host, "bus", until=1000000000.0) == []


def test_the_run_before_the_last_start_is_told_apart(host: Host) -> None:
    host.define("app_01", [program("bus", 1, SAYS)])
    for epoch in (1, 2, 3):
        assert host.do("restart", "app_01", epoch)["result"] == "running"
        wait_for(lambda epoch=epoch: "run %d" % epoch in texts(host, "bus"), "its words")
    assert texts(host, "bus", previous=True)[:2] == ["run 2", "\\x1b[2J\\xff odd"]
    assert "run 1" not in texts(host, "bus", previous=True)
    assert "run 3" not in texts(host, "bus", previous=True)


def test_a_follower_sees_the_next_run_and_goes_on_where_it_was(host: Host) -> None:
    host.define("app_01", [program("bus", 1, SAYS)])  # under epochs of its own: a journal outlives the host
    host.do("restart", "app_01", 11)
    wait_for(lambda: "run 11" in texts(host, "bus"), "its words")
    request = {"host": host.facts, "sources": sources("bus"), "lines": 100, "follow": True}
    seen: list[str] = []
    cursor: Any = None

    def read(stream: serve.Stream, word: str) -> None:
        nonlocal cursor

        def found() -> bool:
            nonlocal cursor
            part = stream.step()
            if part is not None:
                seen.extend(line["t"] for line in part["lines"])
                cursor = part["cursor"]
            return word in seen

        wait_for(found, word)

    stream = serve.Stream(Wanted(request))
    read(stream, "run 11")
    kill(host.pids("app_01")["bus"])
    wait_for(lambda: not host.pids("app_01"), "its end")
    host.do("start", "app_01", 12)
    read(stream, "run 12")
    stream.close()
    host.do("restart", "app_01", 13)
    all_of_it = list(seen)
    seen.clear()
    stream = serve.Stream(Wanted({**request, "after": cursor}))
    read(stream, "run 13")
    stream.close()
    if {"run 11", "run 12"} & set(seen):
        raise AssertionError("%r after %r, which was: %r" % (seen, cursor, all_of_it))


def test_a_start_that_failed_brings_the_last_lines_of_all_its_programs(host: Host) -> None:
    host.define("app_01", [program("bus", 1, SAYS), program("core", 2, ["dummy/say", "no licence", "3"])])
    result = host.do("start", "app_01", 4, settle=0.5)
    assert result["result"] == "failed", result
    wrote = {name: [line["t"] for line in lines] for name, lines in result["words"]["programs"].items()}
    assert "run 4" in wrote["bus"] and "no licence" in wrote["core"]
    assert result["words"]["core"] == ""


def test_figures_of_programs_count_their_children(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("busy", 2, ["/bin/sh", "-c", "while :; do :; done"]),
                           program("edge", 3, ["dummy/family"]),
                           program("brief", 4, ["/bin/sh", "-c", "exit 0"], required=False)])
    host.do("start", "app_01", 1)
    wait_for(lambda: [p.program for p in host.processes("app_01")].count("edge") >= 3, "the family is there")

    def seen() -> dict[int, dict[str, Any]]:
        wanted = {"host": host.facts, "sources": sources("bus", "busy", "edge", "brief"), "figures": True}
        stream = serve.Stream(Wanted(wanted))
        part = stream.step()
        assert part is not None and stream.over
        return {entry["s"]: entry for entry in part["left"]}

    wait_for(lambda: seen()[1]["cpu"] > 1, "it gets the processor")
    wait_for(lambda: [seen()[number]["state"] for number in range(4)] == ["running"] * 3 + ["ended"], "one has ended")
    found = seen()
    assert found[0]["pid"] == host.pids("app_01")["bus"] and found[0]["cpu"] <= 1
    assert found[2]["processes"] >= 2 and found[0]["memory"] > 0 and found[0]["threads"] == 1
    assert found[0]["restarts"] == 0
    host.do("restart", "app_01", 2)
    part = serve.Stream(Wanted({"host": host.facts, "sources": sources("bus"), "figures": True})).step()
    assert part is not None and part["left"][0]["restarts"] == 1
