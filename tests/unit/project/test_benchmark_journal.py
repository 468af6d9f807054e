# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' readers of the monitor's journal, its state folder and the process table."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import journal, machine

LOG = "\n".join([
    json.dumps({"at": 99.0, "event": "intent", "instance": "scen2_srv_02"}),
    json.dumps({"at": 100.1, "event": "intent", "instance": "scen2_srv_02"}),
    json.dumps({"at": 100.1, "event": "run", "run": "look-1", "why": "the regular look"}),
    json.dumps({"at": 100.2, "event": "run", "run": "standby-1", "about": ["scen2_srv_02"]}),
    "no JSON",
])  # fmt: skip


def artefact(folder: Path, run: str, instance: str, began: float) -> None:
    events = folder / run / "job_events"
    events.mkdir(parents=True)
    answer = {"began": began, "results": {instance: {}}}
    data = {"task_action": "control_room.muster.act", "res": {"answer": answer}}
    (events / "1.json").write_text(json.dumps({"event_data": data}), encoding="utf-8")
    (events / "2.json").write_text(json.dumps({"event_data": {"task_action": "other", "res": {}}}), encoding="utf-8")


def test_an_intent_is_followed_to_the_code_of_the_run_that_took_it(tmp_path: Path) -> None:
    artefact(tmp_path, "look-1", "scen2_srv_02", 100.15)
    artefact(tmp_path, "standby-1", "scen2_srv_02", 100.25)
    found = journal.intent_to_code(journal.lines(LOG, 100.0), tmp_path, "scen2_srv_02")
    assert found == pytest.approx(0.15)
    assert journal.intent_to_code(journal.lines(LOG, 100.0), tmp_path, "scen2_srv_03") is None
    assert journal.intent_to_code(journal.lines(LOG, 100.0), tmp_path / "none", "scen2_srv_02") is None


@pytest.mark.parametrize(("change", "ready"), [
    ({}, True),
    ({"standby": "starting"}, False),
    ({"revision": 6}, False),
    ({"intents": [{}]}, False),
    ({"buses": {"scen2_srv_01": {"state": "unknown"}}}, False),
])  # fmt: skip
def test_a_monitor_is_ready_when_nothing_is_left_to_do(tmp_path: Path, change: dict[str, Any], ready: bool) -> None:
    assert not journal.is_ready(tmp_path)
    (tmp_path / "run").mkdir()
    said = {"standby": "parked", "revision": 7, "intents": [], "buses": {"scen2_srv_01": {"state": "healthy"}}}
    (tmp_path / "run" / "monitor.json").write_text(json.dumps({**said, **change}), encoding="utf-8")
    (tmp_path / "watch.json").write_text('{"revision": 7}', encoding="utf-8")
    assert journal.is_ready(tmp_path) is ready


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, "MUSTER_TEST_MARK": "here"})
    yield process
    process.kill()
    process.wait()


def test_a_process_that_stands_still_is_alive_but_not_at_work(sleeper: subprocess.Popen[bytes]) -> None:
    assert machine.at_work(sleeper.pid)
    sleeper.send_signal(19)  # SIGSTOP
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert machine.alive(sleeper.pid) and not machine.at_work(sleeper.pid)


def test_ignored_processes_do_not_count_as_running(sleeper: subprocess.Popen[bytes]) -> None:
    def identify(environment: dict[str, str]) -> tuple[str, str, str] | None:
        return ("scen2_srv_01", "sleep", "1") if "MUSTER_TEST_MARK" in environment else None

    watcher = machine.Watcher(identify)
    watcher.wait_for({"scen2_srv_01": {"sleep"}}, 10)
    watcher.ignore([sleeper.pid])
    with pytest.raises(TimeoutError):
        watcher.wait_for({"scen2_srv_01": {"sleep"}}, 0)
