# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is slow, full or refused: nothing is begun twice, hosts that cannot are passed over, no request is lost.

Sources: muster's own campaign on booted hosts at a load of 20 to 75 (runs ended before Ansible had started, a drain
lost with the monitor, a bus down for 107 s beside a full disk); Supervisor/supervisor#1710, #1105, #1723 (a service
manager that answers nobody, with free servers beside it); Supervisor/supervisor#599 (a configuration that one host
refuses). How many runs there are at once: `tests/unit/simulation/test_overload.py`, on a real site
`tests/integration/monitor/test_busy_controller.py`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import asked, calls
from monitor.core.controller.ledger import Ledger
from monitor.core.model.site import site_to_json
from monitor.core.report import status, status_text
from monitor.judge.health import Kind, Result
from monitor.judge.hosts import Signal
from monitor.judge.watch_list import WatchedHost
from monitor.watch import lines_ssh
from tests.small_site import SERVERS, small_site
from tests.unit.monitor.brain_alone import Scene
from tests.unit.monitor.watch_lists import entry, health
from tests.unit.plan.fleet_in_memory import FleetHost, World

NAME = "scen2_srv_01"
NO_SPACE = "scen2_srv_01 on server_1: /opt/m/run/claims: No space left on device"


class TestAHostThatRefuses:
    def world(self, monkeypatch: pytest.MonkeyPatch, *refusing: str) -> World:
        """The instance runs on server_1; from then on these hosts refuse to start anything."""
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        assert list(world.hosts["server_1"].copies) == [NAME]
        act = world._one

        def one(host: FleetHost, order: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
            if host.name in refusing and order["do"] != "stop":
                return {"result": "refused", "reason": NO_SPACE}
            return act(host, order, request)

        monkeypatch.setattr(world, "_one", one)
        return world

    def bus_dies(self, world: World) -> None:
        world.now += 100
        for host in world.hosts.values():
            host.die()
        intent = {"id": "i", "instance": NAME, "epoch": world.state["claims"][NAME]["epoch"], "cause": "bus crash",
                  "what": "restart", "why": "its bus crashed", "at": world.now}  # fmt: skip
        world.finish(world.begin("intents", intents=[intent]))

    def test_is_passed_over_by_the_next_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.world(monkeypatch, "server_1")
        self.bus_dies(world)
        claim = world.state["claims"][NAME]
        charged = [failure[2] for failure in claim["failures"]]
        assert (claim["phase"], claim["host"], claim["actor"]) == ("starting", "server_1", None)
        assert charged == ["its bus crashed"], "only that, not the refusal"
        world.now += 1
        world.finish(world.begin("reconcile"))
        claim = world.state["claims"][NAME]
        assert (claim["phase"], claim["host"]) == ("running", "server_2")
        assert len(claim["failures"]) == 1
        assert "refusals" not in claim, "it runs, so the next time every host is as good as before"

    def test_and_another_one_that_does_too_lead_to_the_third(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.world(monkeypatch, "server_1", "server_2")
        self.bus_dies(world)
        for _unused in range(2):
            world.now += 1
            world.finish(world.begin("reconcile"))
        assert world.state["claims"][NAME]["host"] == "server_3"

    def test_is_asked_again_where_there_is_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.world(monkeypatch, *SERVERS)
        self.bus_dies(world)
        asked_hosts = []
        for _unused in range(6):
            world.now += 60
            world.finish(world.begin("reconcile"))
            asked_hosts.append(world.state["claims"][NAME]["host"])
        assert set(asked_hosts) == set(SERVERS)
        assert len(world.state["claims"][NAME]["failures"]) == 1, "a refusal costs nothing, only the crash does"

    def test_counts_no_longer_when_the_clock_was_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.world(monkeypatch, "server_1")
        self.bus_dies(world)
        claim = world.state["claims"][NAME]
        claim["refusals"] = [[world.now + 4 * 365 * 86400.0, "server_2", "of the future"]]
        world.now += 1
        world.finish(world.begin("reconcile"))
        assert world.state["claims"][NAME]["host"] in ("server_1", "server_2")


class TestAFullDisk:
    @pytest.mark.parametrize(("free", "host"), [(0, "server_2"), (1, "server_1"), (9000, "server_1")])
    def test_keeps_a_host_from_being_chosen(self, free: int, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World(small_site(items=1))
        look = FleetHost.observe

        def observe(self: FleetHost) -> dict[str, Any]:
            seen = look(self)
            seen["load"]["free_disk"] = free if self.name == "server_1" else 9000
            return seen

        monkeypatch.setattr(FleetHost, "observe", observe)
        world.finish(world.begin("deploy"))
        assert world.state["claims"][NAME]["host"] == host
        seen = {name: there.observe() for name, there in world.hosts.items()}
        text = status_text.render_table(status.status_document(world.site, world.state, 1, seen, {}, world.now), 400)
        assert ("its disk is full, so nothing starts there" in text) is (free == 0)

    def test_everywhere_is_a_reason_to_wait_with_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World(small_site(items=1))
        look = FleetHost.observe
        full = lambda self: {**(seen := look(self)), "load": {**seen["load"], "free_disk": 0}}  # noqa: E731
        monkeypatch.setattr(FleetHost, "observe", full)
        world.finish(world.begin("deploy"))
        assert "the disk of server_1 is full" in world.state["claims"][NAME]["reason"]


DRAIN = {"kind": "drain", "host": "server_3", "who": "eve", "from": "controller", "why": "new disk"}


class TestARequestOfAPerson:
    """Written down before its run is there, so that it outlives the monitor."""

    @pytest.fixture(name="state")
    def state_fixture(self, tmp_path: Path) -> Path:
        with Ledger(str(tmp_path / "state" / "ledger.db")) as made:
            made.create("scenario_2", "scenario_2-c0ffee")
        return tmp_path / "state"

    def plan(self, state: Path, request: dict[str, Any]) -> dict[str, Any]:
        site = site_to_json(small_site(str(state)))
        return calls.handle({"verb": "plan", "site": site, "digests": {}, "observations": {}, "request": request})

    def requests(self, state: Path) -> dict[str, Any]:
        with Ledger(str(state / "ledger.db")) as ledger:
            return dict(ledger.read()[0]["requests"])

    def test_is_found_by_the_next_monitor(self, state: Path) -> None:
        ident = asked.note(str(state), DRAIN, 1000.0)
        assert asked.left(str(state), 1030.0) == [(ident, DRAIN)]

    def test_for_later_still_waits_for_its_moment(self, state: Path) -> None:
        request = {**DRAIN, "at": "2100-01-01 08:00"}
        ident = asked.note(str(state), request, 1000.0)
        assert asked.left(str(state), 1030.0) == [(ident, request)]

    def test_is_over_with_the_commit_of_its_plan_and_planned_once(self, state: Path) -> None:
        ident = asked.note(str(state), DRAIN, 1000.0)
        answer = self.plan(state, {**DRAIN, "id": ident})
        assert answer["plan"]["request"]["kind"] == "drain"
        assert self.requests(state) == {}
        again = self.plan(state, {**DRAIN, "id": ident})
        [refused] = again["plan"]["actions"]
        assert refused["reason"].startswith("drain of server_3 was withdrawn, or another run has planned it")
        with Ledger(str(state / "ledger.db")) as ledger:
            assert ledger.read()[0]["hosts"]["server_3"]["state"] == "drained"

    def test_that_was_refused_does_not_come_back(self, state: Path) -> None:
        request = {**DRAIN, "host": "server_9"}
        ident = asked.note(str(state), request, 1000.0)
        answer = self.plan(state, {**request, "id": ident})
        assert [action["action"] for action in answer["plan"]["actions"]] == ["refuse"]
        assert self.requests(state) == {}

    def test_that_was_answered_does_not_come_back(self, state: Path) -> None:
        ident = asked.note(str(state), DRAIN, 1000.0)
        asked.drop(str(state), ident)
        asked.drop(str(state), ident)
        assert asked.left(str(state), 1001.0) == []

    @pytest.mark.parametrize("later", [asked.LONGEST + 1, -5.0])
    def test_that_nobody_expects_any_more_is_dropped_and_the_trail_says_so(self, state: Path, later: float) -> None:
        asked.note(str(state), DRAIN, 1000.0)
        assert asked.left(str(state), 1000.0 + later) == []
        assert self.requests(state) == {}
        with Ledger(str(state / "ledger.db")) as ledger:
            (told,) = ledger.trail()
        assert (told["who"], told["result"]) == ("eve", "refused")
        assert told["what"] == "drain was asked for, and is not carried out any more"

    def test_without_a_ledger_there_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert asked.left(str(tmp_path / "empty"), 1.0) == []


class TestTheRegularLook:
    def test_waits_while_an_intent_has_had_no_run(self) -> None:
        scene = Scene(entry("scen2_srv_01"))
        scene.show(entry("scen2_srv_01"), revision=2, now=1.0)
        object.__setattr__(scene.brain.watch, "observe_interval", 60.0)
        scene.parked = False
        scene.buses["scen2_srv_01", 1] = health(Kind.ANSWERED, 69.0)
        scene.buses["scen2_srv_01", 1].note(_gone(70.0))
        scene.turn(70.0)
        assert (scene.orders, scene.reconciles) == ([], [])
        scene.parked = True
        scene.turn(71.0)
        assert len(scene.orders) == 1
        scene.turn(72.0)
        assert [why for why, _unused in scene.reconciles] == ["periodic check of all hosts"]


def _gone(at: float) -> Result:
    return Result(Kind.GONE, at, "its connection ended")


# bash, because it connects within milliseconds of its start.
SLOW_SSH = """#!/bin/bash
printf x >>%s
exec 5<>/dev/tcp/127.0.0.1/%d
sleep 4
for last; do :; done
exec sh -c "$last"
"""


@pytest.mark.parametrize("connects", [True, False])
def test_a_line_that_got_a_connection_is_left_to_finish(
    connects: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host would have to do it all again for the next one. Without a connection, another one is tried."""
    root, ssh, tries = tmp_path / "host", tmp_path / "ssh", tmp_path / "tries"
    (root / "run" / "listeners").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(lines_ssh, "connect_within", lambda _interval: 1)
    monkeypatch.setattr(lines_ssh, "RETRY_SECONDS", 0.1)
    signals: list[tuple[Signal, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = SLOW_SSH % (tries, server.getsockname()[1])
        ssh.write_text(text if connects else text.replace("exec 5<>", "# "))
        ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
        host = WatchedHost("h", root=str(root), ssh={"host": "192.0.2.1", "python": sys.executable})

        async def scene() -> None:
            def changed(_host: str, signal: Signal, why: str) -> None:
                signals.append((signal, why))

            line = lines_ssh.SshLine(host, 0.2, changed, lambda event: None, lambda why: None)
            wanted = Signal.FINE if connects else Signal.LOST
            async with asyncio.timeout(30):
                while sum(signal is wanted for signal, _why in signals) < (1 if connects else 2):
                    await asyncio.sleep(0.02)
            line.stop()

        asyncio.run(scene())
    kinds = [signal for signal, _why in signals]
    if connects:
        assert tries.read_text() == "x"
        assert kinds[:2] == [Signal.DOUBT, Signal.DOUBT] and Signal.LOST in kinds
        assert signals[0][1] == "h takes connections, but does not answer within 1 s"
    else:
        assert len(tries.read_text()) >= 2
        assert signals[0] == (Signal.LOST, "no line to h: it takes no connection within 1 s")


def test_a_record_of_a_request_holds_what_was_asked_and_no_more(tmp_path: Path) -> None:
    with Ledger(str(tmp_path / "ledger.db")) as made:
        made.create("scenario_2", "scenario_2-c0ffee")
        asked.note(str(tmp_path), {"kind": "stop", "instances": [NAME], "who": "eve"}, 5.0)
        (record,) = made.read()[0]["requests"].values()
    assert json.loads(json.dumps(record)) == {"kind": "stop", "instances": [NAME], "who": "eve", "asked": 5.0}
