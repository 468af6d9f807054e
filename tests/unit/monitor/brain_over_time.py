# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's decisions over some seconds: the real watch list, prober and brain, with signals from a scenario.

`given` has the short form of tests/scenario_form.py (of which `ledger` makes the watch list) and `steps`. Each step has
`at`, in seconds, and says what is different from then on: `buses` (instance -> kind of result), `services` ("service
host" -> kind), `lines` (host -> signal), `silent` and `back` (hosts: their line and all their buses and services),
`ended` (instance -> program -> how), `ledger` (merged into that of before), `request` (of a person), `over` (run -> its
report), `runs` (false: none is parked). A kind is "quiet" when the probe reports nothing.

What nobody changes is reported again each second. At the beginning everything answers, but what `at_first` says, which
has `lines`, `buses` and `services` as a step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from monitor.core.model.sentences import listing
from monitor.core.report.watch_list import watch_document
from monitor.judge.brain import Brain
from monitor.judge.effects import Answer, BusEnded, Effect, Note, Reconcile, Send, Wake
from monitor.judge.health import Health, Kind, Result
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from monitor.judge.target import Target
from monitor.judge.watch_list import Watch, parse
from monitor.watch.prober import Key, Prober
from monitor.watch.probes import Report
from tests import scenario_form

TICK = 0.5  # s
AFTER = 3.0  # s that are shown after the last step
QUIET = "quiet"
WHY = {
    "missed": "it takes connections but did not answer",
    "gone": "its connection ended and nothing listens any more",
    "refused": "nothing listens",
    "unreachable": "it cannot be reached",
    "unsure": "the probe was turned away",
}
Json = dict[str, Any]


class _Signals:
    """Stands for a probe; its reports come from the scenario."""

    def start(self) -> None: ...

    def nudge(self) -> None: ...

    def stop(self) -> None: ...


class BrainOverTime:
    def __init__(self, given: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in given.items() if key not in ("steps", "at_first")}
        self.given = scenario_form.based(rest)
        self.first: Mapping[str, Any] = given.get("at_first", {})
        self.steps = sorted(given["steps"], key=lambda step: float(step["at"]))
        self.site = scenario_form.build_site(self.given)
        self.now, self.parked, self.shown = 0.0, True, list[str]()
        self.reports: dict[str, Report] = {}
        self.kinds: dict[str, str] = {}  # by the name of the probe
        self.lines = {host.name: "fine" for host in self.site.hosts}
        self.prober = Prober(self.health_changed, self.complain, self.make)
        self.brain = Brain(self.prober.buses, self.prober.services, Intents("m"), Schedule(0.0))
        self.revision, self.runs, self.watch = 0, 0, Watch()

    def play(self) -> list[str]:
        """The brain's effects as lines, each with its time."""
        self.take_ledger({})
        self.take(self.first)
        self.report()
        self.shown.clear()  # that every line is fine at the beginning
        last = float(self.steps[-1]["at"]) + AFTER
        while self.now <= last:
            for step in [step for step in self.steps if float(step["at"]) == self.now]:
                self.take(step)
            if self.now == int(self.now):
                self.report()
            wall = scenario_form.NOW + self.now
            self.do(self.brain.turn(self.now, wall))
            self.do(self.brain.reconcile_due(self.now, wall))
            self.now += TICK
        return self.shown or ["nothing"]

    # What is passed in.

    def take(self, step: Mapping[str, Any]) -> None:
        self.parked = bool(step.get("runs", self.parked))
        if "ledger" in step:
            self.take_ledger({"ledger": step["ledger"]})
        for words, line, kind in (("silent", "lost", "unreachable"), ("back", "fine", "answered")):
            for host in step.get(words, ()):
                self.lines[host] = line
                self.kinds.update(dict.fromkeys(self.on(host), kind))
        self.lines.update(step.get("lines", {}))
        self.kinds.update(step.get("services", {}))
        for name, kind in step.get("buses", {}).items():
            self.kinds["%s %d" % (name, self.watch.instances[name].epoch)] = kind
        for name, programs in step.get("ended", {}).items():
            epoch = self.watch.instances[name].epoch
            for program, how in programs.items():
                self.do(self.brain.program_ended(name, epoch, program, how, scenario_form.NOW + self.now))
        if "request" in step:
            self.do(self.brain.ask(step["request"], step["request"].get("who")))
        for run, result in step.get("over", {}).items():
            self.do(self.brain.run_over(run, result, "", self.now))
        if self.now != int(self.now):
            self.report()

    def on(self, host: str) -> list[str]:
        buses = ["%s %d" % (i.name, i.epoch) for i in self.watch.instances.values() if i.host == host]
        return buses + ["%s %s" % key for key in self.watch.services if key[1] == host]

    def take_ledger(self, news: Mapping[str, Any]) -> None:
        self.given = scenario_form.merge(self.given, news)
        self.revision += 1
        state = scenario_form.build_state(self.given)
        document = json.loads(json.dumps(watch_document(self.site, state, self.revision)))
        self.watch = parse(document)
        self.prober.follow(self.watch, self.now)
        self.do(self.brain.take_watch(self.watch, self.now))

    def report(self) -> None:
        """Let every probe and line report its current state."""
        for host, signal in self.lines.items():
            why = "" if signal == "fine" else "the line to %s is %s" % (host, signal)
            self.do(self.brain.line_changed(host, Signal(signal), why, self.now))
        for name, report in list(self.reports.items()):
            kind = self.kinds.get(name, "answered")
            if kind == QUIET:
                continue
            latency = 0.001 if kind == "answered" else 0.0
            report(Result(Kind(kind), self.now, WHY.get(kind, ""), latency))
            if kind == "gone":
                self.kinds[name] = "refused"

    def make(self, name: str, _target: Target, report: Report) -> _Signals:
        self.reports[name] = partial(self._relay, name, report)
        return _Signals()

    def _relay(self, name: str, report: Report, result: Result) -> None:
        instance, _unused, epoch = name.rpartition(" ")
        known = self.watch.instances.get(instance)
        if known is None or str(known.epoch) == epoch:  # what was turned over reports nothing any more
            report(result)

    def health_changed(self, key: Key, health: Health) -> None:
        if len(key) == 2:
            self.do(self.brain.health_changed(key, health, self.now))

    def complain(self, why: str) -> None:
        raise AssertionError(why)

    # What comes out.

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Note(event, why, facts):
                    self.show("note %s%s%s" % (event, _facts(facts), ": " + why if why else ""))
                case Send(order) if self.parked:
                    self.runs += 1
                    run = "run-%d" % self.runs
                    self.show_order(run, order)
                    self.do(self.brain.sent(effect, run))
                case Send(order):
                    self.show("no run takes %s" % listing(order.keys() - {"suspects"}))
                case Reconcile(why, leave_out):
                    without = " without %s" % listing(leave_out) if leave_out else ""
                    self.show("reconcile%s: %s" % (without, why))
                    self.do(self.brain.reconcile_begun(effect, True))
                case Answer(waiter, content):
                    self.show("answer to %s: %s" % (waiter, "ok" if content["ok"] else listing(content["said"])))
                case BusEnded(instance, epoch, why):
                    self.prober.ended((instance, epoch), why)
                case Wake():
                    pass

    def show_order(self, run: str, order: Mapping[str, Any]) -> None:
        for intent in order.get("intents", ()):
            rest = {key: value for key, value in intent.items() if key not in ("what", "instance", "host", "why", "at")}
            rest["at"] = "%g s" % (intent["at"] - scenario_form.NOW)
            if "began" in rest:
                rest["began"] = "%g s" % (intent["began"] - scenario_form.NOW)
            about = intent["instance"] or intent["host"]
            self.show("%s gets %s %s%s: %s" % (run, intent["what"], about, _facts(rest), intent["why"]))
        if "request" in order:
            self.show("%s gets the request%s" % (run, _facts(order["request"])))
        for host, why in order.get("suspects", {}).items():
            self.show("%s learns that %s is suspect: %s" % (run, host, why))

    def show(self, text: str) -> None:
        if not self.shown or self.shown[-1].partition("  ")[2] != text:
            self.shown.append("%.1f s  %s" % (self.now, text))


def _facts(facts: Mapping[str, Any]) -> str:
    words = []
    for key, value in facts.items():
        if isinstance(value, (list, tuple)):
            value = listing([str(entry) for entry in value])
        elif isinstance(value, Mapping):
            value = listing(["%s %s" % pair for pair in value.items()])
        if value not in ("", None):
            words.append("%s %s" % (key, value))
    return " (%s)" % ", ".join(words) if words else ""
