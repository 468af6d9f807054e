# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People in the simulation: they start, stop, open, close, drain, pause, confirm and take over, in person or by API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.unit.simulation.runs import Report

if TYPE_CHECKING:
    from tests.unit.simulation.story import Simulation

WHOLE = ("deploy", "reconcile", "drain", "undrain", "move", "rebalance", "site_stop", "site_start")
WANTED = {"start": "started", "restart": "started", "reset": "started", "stop": "stopped"}


class People:
    def __init__(self, simulation: Simulation) -> None:
        self._sim, self._world, self._rng = simulation, simulation.world, simulation.rng
        self.count = 0
        self._waiting: dict[int, tuple[int, str]] = {}  # asked of a monitor and not answered: request -> monitor, what
        self._may: dict[str, set[str]] = {name: {"started"} for name in simulation.services}
        self._open: dict[str, set[int]] = {}  # service -> requests about it that are not answered
        self._mixed: set[str] = set()  # services of which several requests were under way together

    def may_want(self, name: str) -> set[str]:
        return self._may.get(name, {"stopped"})

    def something(self) -> None:
        """Let a person send a random request."""
        sim, rng = self._sim, self._rng
        service, window = rng.choice(sim.services), rng.choice(sim.windows)
        console = rng.choice(sim.consoles).name
        doing: list[Callable[[], None]] = [
            lambda: self.ask("stop", instances=[service]),
            lambda: self.ask("start", instances=[service]),
            lambda: self.ask("restart", instances=[service]),
            lambda: self.ask("reset", instances=[service]),
            lambda: self.ask("open", instances=[window], host=console),
            lambda: self.ask("open", instances=[window], host=console),
            lambda: self.ask("close", instances=[window]),
            lambda: self.ask("restart", instances=[window]),
            lambda: self._take_over(window, console),
            self._confirm_down,
            lambda: self._drain(rng.choice(sim.servers).name),
            lambda: self._pause(rng.choice([item.id for item in self._world.site.items])),
            lambda: self._move(service, rng.choice(sim.servers).name),
            lambda: self.ask("rebalance", spread=10),
            lambda: self.ask("site_stop"),
            lambda: self.playbook("reconcile"),
            lambda: self.playbook("deploy"),
        ]
        if sim.rollouts is not None:
            doing += [sim.rollouts.another] * 6
        rng.choice(doing)()

    def tidy(self) -> None:
        """Before the quiet time: end all pauses and drains, including those of requests that are still under way."""
        for _unused in range(20):
            self._resume()
            self._world.run(3.0)
            if not self._asked() and not self._kept():
                return

    def _asked(self) -> bool:
        monitor = self._sim.monitor
        kinds = [run.request["kind"] for run in self._sim.runs.under_way]
        kinds += [ask.request["kind"] for ask in monitor.brain.asks] if monitor is not None else []
        return not {"pause", "drain", "undrain", "resume", "site_stop", "site_start"}.isdisjoint(kinds)

    def _kept(self) -> bool:
        hosts = self._world.state["hosts"].values()
        stopped = bool(self._world.state["meta"].get("stopped"))
        paused = bool(self._world.state["pauses"])
        return stopped or paused or any(h["state"] == "drained" or h.get("drain") for h in hosts)

    def _resume(self) -> None:
        if self._world.state["meta"].get("stopped"):
            self.playbook("site_start")
        for item in [key for key in self._world.state["pauses"] if key.startswith("item/")]:
            self.playbook("resume", item=item[5:])
        for name, record in sorted(self._world.state["hosts"].items()):
            if record["state"] == "drained" or record.get("drain"):
                self.playbook("undrain", host=name)

    def _take_over(self, window: str, console: str) -> None:
        self.ask("open", instances=[window], host=console, take=True, why="they are on leave")

    def _confirm_down(self) -> None:
        lost = [name for name, host in self._world.hosts.items() if host.lost]
        if lost:
            self.ask("confirm_down", host=self._rng.choice(lost), why="I went there")

    def _drain(self, host: str) -> None:
        until = self._world.wall + 8.0 if self._rng.random() < 0.3 else None
        self.ask("drain", host=host, until=until, force=True, at_a_time=self._rng.choice([0, 1]))

    def _move(self, service: str, host: str) -> None:
        at = self._world.wall + 8.0 if self._rng.random() < 0.3 else None
        self.ask("move", instances=[service], to=host, at=at)

    def _pause(self, item: str) -> None:
        until = self._world.wall + 8.0 if self._rng.random() < 0.3 else None
        self.ask("pause", item=item, until=until)

    def ask(self, kind: str, **more: Any) -> None:
        """Through the monitor where there is one; else, and now and then, by a playbook."""
        monitor = self._sim.monitor
        if monitor is None or self._rng.random() < 0.2:
            self.playbook(kind, **more)
            return
        if kind in WHOLE:
            self.playbook(kind, leave_out=monitor.brain.left_out(asked=True), **more)
            return
        request = self._request(kind, more)
        number, names = self.count, list(more.get("instances") or ())
        self._waiting[number] = (monitor.number, kind)
        self._world.tell("eve asks monitor %d to %s %s" % (monitor.number, kind, more))

        def answered(came: Mapping[str, Any]) -> None:
            self._world.tell("eve gets the answer: %s" % came)
            del self._waiting[number]
            self._came(number, kind, names, bool(came["ok"]))

        monitor.do(monitor.brain.ask(request, answered))

    def playbook(self, kind: str, leave_out: list[str] | None = None, **more: Any) -> None:
        request = self._request(kind, more)
        number, names = self.count, list(more.get("instances") or ())
        self._world.tell("eve runs %s %s" % (kind, more))

        def over(report: Report, why: str) -> None:
            refused = [a for a in (report.get("plan") or {}).get("actions", ()) if a["action"] == "refuse"]
            self._came(number, kind, names, bool(report) and not refused)

        self._sim.runs.begin(request, over, leave_out=leave_out)

    def _request(self, kind: str, more: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        for name in more.get("instances") or ():
            if name in self._may and kind in WANTED:
                self._may[name].add(WANTED[kind])
                self._open.setdefault(name, set()).add(self.count)
                if len(self._open[name]) > 1:
                    self._mixed.add(name)
        return {"kind": kind, "who": "eve", "from": "controller", "why": "a test", **more}

    def _came(self, number: int, kind: str, names: list[str], accepted: bool) -> None:
        """Requests under way together may come out either way; one that was alone and accepted decides."""
        for name in names:
            under_way = self._open.get(name, set())
            if number not in under_way:
                continue
            under_way.discard(number)
            if accepted and kind in ("start", "stop", "restart") and name not in self._mixed:
                self._may[name] = {WANTED[kind]}
            if not under_way:
                self._mixed.discard(name)

    def settled(self, name: str, wanted: str) -> None:
        """No request is under way any more: record the outcome."""
        if name in self._may:
            self._may[name] = {wanted}
            self._open.pop(name, None)
            self._mixed.discard(name)

    def all_answered(self) -> None:
        """A request is answered by the monitor that took it, unless that one was killed."""
        alive = self._sim.monitor.number if self._sim.monitor else 0
        left = [what for number, what in self._waiting.values() if number == alive]
        self._world.demand(not left, "asks", "never answered: %s" % left)
