# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A standby run that parks again after its work: the next order needs no other run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.runs import playbooks, pool
from monitor.runs.standby import ROUNDS
from tests.integration.monitor import standin_collection as standin
from tests.integration.monitor.test_monitor_standby import (  # noqa: F401 - a fixture
    bench,
    collection,
    run,
    until,
)

ROOT = Path(__file__).resolve().parents[3]


def order(name: str) -> dict[str, Any]:
    return {"intents": [{"id": name, "instance": "scen2_srv_01"}]}


@pytest.fixture(autouse=True)
def rounds(collection: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs come back, and a successor is started only where one does not."""
    standin.park_again(playbooks.ROOT, ROUNDS)
    monkeypatch.setattr(pool, "RETURNS_WITHIN_SECONDS", 30.0)


def test_one_run_takes_order_after_order_and_reports_each(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            names = []
            for number in range(ROUNDS):
                await one.until_parked(number + 1)
                names.append(one.pool.send(order("t-%d" % number)))
                await until(lambda: len(one.over) > number, "the end of its work")  # noqa: B023
            assert len(set(names)) == 1, "no other run was needed"
            told = [result["results"]["scen2_srv_01"]["id"] for _name, result, _outcome in one.over]
            assert told == ["t-%d" % number for number in range(ROUNDS)]
            assert all(name == names[0] and outcome.why == "" for name, _result, outcome in one.over)
            await one.until_parked(ROUNDS + 1)
            assert one.pool.send(order("next")) not in names, "it does not park for ever"

    run(scenario)


def test_the_next_run_parks_before_one_has_had_its_last_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            for number in range(ROUNDS - 1):
                await one.until_parked(number + 1)
                first = one.pool.send(order("t-%d" % number))
                await until(lambda: len(one.over) > number, "the end of its work")  # noqa: B023
            await until(
                lambda: one.pool.current is not None and one.pool.current.job.ident != first, "another one", 60.0
            )

    run(scenario)


def test_a_run_that_waits_again_ends_with_the_pool_and_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            name = one.pool.send(order("t-1"))
            await one.until_parked(2)
            assert one.pool.current is not None and one.pool.current.job.ident == name
            assert not list(tmp_path.glob("**/artifacts/*/working")), "it ends with this monitor"

    run(scenario)  # `bench` looks for what is left


@pytest.mark.parametrize("usable", [True, False])
def test_a_run_at_work_whose_settings_are_old_serves_only_until_the_next_one(tmp_path: Path, usable: bool) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as one:
            await one.until_parked()
            first = one.pool.send(order("t-1"))
            one.pool.replace(usable)
            await until(lambda: one.over, "the end of its work")
            assert (one.pool.current is not None) == usable, "one that cannot reach a host takes nothing more"
            await until(
                lambda: one.pool.current is not None and one.pool.current.job.ident != first, "another one", 60.0
            )

    run(scenario)


@pytest.mark.parametrize("gone", ["before", "while it waits"])
def test_a_run_whose_monitor_is_gone_waits_for_no_further_order(tmp_path: Path, gone: str) -> None:
    fifo, ready = tmp_path / "fifo", tmp_path / "fifo.ready2"
    os.mkfifo(fifo)
    script = (
        "import sys; from ansible_collections.control_room.muster.plugins.plugin_utils import _standby as s;"
        "print(s.parks(sys.argv[1]) and s.wait_for_order(sys.argv[1], sys.argv[2], print))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    if gone == "before":
        fifo.unlink()
    waiting = subprocess.Popen(
        [sys.executable, "-c", script, str(fifo), str(ready)], env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        if gone != "before":
            end = time.monotonic() + 60
            while not ready.exists():
                assert time.monotonic() < end and waiting.poll() is None
                time.sleep(0.01)
            fifo.unlink()  # as `runner_child` does
        said, _unused = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert said.strip() == ("False" if gone == "before" else "{}")
