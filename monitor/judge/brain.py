# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor knows and decides, without a clock and without I/O. `monitor.loop` and the simulation drive it.

One rule for all methods: what happened is passed in (a new watch list, a health that changed, a line that was lost, a
run that ended), the brain changes what it knows, and returns what is to be done at once as a list of `effects`. Only
`turn` and `reconcile_due` return effects that start runs. Neither takes a run as started before the caller has said so
(`sent`, `reconcile_begun`).

`now` is seconds of a monotonic clock, `wall` seconds since 1970.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.model.words import DOWN, FAILED, FREE, MONITOR, PROGRAM_EXIT, RUNNING, STARTED, SUSPECT, UP
from .asks import Asks
from .bus_signals import BusSignals
from .effects import Answer, BusEnded, Effect, Look, Reconcile, Send, Wake, note
from .fencing import Fencing
from .health import Health, Kind, State
from .hosts import AWAY, Hosts, Line, Signal, Verdict, left_out
from .intents import Intents, facts
from .proofs import Proofs
from .schedule import LOOK_APART_SECONDS, Schedule
from .service_ends import ServiceEnds
from .shadow import Shadows
from .watch_list import Watch
from .windows import Windows
from .wishes import BusKey, Exit, ServiceKey, Wish, decide

INTENTS_PER_RUN = 500  # intents one run takes
SERVICES_APART_SECONDS = 30.0  # between two reconciles because of host services
TOGETHER_SECONDS = 0.3  # after a program ended, within which its host may turn out to be lost
CAME_DURING_SECONDS = 0.5  # before a run was sent that what it found may still be about


@dataclass(slots=True)
class Brain:
    """Used by the loop alone. `buses` and `services` are the prober's own tables."""

    buses: Mapping[BusKey, Health]
    services: Mapping[ServiceKey, Health]
    intents: Intents
    schedule: Schedule
    watch: Watch = field(default_factory=Watch)
    hosts: Hosts = field(default_factory=Hosts)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    exits: dict[BusKey, Exit] = field(default_factory=dict)
    shadows: Shadows = field(default_factory=Shadows)
    asks: Asks = field(default_factory=Asks)
    fencing: Fencing = field(default_factory=Fencing)
    windows: Windows = field(default_factory=Windows)
    service_ends: ServiceEnds = field(default_factory=ServiceEnds)
    proofs: Proofs = field(default_factory=Proofs)
    reconciling: bool = False
    blind_until: float = 0.0  # no run of this controller has looked at the hosts: a request would hold all of them
    bus_signals: BusSignals = field(default_factory=BusSignals)
    runs_sent: dict[str, float] = field(default_factory=dict)  # run -> when
    _storm: str = ""
    _ended: float | None = -math.inf  # when a program ended last, of those that only a look at all hosts repairs
    _looked: set[str] = field(default_factory=set)  # hosts a run was sent to look at

    # One turn: judge the hosts, decide what must happen, have it done.

    def turn(self, now: float, wall: float) -> list[Effect]:
        """What is to be done now because of failures and requests."""
        effects = self.judge_hosts(now)
        proven, asked = self.proofs.sift(self._wishes(now, wall), self.watch, self.hosts, now)
        wishes, fences = self.fencing.sift(proven, self.watch, self.intents)
        effects += asked + fences + self._queue(wishes, wall)
        return effects + self._send_intents(now) + self._send_request(now, wall)

    def reconcile_due(self, now: float, wall: float) -> list[Effect]:
        """The reconcile that is due although no failure asks for it; at most one runs at a time, none in a storm.

        Apart from `turn`, so that a defect in it does not stop what failures and requests call for.
        """
        self.schedule.reached(self.left_out(asked=True))  # their lines show when they are back
        known = self.watch.revision >= 0 or self.schedule.asked
        if self.reconciling or not known or self.hosts.storm or self._undecided(now):
            return []
        why = self.schedule.due(self.watch, now, wall, regular=not self._waits_for_a_run())
        if not why:
            return []
        leave_out = tuple(sorted(set(self.left_out()) - self.schedule.looks_at(now)))
        return [(Look if self.schedule.by_lines(self.watch, why, now) else Reconcile)(why, leave_out, now)]

    def _undecided(self, now: float) -> bool:
        """Whether a host fell silent a moment ago, or may be about to: what ends together is judged together."""
        if self._ended is None or now - self._ended < TOGETHER_SECONDS:
            self._ended = now if self._ended is None else self._ended
            return True
        fell = now - self.watch.host_down_after
        silent = [v.host for v in self.verdicts.values() if v.state == SUSPECT and not v.answers and v.since > fell]
        return any(self.watch.hosts.get(host) != DOWN for host in silent)

    def _waits_for_a_run(self) -> bool:
        """Whether a request or an intent has not had a run yet: these come before the regular look at all hosts."""
        return self.asks.next() is not None or any(not i.run and not i.attempts for i in self.intents)

    def next_time(self, now: float) -> float | None:
        """When something falls due although nothing happens."""
        watch = self.watch
        judged = self.hosts.next_time(watch.host_down_after, now, watch.host_interval)
        together = self._ended + TOGETHER_SECONDS if self._ended is not None else now
        times = (self.intents.next_time(now), judged, together if together > now else None, self.proofs.due)
        return min((time for time in times if time is not None), default=None)

    def judge_hosts(self, now: float) -> list[Effect]:
        """Every host's verdict as of now."""
        watch, before, effects = self.watch, self.verdicts, list[Effect]()
        holding = {entry.host for entry in watch.instances.values() if entry.phase != FAILED}
        down = [name for name, state in watch.hosts.items() if state == DOWN]
        buses = self.bus_signals.judge(self._running(), self.hosts.lines(), now)
        serving = None if not watch.machines else [name for name, host in watch.machines.items() if host.serves]
        self.verdicts = self.hosts.judge(
            buses, holding, down, watch.host_down_after, now, watch.host_interval, serving
        )
        for name, verdict in self.verdicts.items():
            known = before.get(name)
            if verdict.state != (known.state if known is not None else UP):
                effects.append(note("host", verdict.why, host=name, state=verdict.state))
            self._second_look(name, verdict, now)
        if self.hosts.storm != self._storm:
            self._storm = self.hosts.storm
            why = self._storm or "enough hosts answer again"
            effects.append(note("storm" if self._storm else "storm over", why))
        return effects

    def _running(self) -> Iterator[tuple[str, Health]]:
        """(host, health) of every bus whose instance runs, and of every host service."""
        for (name, epoch), health in self.buses.items():
            entry = self.watch.instances.get(name)
            if entry is not None and entry.epoch == epoch and entry.phase == RUNNING:
                yield entry.host, health
        for (_unused, host), health in self.services.items():
            yield host, health

    def _second_look(self, name: str, verdict: Verdict, now: float) -> None:
        """Where only one signal is lost, a run that goes there gives the second one, or shows that the host is up.

        No run goes to a host that is left out: its line shows when it is back.
        """
        if verdict.state == UP:
            self._looked.discard(name)
        alone = verdict.state == SUSPECT and verdict.lost < 2 and name not in self._looked
        if alone and now - verdict.since > self.watch.host_down_after and name not in self.left_out():
            self._looked.add(name)
            self.schedule.soon("%s: %s" % (name, verdict.why), LOOK_APART_SECONDS)

    def _wishes(self, now: float, wall: float) -> list[Wish]:
        wishes = decide(self.watch, self.buses, self.services, now, self.verdicts, self.exits, wall)
        return [wish for wish in wishes if self._answers(wish)] if self.hosts.storm else wishes

    def _answers(self, wish: Wish) -> bool:
        """Whether it is about an instance on a host that answers: such a wish is served in a storm too."""
        entry = self.watch.instances.get(wish.instance)
        verdict = self.verdicts.get(entry.host) if entry is not None else None
        return verdict is not None and verdict.answers

    def _queue(self, wishes: list[Wish], wall: float) -> list[Effect]:
        """Queue an intent for each new wish; those of probes in shadow and of paused items only go to the journal."""
        effects: list[Effect] = []
        for wish in self.shadows.note(wishes, wall):
            why = "it is paused, so nothing is done: " + wish.why if wish.paused else wish.why
            effects.append(note("would act", why, instance=wish.instance, epoch=wish.epoch, what=wish.what))
        for intent in self.intents.offer(wishes, wall):
            effects.append(note("intent", intent.wish.why, **facts(intent)))
        return effects

    def _send_intents(self, now: float) -> list[Effect]:
        ready = self.intents.ready(self.watch, now)[:INTENTS_PER_RUN]
        if not ready:
            return []
        order = self._order("intents", [intent.to_json() for intent in ready])
        return [Send(order, now, intents=tuple(ready))]

    def _send_request(self, now: float, wall: float) -> list[Effect]:
        ask = self.asks.next()
        if ask is None or now < self.blind_until:
            return []
        request = dict(ask.request)
        if request.get("kind") == "confirm_down":
            request["heard"] = self.heard(str(request.get("host")), now, wall)
        return [Send(self._order("request", request), now, ask=ask)]

    def heard(self, name: str, now: float, wall: float) -> dict[str, float]:
        """When a host answered last, by its line, its buses or a run: {host: seconds since 1970}; empty if never."""
        verdict = self.verdicts.get(name)
        at = now if verdict is not None and verdict.answers else self.hosts.last_answer(name)
        return {name: wall - (now - at)} if at is not None else {}

    def _order(self, key: str, content: Any) -> dict[str, Any]:
        suspects = {name: verdict.why for name, verdict in self.verdicts.items() if verdict.state == SUSPECT}
        return {key: content, "suspects": suspects} if suspects else {key: content}

    # What became of the effects.

    def sent(self, send: Send, run: str) -> list[Effect]:
        """A run took this order. Without one the order is returned again: a standby that parks wakes the loop."""
        self.runs_sent[run] = send.at
        if send.ask is not None:
            self.asks.taken(send.ask, run)
            request = send.ask.request
            return [note("run", "a request is sent", run=run, kind=request.get("kind"), who=request.get("who"))]
        self.intents.taken(send.intents, run)
        about = sorted(intent.wish.key for intent in send.intents)
        return [note("run", "%d intents sent" % len(send.intents), run=run, about=about)]

    def reconcile_begun(self, reconcile: Reconcile | Look, begun: bool) -> list[Effect]:
        """A reconcile was started, or could not be: then it is tried again later, for the reason is still there."""
        if isinstance(reconcile, Look):
            self.schedule.looked(reconcile.at)
            self.reconciling = begun
            return []
        self.schedule.started(reconcile.at, reconcile.why)
        self.reconciling = begun
        if not begun:
            self.schedule.soon(reconcile.why, SERVICES_APART_SECONDS)
        return []

    def run_over(self, run: str, result: Mapping[str, Any], why: str, now: float) -> list[Effect]:
        """A run that took an order ended. Intents that the watch list does not show as satisfied are queued again.

        :param result: what the run reported; empty when it reported nothing.
        :param why: why it did not end well, "" when it did.
        """
        results: dict[str, dict[str, Any]] = dict(result.get("results") or {})
        came_of = {name: ": ".join(filter(None, (r.get("result"), r.get("reason")))) for name, r in results.items()}
        plan = result.get("plan") or {}
        held = [intent["why"] for intent in plan.get("intents") or [] if intent.get("outcome") != "acted"]
        effects: list[Effect] = [note("run over", why, run=run, outcome=came_of, held=held)]
        self._reached(result, self.runs_sent.pop(run, now))
        for name, came in results.items():
            if came.get("result") == "refused":
                self.schedule.soon("%s: %s" % (name, came.get("reason") or "its host refused"))
        for intent in self.intents.dropped(run, PROGRAM_EXIT):
            self.exits.pop((intent.wish.instance, intent.wish.epoch), None)
            if results.get(intent.wish.instance, {}).get("result") != "running":
                self.schedule.soon("run %s did not do it: %s" % (run, intent.wish.why))
        for intent in self.intents.returned(run, now):
            effects.append(note("intent kept", "run %s did not satisfy it" % run, **facts(intent)))
            if intent.attempts == 1:
                self.schedule.soon("run %s did not do it: %s" % (run, intent.wish.why))
        # Stopped because it failed too often there: this run had not looked at the other hosts.
        homeless = [name for name, came in results.items() if came.get("result") == "stopped" and self._homeless(name)]
        self.schedule.finish([*(plan.get("waits") or {}), *homeless])
        for name, line in self.hosts.lines().items():
            if line.signal is Signal.GONE and self.watch.hosts.get(name) == DOWN and name not in self._looked:
                self._looked.add(name)  # what was there is moved: now its service manager can be started again
                self.schedule.soon("%s: %s" % (name, line.why), LOOK_APART_SECONDS)
        effects += [Answer(ask.waiter, content, ask.request) for ask, content in self.asks.over(run, result, why)]
        return [*effects, Wake()]

    def reconcile_over(self, result: Mapping[str, Any], began: float) -> list[Effect]:
        """The reconcile ended. :param began: when it was started, by the monotonic clock."""
        self.reconciling, self.blind_until = False, 0.0
        self.schedule.over(result.get("plan") is not None, began)
        return self.request_over(result, began)

    def look_over(self, result: Mapping[str, Any], why: str) -> list[Effect]:
        """A look over the lines ended.

        :param result: with the ``plan``, when it came that far.
        :param why: why a reconcile has to follow, one sentence: it found something to do, or could not look everywhere.
        """
        self.reconciling = False
        if why:
            self.schedule.soon(why, 0.0)
        else:
            self.blind_until = 0.0
            self.schedule.finish((result.get("plan") or {}).get("waits") or {})
        return [Wake()]

    def request_over(self, result: Mapping[str, Any], began: float) -> list[Effect]:
        """A whole run ended; what it left to another run is planned again once that one is over."""
        self._reached(result, began)
        self.schedule.finish((result.get("plan") or {}).get("waits") or {})
        return [Wake()]

    def _homeless(self, name: str) -> bool:
        entry = self.watch.instances.get(name)
        return self.watch.wanted.get(name) == STARTED and (entry is None or entry.phase == FREE)

    def _reached(self, result: Mapping[str, Any], began: float) -> None:
        """Note which hosts a run reached, and which not."""
        answered = result.get("answered") or ()
        for host in answered:
            self.hosts.answered(host, began + CAME_DURING_SECONDS)
        self.schedule.reached(answered)
        for host, why in (result.get("unreachable") or {}).items():
            self.hosts.silent(host, why, began + CAME_DURING_SECONDS)
            self.schedule.unreached(host, why, began)

    # What happened.

    def take_watch(self, watch: Watch, now: float) -> list[Effect]:
        """There is a new watch list."""
        before, self.watch = self.watch, watch
        self.schedule.watch_changed(before, watch, now)
        self.hosts.follow(watch.machines)
        for name, machine in watch.machines.items():
            known = before.machines.get(name)
            if known is not None and known.way != machine.way:
                self.hosts.configured(name)
        for key in [k for k in self.exits if k[0] not in watch.instances or watch.instances[k[0]].epoch != k[1]]:
            del self.exits[key]
        for name, line in self.hosts.lines().items():
            if watch.hosts.get(name) == UP and before.hosts.get(name) in (DOWN, SUSPECT):
                self.hosts.answered(name, now)  # the run that noted this had reached it
            away = watch.hosts.get(name) in (DOWN, SUSPECT) and watch.machines[name].by == MONITOR
            if away and line.signal is Signal.FINE and before.hosts.get(name) != watch.hosts[name]:
                # it came back while the run that noted this was under way
                self.schedule.soon("%s answers: it is observed before it is used" % name, 0.0)
        return [
            note("intent satisfied", how, id=intent.id, about=intent.wish.key)
            for intent, how in self.intents.settle(watch)
        ]

    def watch_lost(self, again: bool) -> list[Effect]:
        """The watch list is gone or damaged: a reconcile publishes it again. :param again: it was before, too."""
        self.schedule.soon("the watch list has to be published again", SERVICES_APART_SECONDS if again else 0.0)
        return []

    def health_changed(self, key: BusKey | ServiceKey, health: Health, now: float) -> list[Effect]:
        """The health of a bus or of a host service changed."""
        name, where = key
        if isinstance(where, str) and health.state(now) is State.UNHEALTHY:
            service = self.watch.services.get((name, where))
            if service is not None and service.target.how.shadow:
                return [note("would act", "%s on %s: %s" % (name, where, health.why), what="reconcile"), Wake()]
            # a host service: its service manager, or what supervises that, may be gone
            self.schedule.soon("%s on %s does not answer: %s" % (name, where, health.why), SERVICES_APART_SECONDS)
        elif health.state(now) is State.UNKNOWN and health.last.kind is Kind.REFUSED:
            self.schedule.soon("%s: %s" % (name, health.why), LOOK_APART_SECONDS)  # the host knows more
        return [Wake()]

    def line_changed(self, host: str, signal: Signal, why: str, now: float) -> list[Effect]:
        """The line to a host shows this."""
        before = self.hosts.lines().get(host, Line()).signal
        if not self.hosts.line(host, signal, why, now):
            return self.proofs.heard(host) if signal is Signal.FINE else []
        believed = self.watch.hosts.get(host)
        back = signal is Signal.FINE or (before is Signal.LOST and signal is Signal.GONE)
        if back and before in AWAY:
            self.schedule.reached([host])
        if before is Signal.LOST and signal is Signal.REFUSED and believed == DOWN:
            self.schedule.unreached(host, why, now)  # the machine is there: runs try whether they get through
        if back and believed in (DOWN, SUSPECT):
            self.schedule.soon("%s answers again: it is observed before it is used" % host, 0.0)
        if signal is Signal.DOUBT:
            return [Wake()]
        self.windows.unseen(host)
        return [note("host", why, host=host, line=signal.value), Wake()]

    def reported(self, event: Mapping[str, Any], wall: float) -> list[Effect]:
        """A host says that a window of one of its programs stands still or answers again, or that a service ended."""
        if event.get("event") == "window" and self.windows.reported(event, self.watch):
            return [note("window", **{key: event[key] for key in ("host", "instance", "program", "state")}), Wake()]
        ended = event.get("event") == "exited" and not event.get("expected") and not event.get("busy")
        return [Wake()] if ended and self.service_ends.reported(event, self.watch, wall) else []

    def program_ended(
        self, instance: str, epoch: int, program: str, how: str, wall: float, expected: bool = False
    ) -> list[Effect]:
        """A program ended by itself, by the word of its host's service manager. :param how: "ended with code 3"."""
        entry = self.watch.instances.get(instance)
        strategy = self.watch.programs.get(entry.application, {}).get(program) if entry else None
        if entry is None or entry.epoch != epoch or (strategy is None and program != entry.bus_program):
            return []
        if program == entry.bus_program:  # its probe may not have reached it yet, or cannot
            return [BusEnded(instance, epoch, "%s on %s %s" % (program, entry.host, how))]
        if not expected:
            self.exits.setdefault((instance, epoch), Exit(wall, entry.host)).programs[program] = how
        if expected or strategy == "continue":
            self._ended = None
            self.schedule.soon("%s of %s on %s %s" % (program, instance, entry.host, how))
        return [Wake()]

    def ask(self, request: Mapping[str, Any], waiter: Any) -> list[Effect]:
        """A person asks for something; it goes to the next parked run. :param waiter: comes back in the `Answer`."""
        self.asks.add(request, waiter)
        return [Wake()]

    def left_out(self, asked: bool = False) -> list[str]:
        """Hosts that runs do not go to: believed down, and silent. One that only lacks its service manager needs a run.

        Where no line is held, only a run can show that a host is back: one goes there now and then, and when a person
        asked for the run, who may know.

        :param asked: of a run that a person asked for.
        """
        return left_out(self.watch.hosts, self.hosts.lines(), self.verdicts, asked)
