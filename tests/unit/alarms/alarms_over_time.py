# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms over some time: the real status document of what a scenario gives, and what is made of it each second.

`given` has the short form of tests/scenario_form.py and `steps`. Each step has `at`, in seconds, and says what is
different from then on: `ledger` and `seen` (merged into those of before), `monitor` (merged into what the monitor
wrote), `facts`; `acknowledge`, `shelve` and `drill` (what a person says about alarms, by key; of a shelf or a drill
until when), `leave` (hosts that are not in the site any more), and `restart` (of the monitor: only what it stored is
known, and as many seconds nobody looked). `rules` are the site's. Times in `ledger` that are below
1,000,000 count from the beginning.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from monitor.core.alarms.judge import judged
from monitor.core.alarms.life import Marks
from monitor.core.alarms.view import alarm_document, lines
from monitor.core.model.alarm import rule_from_json
from monitor.core.report import status
from tests import scenario_form

AFTER = 2.0  # s that are shown after the last step
Json = dict[str, Any]


class AlarmsOverTime:
    def __init__(self, given: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in given.items() if key not in ("steps", "rules")}
        self.given = scenario_form.based(rest)
        self.site = scenario_form.build_site(self.given)
        self.steps = sorted(given["steps"], key=lambda step: float(step["at"]))
        self.rules = [rule_from_json(rule) for rule in given.get("rules") or ()]
        self.monitor: Json = {"state": "running", "since": 0.0, "hosts": {}, "buses": {}, "services": {}}
        self.known: Json = {}
        self.facts: Json = {}
        self.notices: Json = {}
        self.marks = Marks()
        self.shown: list[str] = []
        self.states: dict[str, tuple[str, float]] = {}  # host -> as the monitor sees it, since when

    def play(self) -> list[str]:
        """Every change of an alarm's state, with its time; at last the list as a person reads it."""
        now, blind = 0.0, 0.0
        last = float(self.steps[-1]["at"]) + AFTER
        while now <= last:
            for step in [step for step in self.steps if float(step["at"]) == now]:
                self.take(step, now)
                blind = max(blind, now + float(step.get("restart") or 0.0))
            if now >= blind:
                self.look(now)
            now += 1.0
        document = alarm_document(self.known, self.marks, scenario_form.NOW + now - 1.0)
        return [*self.shown, "the list:", *lines(document, scenario_form.NOW + now - 1.0)]

    def take(self, step: Mapping[str, Any], now: float) -> None:
        self.given = scenario_form.merge(self.given, {k: step[k] for k in ("ledger", "seen") if k in step})
        self.monitor = scenario_form.merge(self.monitor, step.get("monitor", {}))
        self.facts.update(step.get("facts", {}))
        seen = {"by": "eve", "why": "", "at": scenario_form.NOW + now}
        for key in step.get("acknowledge", ()):
            self.notices["alarm:" + key] = {"what": "alarm", "about": key, **seen}
        for key, until in step.get("shelve", {}).items():
            shelf = {"what": "shelf", "about": key, **seen, "until": scenario_form.NOW + until}
            self.notices["shelf:" + key] = shelf
        for about, until in step.get("drill", {}).items():
            drill = {"what": "drill", "about": about, **seen, "why": "exercise", "until": scenario_form.NOW + until}
            self.notices["drill:" + about] = drill
        for host in step.get("leave", ()):
            self.leave(host)
        if "restart" in step:
            self.known = json.loads(json.dumps(self.known))

    def leave(self, host: str) -> None:
        """A deploy without this host."""
        kept = tuple(dataclasses.replace(one, identifiers=tuple(i for i in one.identifiers if i != host))
                     for one in self.site.applications)  # fmt: skip
        hosts = tuple(one for one in self.site.hosts if one.name != host)
        self.site = dataclasses.replace(self.site, hosts=hosts, applications=kept)
        self.given = {**self.given, "seen": {k: v for k, v in self.given["seen"].items() if k != host}}

    def look(self, now: float) -> None:
        wall = scenario_form.NOW + now
        state = scenario_form.build_state(_moved(self.given))
        state["notices"] = {**state["notices"], **self.notices}
        seen = scenario_form.build_observations(self.given, self.site)
        hosts = {}
        for name, host in self.monitor["hosts"].items():
            known = self.states.get(name)
            if known is None or known[0] != host["state"]:
                self.states[name] = (host["state"], now)
            hosts[name] = {**host, "since": now - self.states[name][1]}
            if host["state"] != "up" and name in seen:
                seen[name].setdefault("at", scenario_form.NOW + self.states[name][1] - 1.0)
        written = {**self.monitor, "hosts": hosts, "at": wall}
        document = status.status_document(self.site, state, 7, seen, written, wall)
        self.marks = Marks.of(document["marks"])
        self.known, changes = judged(document, self.known, self.marks, self.rules, self.facts)
        for change in changes:
            what = [change["subject"], change["before"] or "new", "->", change["after"]]
            if change["before"]:
                what.append("(after %g s)" % change["lasted"])
            kind = "%s %s: " % (change["priority"], change["kind"]) if change.get("kind") else ""
            self.shown.append(("%g s  %s  %s%s" % (now, " ".join(what), kind, change["why"])).rstrip())


def _moved(given: Mapping[str, Any]) -> Json:
    """The same with moments that count from the beginning as moments."""

    def moved(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: moved(entry, key) for key, entry in value.items()}
        if isinstance(value, list) and name in ("failures", "crashes"):
            return [[scenario_form.NOW + at if at < 1_000_000 else at, *rest] for at, *rest in value]
        if name in ("at", "since", "until") and isinstance(value, (int, float)) and 0 < value < 1_000_000:
            return scenario_form.NOW + value
        return value

    return {**given, "ledger": moved(given.get("ledger", {}))}
