# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fence of a site: a real command, run by the monitor's side of leases while no witness answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import leases, places
from monitor.judge.effects import Fence
from monitor.watch import fences as watch_fences
from monitor.watch.fences import Fences
from tests.integration.addresses import NET

WITHIN = 80.0  # s


class Told:
    """What the monitor would be told."""

    def __init__(self, state: Path, command: list[str], timeout: float = 10.0) -> None:
        self.said: list[str] = []
        self.free: dict[str, str] = {}
        self.state = state
        (state / "run").mkdir()
        witnesses = [[name, "%s.66.1" % NET, 27999] for name in ("a", "b", "c")]
        facts = {"site": "s", "host": "server_1", "node": "n", "address": "192.0.2.1", "hosts": ["server_1"]}
        document = {
            "site_id": "s-1", "keys": ["00" * 32], "sets": [witnesses], "length": 2.0, "margin": 0.5, "error": 0.001,
            "port": 27999, "power": {"command": command, "timeout": timeout, "hosts": {"server_1": facts}},
        }  # fmt: skip
        (state / places.LEASE_FILE).write_text(json.dumps(document))

    def fences(self) -> Fences:
        def changed(host: str, sentence: str) -> None:
            self.free[host] = sentence

        return Fences(self.state, lambda _host, why: self.said.append(why), changed)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_fences, "POWER_AGAIN_SECONDS", 0.05)


def fence(what: str) -> Fence:
    return Fence("server_1", what, "a test")


def test_a_host_that_is_proven_to_be_off_is_free_without_any_witness(tmp_path: Path) -> None:
    told = Told(tmp_path, ["/bin/sh", "-c", "cat > asked.json"])

    async def story() -> None:
        one = told.fences()
        one.do(fence("fence"))
        await told.until(lambda: told.free.get("server_1"))
        assert "server_1 is off, its power fence proved at " in told.free["server_1"]
        assert json.loads((tmp_path / "asked.json").read_text())["address"] == "192.0.2.1"
        assert leases.fenced(str(tmp_path)) == ("server_1",), "runs may free its claims"
        one.do(fence("lift"))
        assert not told.free["server_1"]
        await told.until(lambda: leases.fenced(str(tmp_path)) == ())
        one.stop()

    asyncio.run(story())


def test_a_command_that_fails_proves_nothing_and_is_run_again(tmp_path: Path) -> None:
    told = Told(tmp_path, ["/bin/sh", "-c", "[ -e once ] || { touch once; echo no route to the outlet; exit 3; }"])

    async def story() -> None:
        one = told.fences()
        one.do(fence("fence"))
        await told.until(lambda: told.free.get("server_1"))
        one.stop()

    asyncio.run(story())
    assert any("did not prove that it is off: it ended with 3: no route to the outlet" in said for said in told.said)


@pytest.mark.parametrize("what", ["lift", "rest"])
def test_a_command_that_hangs_is_killed_and_ends_with_the_fence(tmp_path: Path, what: str) -> None:
    told = Told(tmp_path, ["/bin/sh", "-c", "echo $$ >> pids; exec sleep 300"], timeout=0.2)

    async def story() -> None:
        one = told.fences()
        one.do(fence("fence"))
        await told.until(lambda: any("it was killed after 0.2 s" in said for said in told.said))
        await told.until(lambda: len((tmp_path / "pids").read_text().split()) > 1)
        assert not told.free.get("server_1")
        one.do(fence(what))
        await told.until(lambda: not any(
            Path("/proc", pid).exists() for pid in (tmp_path / "pids").read_text().split()))
        one.stop()

    asyncio.run(story())


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = Told(tmp_path, ["/nowhere/fence"])

    async def story() -> None:
        one = told.fences()
        one.do(fence("fence"))
        await told.until(lambda: any("cannot be started: No such file" in said for said in told.said))
        one.stop()

    asyncio.run(story())
    assert not told.free.get("server_1")
