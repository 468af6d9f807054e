# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates of a staged start, which hold up what comes after them, against a real supervisord."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    MANAGER,
    Host,
    dying,
    gate,
    host_fixture,
    kill,
    only_supervisor,
    program,
    seven,
    wait_for,
)


def test_a_gate_that_never_ends_fails_the_start_and_everything_is_stopped(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=0.5), program("late", 3)])
    result = host.do("start", "app_01", 1)
    assert result["result"] == "failed", result
    assert re.match(r"check did not end within \d+\.\d s\Z", result["reason"]), result
    assert "late" not in result["started"]
    assert host.processes("app_01") == []
    assert host.observe()["instances"] == {}


def test_a_gate_that_had_less_than_its_own_time_says_so(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20.0)])
    result = host.do("start", "app_01", 1, start_timeout=1.0)
    assert result["reason"].startswith("check did not end within "), result
    assert result["reason"].endswith("s, when the time for this start was over"), result


def test_a_gate_that_fails_tells_its_exit_code_and_last_words(host: Host) -> None:
    host.define("app_01", [
        program("bus", 1), gate("check", 2, ["dummy/say", "bus 127.0.0.1 is deaf", "3"]), program("late", 3),
    ])
    result = host.do("start", "app_01", 1)
    assert result["reason"] == "check exited with 3 (bus 127.0.0.1 is deaf)"
    assert result["failed"] == {"check": "exited with 3 (bus 127.0.0.1 is deaf)"}
    assert host.processes("app_01") == []


def test_a_failed_gate_ends_the_start_under_every_strategy_but_only_stop_takes_the_rest_down(host: Host) -> None:
    for number, (strategy, left) in enumerate({"stop": set(), "abort": {"bus"}, "continue": {"bus"}}.items(), 1):
        name = "app_0%d" % number
        host.define(name, [program("bus", 1), gate("check", 2, ["dummy/say", "no", "1"]), program("late", 3)],
                    strategy=strategy)
        result = host.do("start", name, 1)
        assert result["result"] == "failed"
        assert set(host.pids(name)) == left, strategy


def test_a_deferred_gate_ends_the_start_well_and_the_rest_follows_later(host: Host) -> None:
    host.define("app_01", [
        program("bus", 1), program("core", 2), gate("check", 3, start_timeout=0.3, on_timeout="defer"),
        program("interface", 4),
    ])
    result = host.do("start", "app_01", 1)
    assert result["result"] == "running", result
    assert result["deferred"] == ["check", "interface"]
    before = host.pids("app_01")
    assert set(before) == {"bus", "core"}
    assert host.observe()["instances"]["app_01"]["deferred"] == ["check", "interface"]
    assert not host.act(host.wish("start", "app_01", 1))["changed"]  # what is deferred is not missing

    again = host.do("continue", "app_01", 1)
    assert again["result"] == "running" and again["deferred"] == ["check", "interface"]

    host.open_gate()
    result = host.do("continue", "app_01", 1)
    assert result["result"] == "running" and result["deferred"] == []
    after = host.pids("app_01")
    assert set(after) == {"bus", "core", "interface"}
    assert before.items() <= after.items()
    assert host.observe()["instances"]["app_01"]["deferred"] == []


def test_a_gate_in_the_first_rank_may_wait_for_what_comes_late(host: Host) -> None:
    """Supervisor/supervisor#1219, epics-extensions/EPNix PR#52: nothing runs until the instrument is there."""
    host.define("app_01", [gate("instrument", 1, start_timeout=0.3, on_timeout="defer"), program("bus", 2)])
    everything = ["instrument", "bus"]
    result = host.do("start", "app_01", 1)
    assert (result["result"], result["deferred"]) == ("running", everything), result
    seen = host.observe()["instances"]["app_01"]
    assert (seen["claim"], seen["programs"], seen["deferred"]) == (1, {}, everything)
    again = host.do("continue", "app_01", 1)
    assert (again["result"], again["deferred"]) == ("running", everything), again
    assert host.processes("app_01") == []
    assert host.do("continue", "app_01", 2)["result"] == "refused", "another epoch does not wait here"
    host.open_gate()
    result = host.do("continue", "app_01", 1)
    assert (result["result"], result["deferred"]) == ("running", []), result
    assert set(host.pids("app_01")) == {"bus"}
    assert host.do("stop", "app_01", 1)["result"] == "stopped"


@pytest.mark.parametrize("on_timeout", ["defer", "fail"])
def test_what_a_gate_started_ends_with_it(host: Host, on_timeout: str) -> None:
    """Also a child in a session of its own that ignores SIGTERM."""
    host.define("app_01", [
        gate("check", 1, ["dummy/family"], start_timeout=0.3, stop_timeout=0.3, on_timeout=on_timeout),
        program("bus", 2),
    ])
    assert host.do("start", "app_01", 1)["result"] == {"defer": "running", "fail": "failed"}[on_timeout]
    assert host.processes("app_01") == []


def test_when_the_rest_of_a_deferred_start_fails_the_strategy_decides_about_all_of_it(host: Host) -> None:
    for number, (strategy, left) in enumerate({"stop": set(), "abort": {"bus"}}.items(), 1):
        name = "app_0%d" % number
        host.define(name, [
            program("bus", 1), gate("check", 2, start_timeout=0.2, on_timeout="defer"),
            program("interface", 3, ["dummy/say", "no", "1"]),
        ], strategy=strategy)
        Path(host.root, "var/open").unlink(missing_ok=True)
        assert host.do("start", name, 1)["deferred"] == ["check", "interface"]
        host.open_gate()
        result = host.do("continue", name, 1, settle=0.1)
        assert result["result"] == "failed" and result["reason"] == "interface exited with 1 (no)", result
        assert set(host.pids(name)) == left


def test_a_deferred_gate_that_exits_badly_is_a_failure(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, ["dummy/say", "no", "1"], on_timeout="defer")])
    assert host.do("start", "app_01", 1)["result"] == "failed"
