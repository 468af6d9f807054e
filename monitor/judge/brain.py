# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor knows and decides, without a clock and without I/O: `monitor.loop` and the simulation drive it.

What happened is told to it (a new watch list, a health that changed, a line that was lost, a run that is over); at
each `turn` it says through its `Hands` what is to be done. `now` is seconds of a monotonic clock, `wall` seconds since
1970.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..watch.watch_list import Watch
from . import hosts
from .health import Health, Kind, State
from .hosts import Hosts, Line, Signal, Verdict
from .intents import Intent, Intents
from .schedule import LOOK_APART, Schedule
from .shadow import Shadows
from .wishes import EXIT, BusKey, Exit, ServiceKey, Wish, decide

AT_ONCE = 500  # intents one run takes
SERVICES_APART = 30.0  # s between two reconciles because of host services
MONITOR = "monitor"  # who noted that a host is gone, when no person did
CAME_DURING = 0.5  # s before a run was sent that what it found may still be about

_ENDED = (Kind.GONE, Kind.REFUSED, Kind.UNREACHABLE)


class Hands(Protocol):
    """What carries decisions out."""

    def send(self, order: Mapping[str, Any]) -> str | None:
        """Give intents or a request to the parked run; its name, or None when there is none just now."""

    def reconcile(self, why: str, leave_out: list[str]) -> bool:
        """Begin a reconcile run that does not go to these hosts; whether it could be started."""

    def say(self, event: str, why: str = "", **facts: Any) -> None:
        """A line for the journal."""


@dataclass(slots=True)
class Ask:
    """A person's request on its way; `answer` is called once, with what came of it."""

    request: dict[str, Any]
    answer: Callable[[dict[str, Any]], None]
    run: str = ""
    sent: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class Brain:
    """One writer: the loop. `buses` and `services` are the prober's own tables."""

    hands: Hands
    buses: Mapping[BusKey, Health]
    services: Mapping[ServiceKey, Health]
    intents: Intents
    schedule: Schedule
    watch: Watch = field(default_factory=Watch)
    hosts: Hosts = field(default_factory=Hosts)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    exits: dict[BusKey, Exit] = field(default_factory=dict)
    shadows: Shadows = field(default_factory=Shadows)
    asks: deque[Ask] = field(default_factory=deque)
    reconciling: bool = False
    _sent: dict[str, float] = field(default_factory=dict)  # run -> when
    _storm: str = ""
    _bus_lines: dict[str, Line] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)  # hosts a run was sent to look at

    # What happened.

    def take_watch(self, watch: Watch, now: float) -> None:
        before, self.watch = self.watch, watch
        self.schedule.watch_changed(before, watch, now)
        self.hosts.follow(watch.machines)
        for key in [k for k in self.exits if k[0] not in watch.instances or watch.instances[k[0]].epoch != k[1]]:
            del self.exits[key]
        for intent, how in self.intents.settle(watch):
            self.hands.say("intent satisfied", how, id=intent.id, about=intent.wish.key)
        for name, line in self.hosts.lines().items():
            if watch.hosts.get(name) == hosts.UP and before.hosts.get(name) in (hosts.DOWN, hosts.SUSPECT):
                self.hosts.answered(name, now)  # the run that noted this had reached it
            away = watch.hosts.get(name) in (hosts.DOWN, hosts.SUSPECT) and watch.machines[name].by == MONITOR
            if away and line.signal is Signal.FINE and before.hosts.get(name) != watch.hosts[name]:
                # it came back while the run that noted this was under way
                self.schedule.soon("%s answers: it is looked at before it is used" % name, 0.0)

    def watch_lost(self, again: bool) -> None:
        """The watch list is gone or damaged: whoever reconciles publishes it anew."""
        self.schedule.soon("the watch list has to be published again", SERVICES_APART if again else 0.0)

    def health_changed(self, key: BusKey | ServiceKey, health: Health, now: float) -> None:
        name, where = key
        if isinstance(where, str) and health.state(now) is State.UNHEALTHY:
            service = self.watch.services.get((name, where))
            if service is not None and service.target.how.shadow:
                self.hands.say("would act", "%s on %s: %s" % (name, where, health.why), what="reconcile")
                return
            # a host service: its service manager, or what supervises that, may be gone
            self.schedule.soon("%s on %s does not answer: %s" % (name, where, health.why), SERVICES_APART)

    def line_changed(self, host: str, signal: Signal, why: str, now: float) -> bool:
        """What the line to a host shows; true when that changes anything."""
        before = self.hosts.lines().get(host, Line()).signal
        changed = self.hosts.line(host, signal, why, now)
        if changed:
            if signal is not Signal.DOUBT:
                self.hands.say("host", why, host=host, line=signal.value)
            believed = self.watch.hosts.get(host)
            back = signal is Signal.FINE or (before is Signal.LOST and signal is Signal.GONE)
            if back and before in hosts.AWAY:
                self.schedule.reached([host])
            if back and believed in (hosts.DOWN, hosts.SUSPECT):
                self.schedule.soon("%s answers again: it is looked at before it is used" % host, 0.0)
        return changed

    def program_ended(self, instance: str, epoch: int, program: str, how: str, wall: float) -> None:
        """A program ended by itself, as its host's service manager told."""
        entry = self.watch.instances.get(instance)
        if entry is None or entry.epoch != epoch:
            return
        strategy = self.watch.programs.get(entry.application, {}).get(program)
        if strategy is None:
            return
        known = self.exits.setdefault((instance, epoch), Exit(wall, entry.host))
        known.programs[program] = how
        if strategy == "continue":
            self.schedule.soon("%s of %s on %s %s" % (program, instance, entry.host, how))

    def ask(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        """Take a person's request; it goes to the next parked run."""
        self.asks.append(Ask(request, answer))

    def run_over(self, run: str, result: Mapping[str, Any], why: str, now: float) -> None:
        """A parked run did its work; what the watch list does not show as satisfied is queued again."""
        results: dict[str, dict[str, Any]] = dict(result.get("results") or {})
        came_of = {name: ": ".join(filter(None, (r.get("result"), r.get("reason")))) for name, r in results.items()}
        kept = [i["why"] for i in (result.get("plan") or {}).get("intents") or [] if i.get("outcome") != "acted"]
        self.hands.say("run over", why, run=run, outcome=came_of, held=kept)
        self._heard(run, result, now)
        for name, came in results.items():
            if came.get("result") == "refused":
                self.schedule.soon("%s: %s" % (name, came.get("reason") or "its host refused"))
        for intent in self.intents.dropped(run, EXIT):
            self.exits.pop((intent.wish.instance, intent.wish.epoch), None)
            if results.get(intent.wish.instance, {}).get("result") != "running":
                self.schedule.soon("run %s did not do it: %s" % (run, intent.wish.why))
        for intent in self.intents.returned(run, now):
            self.hands.say("intent kept", "run %s did not satisfy it" % run, **facts(intent))
            if intent.attempts == 1:
                self.schedule.soon("run %s did not do it: %s" % (run, intent.wish.why))
        # Stopped because it failed too often there: this run had not looked at the other hosts.
        homeless = [name for name, came in results.items() if came.get("result") == "stopped" and self._homeless(name)]
        self.schedule.finish([*((result.get("plan") or {}).get("waits") or {}), *homeless])
        for name, line in self.hosts.lines().items():
            if line.signal is Signal.GONE and self.watch.hosts.get(name) == hosts.DOWN and name not in self._looked:
                self._looked.add(name)  # what was there is moved: now its service manager can be started again
                self.schedule.soon("%s: %s" % (name, line.why), LOOK_APART)
        for ask in [ask for ask in self.asks if ask.run == run]:
            self._answer(ask, result, why)

    def _homeless(self, name: str) -> bool:
        entry = self.watch.instances.get(name)
        return self.watch.wanted.get(name) == "started" and (entry is None or entry.phase == "free")

    def reconcile_over(self, result: Mapping[str, Any], began: float) -> None:
        self.reconciling = False
        self.schedule.over(result.get("plan") is not None, began)
        self.request_over(result, began)

    def request_over(self, result: Mapping[str, Any], began: float) -> None:
        """A whole run did its work: what it had to leave to another run is planned again once that one is over."""
        self._noted(result, began)
        self.schedule.finish((result.get("plan") or {}).get("waits") or {})

    # What is to be done.

    def turn(self, now: float, wall: float) -> None:
        """Judge, decide, act."""
        self._judge(now)
        wishes = [] if self.hosts.storm else decide(
            self.watch, self.buses, self.services, now, self.verdicts, self.exits, wall
        )  # fmt: skip
        for wish in self.shadows.note(wishes, wall):
            why = "it is paused, so nothing is done: " + wish.why if wish.paused else wish.why
            self.hands.say("would act", why, instance=wish.instance, epoch=wish.epoch, what=wish.what)
        for intent in self.intents.offer(wishes, wall):
            self.hands.say("intent", intent.wish.why, **facts(intent))
        ready = self.intents.ready(self.watch, now)[:AT_ONCE]
        if ready and not self.hosts.storm:
            self._send(ready, now)
        ask = next((ask for ask in self.asks if not ask.run), None)
        if ask is not None:
            self._send_ask(ask, now)
        self.schedule.reached(self.left_out(asked=True))  # their lines tell when they are back
        known = self.watch.revision >= 0 or self.schedule.asked
        if not self.reconciling and known and not self.hosts.storm:
            why = self.schedule.due(self.watch, now, wall)
            if why:
                leave_out = sorted(set(self.left_out()) - self.schedule.looks_at(now))
                self.schedule.started(now, why)
                self.reconciling = self.hands.reconcile(why, leave_out)
                if not self.reconciling:
                    self.schedule.soon(why, SERVICES_APART)  # the reason is still there

    def next_time(self, now: float) -> float | None:
        """When something falls due although nothing happens."""
        watch = self.watch
        judged = self.hosts.next_time(watch.host_down_after, now, watch.host_interval)
        times = (self.intents.next_time(now), judged)
        return min((time for time in times if time is not None), default=None)

    def left_out(self, asked: bool = False) -> list[str]:
        """Hosts no run goes to: believed down, and silent. One that is there without its service manager needs a run.

        Where no line is held, nothing but a run tells that a host is back: one goes there now and then, and when a
        person asked for it, who may know.
        """
        lines, silent = self.hosts.lines(), []
        for name, state in self.watch.hosts.items():
            signal = lines[name].signal if state == hosts.DOWN and name in lines else Signal.FINE
            nothing = signal is Signal.NONE and not asked and not self._shows_itself(name)
            if signal is Signal.LOST or nothing:
                silent.append(name)
        return sorted(silent)

    def _shows_itself(self, name: str) -> bool:
        """Whether a bus or a run there speaks for the host, or nobody has looked yet."""
        verdict = self.verdicts.get(name)
        return verdict is None or verdict.state == hosts.UP

    def suspects(self) -> dict[str, str]:
        """host -> why, of those of which one signal is lost."""
        return {name: verdict.why for name, verdict in self.verdicts.items() if verdict.state == hosts.SUSPECT}

    def _judge(self, now: float) -> None:
        watch = self.watch
        holding = {entry.host for entry in watch.instances.values() if entry.phase != "failed"}
        down = [name for name, state in watch.hosts.items() if state == hosts.DOWN]
        before = self.verdicts
        buses = self._buses_by_host(now)
        self.verdicts = self.hosts.judge(buses, holding, down, watch.host_down_after, now, watch.host_interval)
        for name, verdict in self.verdicts.items():
            known = before.get(name)
            news = known.state != verdict.state if known is not None else verdict.state != hosts.UP
            if news:
                self.hands.say("host", verdict.why, host=name, state=verdict.state)
            self._second_look(name, verdict, now)
        if self.hosts.storm != self._storm:
            self._storm = self.hosts.storm
            self.hands.say("storm" if self._storm else "storm over", self._storm or "enough hosts answer again")

    def _second_look(self, name: str, verdict: Verdict, now: float) -> None:
        """Where nothing else will tell, a run that goes there is the second signal, or speaks for the host."""
        if verdict.state == hosts.UP:
            self._looked.discard(name)
        alone = verdict.state == hosts.SUSPECT and verdict.lost < 2
        if alone and now - verdict.since > self.watch.host_down_after and name not in self._looked:
            self._looked.add(name)
            self.schedule.soon("%s: %s" % (name, verdict.why), LOOK_APART)

    def _buses_by_host(self, now: float) -> dict[str, Line]:
        """What the buses and host services of each host show together: one that answers speaks for its host.

        It is lost since that was noticed: a bus that missed some answers is still healthy, since long ago.
        """
        lines = self.hosts.lines()
        lost: set[str] = set()
        refused: set[str] = set()
        takes: set[str] = set()  # hosts where something takes connections, even if it does not answer
        fine: set[str] = set()
        for (name, epoch), health in self.buses.items():
            entry = self.watch.instances.get(name)
            if entry is not None and entry.epoch == epoch and entry.phase == "running":
                self._bus_signal(entry.host, health, lines, lost, refused, takes, fine)
        for (_unused, where), health in self.services.items():
            self._bus_signal(where, health, lines, lost, refused, takes, fine)
        found = {name: Line(Signal.FINE) for name in fine}
        for name in lost - fine:
            known = self._bus_lines.get(name)
            since = known.since if known is not None and known.signal in hosts.AWAY else now
            signal = Signal.GONE if name in refused else Signal.LOST
            found[name] = Line(signal, since, "no bus on %s answers any more" % name, cut=name not in takes)
        self._bus_lines = found
        return found

    @staticmethod
    def _bus_signal(
        host: str, health: Health, lines: Mapping[str, Line], lost: set[str], refused: set[str], takes: set[str],
        fine: set[str],
    ) -> None:  # fmt: skip
        line = lines.get(host)
        since = line.since if line is not None and line.signal in hosts.AWAY else 0.0
        if health.last.kind is Kind.ANSWERED:
            if health.last.at >= since and health.missed == 0 and health.last.latency > 0:
                fine.add(host)
        elif health.last.kind in _ENDED or health.missed >= min(2, health.failures):
            lost.add(host)
            if health.last.kind is not Kind.UNREACHABLE:
                takes.add(host)
            if health.last.kind in (Kind.GONE, Kind.REFUSED):
                refused.add(host)

    def _send(self, intents: list[Intent], now: float) -> None:
        order: dict[str, Any] = {"intents": [intent.to_json() for intent in intents]}
        suspects = self.suspects()
        if suspects:
            order["suspects"] = suspects
        run = self.hands.send(order)
        if run is None:
            return  # the next standby wakes the loop when it is parked
        self.intents.taken(intents, run)
        self._sent[run] = now
        about = sorted(intent.wish.key for intent in intents)
        self.hands.say("run", "%d intents sent" % len(intents), run=run, about=about)

    def _send_ask(self, ask: Ask, now: float) -> None:
        order: dict[str, Any] = {"request": ask.request}
        suspects = self.suspects()
        if suspects:
            order["suspects"] = suspects
        run = self.hands.send(order)
        if run is not None:
            ask.run, ask.sent = run, now
            ask.attempts += 1
            self._sent[run] = now
            kind, who = ask.request.get("kind"), ask.request.get("who")
            self.hands.say("run", "a request is sent", run=run, kind=kind, who=who)

    def _heard(self, run: str, result: Mapping[str, Any], now: float) -> None:
        self._noted(result, self._sent.pop(run, now))

    def _noted(self, result: Mapping[str, Any], began: float) -> None:
        """Which hosts a run reached, and which not."""
        answered = result.get("answered") or ()
        for host in answered:
            self.hosts.answered(host, began + CAME_DURING)
        self.schedule.reached(answered)
        for host, why in (result.get("unreachable") or {}).items():
            self.hosts.silent(host, why, began + CAME_DURING)
            self.schedule.unreached(host, why, began)

    def _answer(self, ask: Ask, result: Mapping[str, Any], why: str) -> None:
        plan = result.get("plan")
        if plan is None and ask.attempts < 2:
            ask.run = ""  # the run was lost before it planned anything; nothing was asked of anybody
            return
        self.asks.remove(ask)
        if plan is None:
            ask.answer({"ok": False, "said": ["the run was lost: %s" % (why or "it left no result")], "results": {}})
            return
        refused = [action["reason"] for action in plan["actions"] if action["action"] == "refuse"]
        results = result.get("results") or {}
        failed = [name for name, came in results.items() if came.get("result") in ("failed", "refused")]
        said = list(result.get("sentences") or []) + list(result.get("outcome") or [])
        ask.answer({
            "ok": not (refused or failed or why), "said": refused or said, "refused": bool(refused),
            "run": plan["run"], "results": results,
        })  # fmt: skip


def facts(intent: Intent) -> dict[str, Any]:
    """What the journal says of an intent."""
    wish: Wish = intent.wish
    told = {"id": intent.id, "instance": wish.instance, "epoch": wish.epoch, "cause": wish.cause, "what": wish.what}
    return {**told, "host": wish.host} if wish.host else told
