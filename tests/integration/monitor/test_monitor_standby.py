# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs through ansible-runner and the standby: parked ahead, quick to act, replaced when lost, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from monitor.base import usage
from monitor.base.journal import Journal
from monitor.core.model.moments import Ladder
from monitor.runs import playbooks, pool
from monitor.runs.pool import Pool
from monitor.runs.runs import Outcome, Runs
from tests.integration.monitor import standin_collection as standin
from tests.integration.probes.real_buses import until

INTENT = {"instance": "scen2_srv_01", "epoch": 1, "cause": "bus crash", "what": "restart", "id": "t-1"}
PARKS = 40.0  # s


@pytest.fixture(autouse=True)
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "busy", lambda: False)
    monkeypatch.setattr(playbooks, "ROOT", standin.make(tmp_path / "collections"))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.chdir(tmp_path)


@dataclass
class Bench:
    """A pool and the events that it reported."""

    state: Path
    runs: Runs
    pool: Pool
    parked: int = 0
    over: list[tuple[str, dict[str, Any], Outcome]] = field(default_factory=list)

    async def until_parked(self, times: int = 1) -> None:
        await until(lambda: self.parked >= times, "%d times parked" % times, PARKS)


@contextlib.asynccontextmanager
async def bench(tmp_path: Path, inventory: str = "here,") -> AsyncIterator[Bench]:
    state = tmp_path / "state"
    (state / "run").mkdir(parents=True)
    runs = Runs(state, [inventory])
    journal = Journal(state / "monitor.log")
    made: list[Bench] = []

    def parked() -> None:
        made[0].parked += 1

    def over(run: str, result: dict[str, Any], outcome: Outcome) -> None:
        made[0].over.append((run, result, outcome))

    made.append(Bench(state, runs, Pool(runs, state / "run", journal, parked, over)))
    try:
        made[0].pool.fill()
        yield made[0]
    finally:
        await made[0].pool.close(15.0)
        await until(lambda: not standin.processes(str(tmp_path)), "every process of the runs gone")
        assert list((state / "run").glob("standby-*")) == []


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_a_parked_run_acts_and_the_next_one_parks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            run_name = one.pool.send({"intents": [INTENT]})
            await until(lambda: one.over, "the end of the run")
            [(name, result, outcome)] = one.over
            assert (name, outcome.why) == (run_name, "")
            assert result["results"]["scen2_srv_01"]["id"] == "t-1"
            await one.until_parked(2)

    run(scenario)


def test_without_a_parked_run_nothing_is_taken_and_one_is_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            assert one.pool.send({"intents": [INTENT]}) is None
            await one.until_parked()
            assert one.pool.send({"intents": [INTENT]}) is not None

    run(scenario)


def test_a_parked_run_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            for pid in standin.processes("%s/state/run/standby" % tmp_path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await one.until_parked(2)
            assert one.over == []
            assert "standby failed" in (one.state / "monitor.log").read_text()

    run(scenario)


def test_many_intents_go_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            one.pool.send({"intents": [dict(INTENT, instance="scen2_srv_%03d" % n, why="x" * 200) for n in range(500)]})
            await until(lambda: one.over, "the end of the run")
            assert len(one.over[0][1]["results"]) == 500

    run(scenario)


def test_a_run_past_its_deadline_is_ended_with_its_workers(tmp_path: Path) -> None:
    root = playbooks.ROOT / "playbooks" / "standby.yml"
    root.write_text(root.read_text().replace("default(0)", "default(600)"))

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            one.pool.deadline = 0.5
            await one.until_parked()
            one.pool.send({"intents": [INTENT]})
            await until(lambda: one.over, "the end of the run")
            assert "ended after 0 s, its deadline" in one.over[0][2].why

    run(scenario)


@pytest.mark.long
def test_a_playbook_that_does_not_start_is_reported_and_tried_again_later(tmp_path: Path) -> None:
    broken = playbooks.ROOT / "playbooks" / "standby.yml"
    good = broken.read_text()
    broken.write_text("- hosts: [\n")

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            log = one.state / "monitor.log"
            await until(lambda: log.exists() and "standby failed" in log.read_text(), "the failure told", PARKS)
            broken.write_text(good)
            await one.until_parked()

    run(scenario)


def test_what_failed_before_the_site_changed_is_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor that is there before the first deploy: after it, no run was parked for up to a minute."""
    monkeypatch.setattr(pool, "DELAYS", Ladder((0.0, 600.0)))
    broken = playbooks.ROOT / "playbooks" / "standby.yml"
    good = broken.read_text()
    broken.write_text("- hosts: [\n")

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await until(lambda: one.pool.no_runs, "the failure is known", PARKS)
            broken.write_text(good)
            one.pool.replace(usable=False)
            await one.until_parked()

    run(scenario)


def test_a_parked_run_serves_until_its_successor_is_parked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            before = one.pool.current
            one.pool.replace(usable=True)
            await until(lambda: one.pool.coming, "its successor begins")
            assert (one.pool.state, one.pool.current) == ("parked", before)
            await one.until_parked(2)
            assert one.pool.current is not before
            assert before and (await before.job.done).why == ""
            one.pool.replace(usable=True)
            assert one.pool.send({"intents": [INTENT]}) is not None
            await until(lambda: one.over, "the end of the run")

    run(scenario)


def test_a_parked_run_that_does_not_know_the_hosts_is_not_used_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            one.pool.replace(usable=False)
            assert one.pool.send({"intents": [INTENT]}) is None
            await one.until_parked(2)
            assert one.over == []

    run(scenario)


def test_one_that_is_starting_for_what_is_past_is_ended_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await until(lambda: one.pool.coming, "one begins")
            first = one.pool.coming
            assert first is not None
            one.pool.replace(usable=True)
            assert (await first.job.done).why == "it was no longer needed"
            await one.until_parked()
            assert one.pool.current is not first
            assert "standby failed" not in (one.state / "monitor.log").read_text()

    run(scenario)


def test_on_a_busy_machine_one_that_is_starting_serves_until_the_next_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ansible/ansible-runner#397: what takes long to begin is not ended and begun again."""
    monkeypatch.setattr(usage, "busy", lambda: True)

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await until(lambda: one.pool.coming, "one begins")
            first = one.pool.coming
            one.pool.replace(usable=True)
            await one.until_parked()
            assert one.pool.current is first
            assert one.pool.send({"intents": [INTENT]}) is not None
            await until(lambda: one.over, "the end of the run")
            await one.until_parked(2)
            log = (one.state / "monitor.log").read_text()
            assert "standby failed" not in log and "cold run" not in log

    run(scenario)


def test_intents_that_waited_for_a_run_that_cannot_park_go_to_a_cold_run(tmp_path: Path) -> None:
    park = playbooks.ROOT / "plugins" / "action" / "park.py"
    open_it = "descriptor = os.open"
    park.write_text(park.read_text().replace(open_it, "os.path.isfile(fifo) or os._exit(9)\n        " + open_it))
    standby = playbooks.ROOT / "playbooks" / "standby.yml"
    marked = "    - ansible.builtin.debug: {msg: \"warm: {{ muster_standby_warm | default('yes') }}\"}\n"
    standby.write_text(standby.read_text() + marked)

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            log = one.state / "monitor.log"
            await until(lambda: log.exists() and "standby failed" in log.read_text(), "the failure told", PARKS)
            assert one.pool.send({"intents": [INTENT]}) is None
            sent: list[str] = []
            await until(lambda: sent or sent.extend(filter(None, [one.pool.send({"intents": [INTENT]})])), "taken")
            assert one.pool.send({"intents": [dict(INTENT, instance="another")]}) is None  # it waits as long
            await until(lambda: one.over, "the end of the run", PARKS)
            [(name, result, outcome)] = one.over
            assert ([name], outcome.why, list(result["results"])) == (sent, "", ["scen2_srv_01"])
            assert "warm: False" in (one.state / "artifacts" / name / "stdout").read_text()
            assert one.parked == 0
            assert "no run was parked for" in log.read_text()
            assert list((one.state / "run").glob("cold-*")) == []

    run(scenario)


def test_an_unreadable_settings_file_is_logged_and_read_when_it_is_mended(tmp_path: Path) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.write_text("forks = 7\n")

    async def scenario() -> None:
        async with bench(tmp_path) as one:
            log = one.state / "monitor.log"
            await until(lambda: log.exists() and "%s cannot be read" % settings in log.read_text(), "it is logged")
            settings.write_text("[defaults]\nforks = 7\n")
            await one.until_parked()

    run(scenario)


@pytest.mark.long
def test_a_parked_run_that_grew_old_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            one.pool.oldest = 0.5
            await one.until_parked(2)
            assert one.over == []
            assert "it has waited for" in (one.state / "monitor.log").read_text()

    run(scenario)


@pytest.mark.long
def test_a_changed_inventory_replaces_the_parked_run(tmp_path: Path) -> None:
    hosts = tmp_path / "inventory" / "hosts.yml"
    hosts.parent.mkdir()
    hosts.write_text("all: {hosts: {here: {}}}\n")

    async def scenario() -> None:
        async with bench(tmp_path, str(hosts)) as one:
            one.pool.look = 0.1
            await one.until_parked()
            variables = hosts.parent / "group_vars" / "all.yml"
            variables.parent.mkdir()
            variables.write_text("ansible_port: 2222\n")
            await one.until_parked(2)
            hosts.write_text("all: {hosts: {here: {}, there: {}}}\n")
            await one.until_parked(3)
            assert one.over == []
            assert (one.state / "monitor.log").read_text().count("the inventory changed") == 2

    run(scenario)


def test_only_so_many_artefacts_are_kept_and_never_those_of_a_living_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            one.runs.keep = 3
            await one.until_parked()
            living = next(iter(one.runs.jobs))
            for number in range(6):
                (one.state / "artifacts" / ("reconcile-old-%d" % number)).mkdir()
            job = one.runs.begin("reconcile", {"muster_why": "a test"}, 60.0)
            outcome = await job.done
            assert outcome.why == "", one.runs.last_words(job)
            assert "reconcile because a test" in one.runs.last_words(job, 100)
            kept = {entry.name for entry in (one.state / "artifacts").iterdir()}
            assert {living, job.ident} < kept
            assert len(kept) <= 4

    run(scenario)


def test_a_monitor_that_is_killed_takes_its_parked_run_along(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "run").mkdir(parents=True)
    (state / "watch.json").write_text('{"schema": 1, "revision": 1, "site_id": "s", "instances": {}}')
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, %r); from monitor.runs import playbooks;"
        "playbooks.ROOT = Path(%r); sys.argv = ['monitor', '--state-dir', %r, '-i', 'here,', '--log', %r];"
        "from monitor.__main__ import main; main()"
    ) % (str(Path(__file__).parents[3]), str(playbooks.ROOT), str(state), str(state / "log"))
    monitor = subprocess.Popen([sys.executable, "-c", program])

    async def scenario() -> None:
        log = state / "log"
        await until(lambda: log.exists() and "standby parked" in log.read_text(), "a parked run", PARKS)
        monitor.kill()
        monitor.wait()
        await until(lambda: not standin.processes("%s/state/run/standby" % tmp_path), "the parked run gone")

    try:
        run(scenario)
    finally:
        monitor.kill()
        monitor.wait()
