# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications, their programs and the rules that programs take from models and patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ..model.site import AfterBudget, Application, Bus, Host, Ports, Program, Settings
from . import changes, keys_resources, keys_window, life, needs, rollout
from . import keys as compile_keys
from .errors import Keys, Problems, show, suggest
from .probes import Place, read_link, read_probe
from .reader import Reader, Values
from .values import is_port_name


@dataclass
class Known:
    """The names that others may refer to."""

    hosts: Tuple[Host, ...]
    groups: Mapping[str, Tuple[str, ...]]
    services: Dict[str, bool] = field(default_factory=dict)  # with a probe?
    applications: Tuple[str, ...] = ()

    def resolve(self, names: Tuple[str, ...], keys: Keys, problems: Problems) -> Tuple[str, ...]:
        """Hosts and groups as host names: in the order written, a group in site order, each once."""
        hosts = [host.name for host in self.hosts]
        found: Dict[str, None] = {}
        for name in names:
            if name == "*":
                members: Tuple[str, ...] = tuple(hosts)
            elif name in self.groups:
                members = self.groups[name]
                if not members:
                    problems.add(keys, "group %s holds no host of group muster_hosts" % show(name), name)
            elif name in hosts:
                members = (name,)
            else:
                users = [g for g in self.groups if g not in ("all", "ungrouped", "muster_controller")]
                problems.add(keys, "%s is neither a host of group muster_hosts nor a group of the inventory"
                             % show(name), name, suggest(name, users + hosts))
                continue
            found.update(dict.fromkeys(members))
        return tuple(found)


@dataclass(frozen=True)
class _Layer:
    """Program keys written at one place: a program, a rule or a model."""

    values: Values
    keys: Keys


@dataclass(frozen=True)
class _Rule:
    pattern: Any
    text: str
    layer: _Layer


class _Merged:
    """The keys that count for a program, and where each was written."""

    def __init__(self, layers: List[_Layer]) -> None:
        self.values = Values()
        self.origin: Dict[str, Keys] = {}
        for layer in reversed(layers):
            self.values.broken.update(layer.values.broken)
            for name, value in layer.values.items():
                if name == "environment":
                    value = dict(self.values.get(name, {}), **value)
                self.values[name] = value
                self.origin[name] = layer.keys + (name,)


class ApplicationReader:
    """Reads ``muster_models`` and ``muster_applications``."""

    def __init__(self, reader: Reader, known: Known, settings: Settings) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.known = known
        self.settings = settings
        self.models: Dict[str, _Layer] = {}
        self.items: Dict[str, Any] = {}  # application -> which items have it, as written
        self.unsure: Set[str] = set()  # programs of this application whose rank was refused: no rule speaks about them

    def read_models(self, written: Any) -> None:
        """Read ``muster_models``, which the programs of applications refer to."""
        place: Keys = ("muster_models",)
        entries = self.reader.names(written, place, "muster_models")
        for name, entry in entries.items():
            keys = place + (name,)
            values = self.reader.table(compile_keys.PROGRAM, entry, keys, "model %s" % name, require=False)
            self.models[name] = _Layer(values, keys)
        reported: Set[str] = set()
        for name, layer in self.models.items():
            self._check_model(layer)
            chain = self._chain(name)
            if self.models[chain[-1]].values.get("model") in chain and not reported.intersection(chain):
                loop = chain[chain.index(self.models[chain[-1]].values["model"]):]
                if name in loop:
                    reported.update(loop)
                    self.problems.add(layer.keys + ("model",), "models refer to one another in a circle: %s"
                                      % " -> ".join(loop + loop[:1]), layer.values.get("model"))

    def application(self, name: str, entry: Any, keys: Keys) -> Application:
        """One application; errors are added to the problems.

        :param entry: as written below its name.
        :param keys: its path in the site.
        """
        before = len(self.problems.errors)
        values = self.reader.table(compile_keys.APPLICATION, entry, keys, "application %s" % name)
        self.unsure = set()
        ports = self._ports(values, keys + ("ports",)) if "ports" in values else None
        rules = self._rules(values.get("program_rules", {}), keys + ("program_rules",))
        programs = self._programs(name, values, rules, keys)
        if values.sound("ports"):
            life.check_ports(programs, ports.offsets if ports else (), keys, self.problems)
        application = Application(
            name=name,
            identifiers=self.known.resolve(values.get("identifiers", ()), keys + ("identifiers",), self.problems),
            identifiers_as_written=values.get("identifiers", ()),
            programs=programs,
            start_sequence=values.get("start_sequence", 0),
            stop_sequence=values.get("stop_sequence", values.get("start_sequence", 0)),
            bus=self._bus(values, programs, ports, keys + ("bus",)) if "bus" in values else None,
            ports=ports,
            files=self.reader.files(values.get("files", {}), keys + ("files",)),
            needs=needs.read(values.get("needs", ()), programs, self.reader, keys + ("needs",)),
            rollout=rollout.read_own(self.reader, values.get("rollout", {}), keys + ("rollout",)),
            after_budget=self._after_budget(name, values, keys + ("after_budget",)),
            **{key: values[key] for key in ("starting_strategy", "starting_failure_strategy", "template", "peer",
                                            "repair", "conflicts", "limits", "per", "learn",
                                            "on_change", "lease_lost") if key in values},
        )
        if "items" in values:
            self.items[name] = values["items"]
        if len(self.problems.errors) == before:
            changes.check(application, keys, self.problems)
        if application.starting_strategy == "local" and not application.on_request:
            self.problems.add(keys + ("starting_strategy",), "local is the console of who asks, but %s starts by itself"
                              " (start_sequence %d)" % (name, application.start_sequence), "local",
                              "choose another strategy, or start_sequence: 0")
        if application.peer and (application.peer == name or application.peer not in self.known.applications):
            others = [other for other in self.known.applications if other != name]
            self.problems.add(keys + ("peer",), "%s is not another application" % show(application.peer),
                              application.peer, suggest(application.peer, others))
        return application

    def _after_budget(self, name: str, values: Values, keys: Keys) -> Optional[AfterBudget]:
        if "after_budget" not in values:
            return None
        written = values["after_budget"]
        if not values.get("start_sequence") and values.sound("start_sequence"):
            self.problems.add(keys, "after_budget is about services, but %s starts on request only" % name, written,
                              "give the application a start_sequence above 0")
        read = self.reader.table(compile_keys.AFTER_BUDGET, written, keys, "after_budget")
        return AfterBudget(read["retry"]) if "retry" in read else None

    def _rules(self, written: Mapping[str, Any], keys: Keys) -> List[_Rule]:
        rules = []
        for text, entry in written.items():
            place = keys + (text,)
            try:
                pattern = re.compile(str(text))
            except re.error as error:
                self.problems.add(place, "%s is not a regular expression: %s" % (show(text), error), text)
                continue
            values = self.reader.table(compile_keys.PROGRAM, entry, place, "this rule", require=False)
            layer = _Layer(values, place)
            self._check_model(layer)
            rules.append(_Rule(pattern, str(text), layer))
        return rules

    def _programs(self, application: str, values: Values, rules: List[_Rule], keys: Keys) -> Tuple[Program, ...]:
        place = keys + ("programs",)
        entries = self.reader.names(values.get("programs", {}), place, "programs")
        if not entries and values.sound("programs"):
            self.problems.add(place, "application %s has no program" % application)
        programs = []
        used: Set[str] = set()
        for name, entry in entries.items():
            matching = [rule for rule in rules if rule.pattern.search(name)]
            used.update(rule.text for rule in matching)
            rule = max(matching, key=lambda candidate: (len(candidate.text), candidate.text)) if matching else None
            programs.append(self._program(name, entry, rule, values, place + (name,)))
        for rule in rules:
            if rule.text not in used and values.sound("programs"):
                self.problems.add(rule.layer.keys, "no program of %s has a name that %s matches"
                                  % (application, show(rule.text)), rule.text,
                                  "programs: " + (", ".join(entries) or "none"))
        if programs and not self.unsure and not any(program.start_sequence for program in programs):
            self.problems.add(place, "no program of %s has a start_sequence above 0: nothing would start" % application)
        return tuple(sorted(programs, key=lambda p: (not p.start_sequence, p.start_sequence)))  # names are in order

    def _program(self, name: str, entry: Any, rule: Optional[_Rule], application: Values, keys: Keys) -> Program:
        own = _Layer(self.reader.table(compile_keys.PROGRAM, entry, keys, "program %s" % name, require=False), keys)
        self._check_model(own)
        layers = [own]
        if rule:
            layers.append(rule.layer)
        model = next((layer.values["model"] for layer in layers if "model" in layer.values), None)
        layers += [self.models[link] for link in self._chain(model)] if model in self.models else []
        merged = _Merged(layers)
        values = merged.values
        values.pop("model", None)
        if not values.sound("start_sequence", "wait_exit", "model"):
            self.unsure.add(name)
        if "command" not in values and values.sound("command", "model"):
            self.problems.add(keys, "program %s has no command" % name, None, "write command: [program, argument, ...]")
        _check_program(name, merged, self.known.services, self.settings, keys, self.problems)
        life.check(values, name, merged.origin, keys, self.problems)
        if "ready" in values:
            values["ready"] = life.read_ready(values["ready"], self.reader, merged.origin.get("ready", keys))
        if "log" in values:
            written, place = values["log"], merged.origin.get("log", keys + ("log",))
            values["log"] = dict(self.reader.table(keys_resources.LOG, written, place, "log"))
        values.setdefault("stop_sequence", values.get("start_sequence", 0))
        if "running_failure_strategy" in application:
            values.setdefault("running_failure_strategy", application["running_failure_strategy"])
        values.setdefault("command", ())
        if values.get("window"):
            read = self.reader.table(keys_window.WINDOW, values["window"], keys + ("window",), "window")
            values["window"] = read.get("answers", 0.0)
        elif "window" in values:
            del values["window"]
        return Program(name=name, **values)

    def _check_model(self, layer: _Layer) -> None:
        model = layer.values.get("model")
        if model is not None and model not in self.models:
            self.problems.add(layer.keys + ("model",), "there is no model %s" % show(model), model,
                              suggest(model, self.models) or "muster_models is empty")
            layer.values.broken.add("model")

    def _chain(self, name: str) -> List[str]:
        """The model and those it refers to, each once."""
        chain: List[str] = []
        link: Optional[str] = name
        while link in self.models and link not in chain:
            chain.append(str(link))
            link = self.models[str(link)].values.get("model")
        return chain

    def _ports(self, values: Values, keys: Keys) -> Optional[Ports]:
        written = values["ports"]
        missing = [name for name in compile_keys.PORTS.names() if name not in written]
        names = [
            name for name in written
            if name not in compile_keys.PORTS.names() and not (missing and suggest(name, missing).startswith("did"))
        ]  # fmt: skip
        known = self.reader.table(compile_keys.PORTS, written, keys, "ports", extra=names)
        stride = known.get("stride", 1000)
        number = compile_keys.Field("offset", "integer", "", minimum=0, maximum=stride - 1)
        offsets: Dict[str, int] = {}
        for name in names:
            if not is_port_name(name):
                self.problems.add(keys + (name,), "%s is not a name of a port" % show(name), name,
                                  "allowed: small letters, digits and _, a letter first")
                continue
            good, offset = self.reader.value(number, written[name], keys + (name,))
            if not good:
                known.broken.add(name)
                continue
            for other, taken in offsets.items():
                if taken == offset:
                    self.problems.add(keys + (name,), "%s and %s have the same offset %d: two would listen on one port"
                                      % (other, name, offset), offset)
            offsets[name] = offset
        if not names and known.sound("base", "stride"):
            self.problems.add(keys, "ports names no port", None, "write <name>: <offset> beside base and stride")
        if known.broken:
            values.broken.add("ports")
        if "base" not in known or "stride" not in known:
            return None
        return Ports(known["base"], stride, offsets)

    def _bus(self, values: Values, programs: Tuple[Program, ...], ports: Optional[Ports], keys: Keys) -> Optional[Bus]:
        written = dict(values["bus"])
        if written.get("link", "") is None:  # an inventory that builds upon another takes its link away
            del written["link"]
        bus = self.reader.table(compile_keys.BUS, written, keys, "bus")
        names = [program.name for program in programs]
        good = "program" in bus
        if "program" in bus and bus["program"] not in names and values.sound("programs"):
            self.problems.add(keys + ("program",), "the bus %s is not among programs" % show(bus["program"]),
                              bus["program"], suggest(bus["program"], names))
            good = False
        for program in programs:
            if program.name != bus.get("program") or program.name in self.unsure:
                continue
            life.check_bus(program, keys + ("program",), self.problems)
            if program.wait_exit or not program.start_sequence:
                why = "is a gate (wait_exit)" if program.wait_exit else "has no start_sequence"
                self.problems.add(keys + ("program",), "the bus %s %s: it must run while the application runs"
                                  % (program.name, why), program.name)
        offsets = ports.offsets if ports else {}
        place = Place(offsets, tuple(names), values.sound("ports"), no_ports="this application has no ports")
        probe = read_probe(self.reader, bus, keys, place)
        link = None
        if "link" in bus:
            link = read_link(self.reader, bus["link"], keys + ("link",), place)
            good = good and link is not None
            if "peer" not in values and values.sound("peer"):
                self.problems.add(keys + ("link",), "link needs peer: the application that the bus is joined to", None,
                                  "write peer: <application>")
        return Bus(bus["program"], probe, link) if good and probe is not None else None


def _check_program(
    name: str, merged: _Merged, services: Mapping[str, bool], settings: Settings, keys: Keys, problems: Problems
) -> None:
    values = merged.values

    def add(key: str, message: str, hint: str = "") -> None:
        problems.add(merged.origin.get(key, keys), message, values.get(key), hint)

    gate = values.get("wait_exit", False)
    started = values.get("start_sequence", 0) > 0
    if not started and values.sound("start_sequence", "model"):
        if gate:
            add("wait_exit", "gate %s has no start_sequence: nothing would wait for it" % name,
                "give it a rank above 0")
        if values.get("required"):
            add("required", "%s is required, but without start_sequence it is not started with the application" % name,
                "give it a rank above 0, or required: false")
    for key in ("on_timeout", "waits_for"):
        if key in values and not gate and values.sound("wait_exit", "model"):
            add(key, "%s is about gates, but %s has no wait_exit: true" % (key, name))
    if "waits_for" in values and gate:
        if values.get("on_timeout") != "defer" and values.sound("on_timeout", "model"):
            add("waits_for", "waits_for counts only for a gate that defers", "write on_timeout: defer")
        if values["waits_for"] not in services:
            add("waits_for", "there is no host service %s" % show(values["waits_for"]),
                suggest(values["waits_for"], services) or "muster_services is empty")
        elif not services[values["waits_for"]]:
            add("waits_for", "host service %s has no probe, so nothing can tell when it answers" % values["waits_for"])
    limits = (("start_timeout", "start_timeout", settings.start_timeout),
              ("stop_timeout", "run_timeout", settings.run_timeout))
    for key, setting, most in limits:
        if values.get(key, 0) > most:
            add(key, "%s s can never pass: muster_settings.%s ends everything after %s s"
                % ("%g" % values[key], setting, "%g" % most))
