# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the probe of a bus or host service: in short beside it, or as a mapping."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..model.probe import (
    COMPOSED,
    EXEC_INTERVAL,
    EXEC_TIMEOUT,
    INHERITED,
    NEEDS_PORT,
    OF_THE_RULE,
    OWN_KEYS,
    PLACEHOLDERS,
    TYPES,
    Probe,
    Tls,
)
from . import keys_probe
from .errors import Keys, show, suggest
from .reader import Reader, Values

_DEEPEST = 3  # all_of within any_of within all_of: nobody can read more
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_KINDS = OWN_KEYS.items()


@dataclass(frozen=True)
class Place:
    """What a probe may refer to: the ports and programs of its application or host service."""

    ports: Mapping[str, int]
    programs: Tuple[str, ...]
    sure_of_ports: bool = True  # nothing was wrong about them
    service: bool = False
    no_ports: str = ""


def read_probe(reader: Reader, values: Values, keys: Keys, place: Place) -> Optional[Probe]:
    """The probe written beside a bus or host service; None without one, or when something is wrong with it.

    :param values: what `compile.keys_probe.SHORT` read there.
    """
    beside = [key for key in keys_probe.SHORT_KEYS if key in values]
    if "probe" not in values:
        if beside and values.sound("probe"):
            reader.problems.add(keys + (beside[0],), '%s has no effect without "probe"' % beside[0], values[beside[0]],
                                suggest("", TYPES))
        return None
    one = _Reading(reader, place)
    if isinstance(values["probe"], Mapping):
        for key in beside:
            reader.problems.add(keys + (key,), "%s belongs inside probe here" % key, values[key],
                                "probe is a mapping: write %s beside its type" % key)
        return one.mapping(values["probe"], keys + ("probe",), {}, 1)
    short = Values()  # without what the table beside it means by the same word
    short.update({key: values[key] for key in beside})
    short.broken = values.broken.intersection(keys_probe.SHORT_KEYS)
    return one.probe(values["probe"], short, keys, keys + ("probe",), {})


def read_link(reader: Reader, written: Any, keys: Keys, place: Place) -> Optional[Probe]:
    """The probe of the link from a bus to the peer's bus; None when it has an error, which is added to the problems."""
    if isinstance(written, Mapping) and "shadow" in written:
        reader.problems.add(keys + ("shadow",), "a link leads to nothing that could be left undone", written["shadow"],
                            "leave it out")
        return None
    return _Reading(reader, place).mapping(written, keys, {}, 1)


class _Reading:
    def __init__(self, reader: Reader, place: Place) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.place = place

    def mapping(self, written: Any, keys: Keys, above: Mapping[str, Any], depth: int) -> Optional[Probe]:
        """:param above: the settings of an all_of or any_of around it, which hold for all of its probes."""
        values = self.reader.table(keys_probe.PROBE, written, keys, "a probe")
        kinds = [key for key in ("type",) + COMPOSED if key in values]
        if len(kinds) != 1:
            if values.sound("type", *COMPOSED):
                self.problems.add(keys, "a probe has one of type, all_of and any_of, this one has %s"
                                  % (" and ".join(kinds) or "none"), written, "" if kinds else suggest("", TYPES))
            return None
        if depth > 1:
            for key in OF_THE_RULE:
                if key in values:
                    self.problems.add(keys + (key,), "%s is said once for all of these probes" % key, values[key],
                                      "write it beside the outermost all_of or any_of")
        if kinds[0] == "type":
            return self.probe(values["type"], values, keys, keys, above)
        return self._composed(kinds[0], values, keys, above, depth)

    def probe(
        self, kind: str, values: Values, keys: Keys, needs: Keys, above: Mapping[str, Any]
    ) -> Optional[Probe]:
        """:param needs: the place in the error about a missing key."""
        self._foreign_keys(kind, values, keys)
        known: Dict[str, Any] = {}
        if kind == "exec":
            known.update(interval=EXEC_INTERVAL, timeout=EXEC_TIMEOUT)
        known.update(above)
        known.update({key: value for key, value in values.items()
                      if key in INHERITED + OF_THE_RULE + OWN_KEYS[kind] and key not in ("tls", "port")})
        good = self._numbers(known, values, keys)
        good = self._port(kind, values, keys, needs, known) and good
        good = self._account(values, keys) and good
        if "tls" in values and "tls" in OWN_KEYS[kind]:
            known["tls"] = self._tls(values["tls"], keys + ("tls",))
            good = known["tls"] is not None and good
        if kind == "exec":
            good = self._command(values, keys, needs) and good
        if kind == "process":
            good = self._program(values, keys) and good
        return Probe(kind, **known) if good else None

    def _composed(
        self, kind: str, values: Values, keys: Keys, above: Mapping[str, Any], depth: int
    ) -> Optional[Probe]:
        self._foreign_keys(kind, values, keys)
        known = dict(above)
        known.update({key: value for key, value in values.items() if key in INHERITED})
        good = self._numbers(known, values, keys)
        if depth > _DEEPEST:
            self.problems.add(keys, "probes are nested more than %d deep" % _DEEPEST)
            return None
        parts = [
            self.mapping(entry, keys + (kind, position), known, depth + 1)
            for position, entry in enumerate(values[kind])
        ]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts) or not good:
            return None
        rule = {key: values[key] for key in OF_THE_RULE if key in values}
        return Probe(kind, probes=tuple(whole), **dict(known, **rule))

    def _foreign_keys(self, kind: str, values: Values, keys: Keys) -> None:
        everywhere = INHERITED + OF_THE_RULE + ("type", "probe") + COMPOSED + OWN_KEYS[kind]
        for key in values:
            users = [name for name, own in _KINDS if key in own]
            if key not in everywhere and users:
                what = "%s %s probe" % ("an" if kind[0] in "ae" else "a", kind)
                self.problems.add(keys + (key,), "%s says nothing to %s" % (key, what), values[key],
                                  "it is for %s" % ", ".join(users))

    def _numbers(self, known: Mapping[str, Any], values: Values, keys: Keys) -> bool:
        failures, window = known.get("failures", Probe.failures), known.get("window", 0)
        good = values.sound("failures", "window", "slow", "timeout", "interval", *OF_THE_RULE)
        if window and window < failures and values.sound("failures", "window"):
            self.problems.add(keys + ("window" if "window" in values else "failures",),
                              "%d failures do not fit into a window of %d" % (failures, window), window,
                              "window must be failures or more")
            good = False
        slow, timeout = known.get("slow", 0.0), known.get("timeout", Probe.timeout)
        if slow >= timeout and values.sound("slow", "timeout"):
            self.problems.add(keys + ("slow" if "slow" in values else "timeout",),
                              "an answer slower than %g s would be missed already: timeout is %g s" % (slow, timeout),
                              slow, "slow must be less than timeout")
            good = False
        return good

    def _port(self, kind: str, values: Values, keys: Keys, needs: Keys, known: Dict[str, Any]) -> bool:
        ports = self.place.ports
        if "port" not in values:
            if kind in NEEDS_PORT and values.sound("port"):
                self.problems.add(needs, "probe needs port: the name of the port that is asked", kind,
                                  suggest("", ports) or self.place.no_ports)
            return kind not in NEEDS_PORT
        known["port"] = values["port"]
        if "port" in OWN_KEYS[kind] and values["port"] not in ports:
            if self.place.sure_of_ports:
                self.problems.add(keys + ("port",), "port %s is not among ports" % show(values["port"]),
                                  values["port"], suggest(values["port"], ports) or self.place.no_ports)
            return False
        return "port" in OWN_KEYS[kind]

    def _account(self, values: Values, keys: Keys) -> bool:
        if not values.sound("user", "password_file", "token_file"):
            return False
        for one, other in (("user", "password_file"), ("password_file", "user")):
            if one in values and other not in values:
                self.problems.add(keys + (one,), "%s needs %s" % (one, other), values[one])
                return False
        if "token_file" in values and "user" in values:
            self.problems.add(keys + ("token_file",), "the probe has a token and an account", values["token_file"],
                              "write token_file, or user and password_file")
            return False
        return True

    def _tls(self, written: Mapping[str, Any], keys: Keys) -> Optional[Tls]:
        values = self.reader.table(keys_probe.TLS, written, keys, "tls")
        if values.broken:
            return None
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if one in values and other not in values:
                self.problems.add(keys + (one,), "%s needs %s" % (one, other), values[one])
                return None
        if "server_name" in values and not values.get("verify_name", True):
            self.problems.add(keys + ("server_name",), "server_name says nothing with verify_name: false",
                              values["server_name"])
            return None
        return Tls(**values)

    def _command(self, values: Values, keys: Keys, needs: Keys) -> bool:
        if "command" not in values:
            if values.sound("command"):
                self.problems.add(needs, "an exec probe needs command: [program, argument, ...]", None,
                                  'write probe: {type: exec, command: [/usr/local/bin/check, "{address}"]}')
            return False
        command: Tuple[str, ...] = values["command"]
        place = keys + ("command",)
        if not command[0].startswith("/"):
            self.problems.add(place, "the program %s needs its absolute path" % show(command[0]), list(command))
            return False
        allowed: List[str] = [word for word in PLACEHOLDERS if word != "item" or not self.place.service]
        for position, argument in enumerate(command):
            for word in _words(argument):
                if word is None:
                    self.problems.add(place, "argument %d holds Jinja, which is not filled in here" % (position + 1),
                                      argument, "allowed: " + ", ".join("{%s}" % name for name in allowed))
                    return False
                if word not in allowed:
                    self.problems.add(place, "argument %d: {%s} is not known here" % (position + 1, word), argument,
                                      suggest(word, allowed))
                    return False
                if word == "port" and "port" not in values and values.sound("port"):
                    self.problems.add(place, "argument %d: {port} needs port beside command: its name among ports"
                                      % (position + 1), argument, suggest("", self.place.ports))
                    return False
        return True

    def _program(self, values: Values, keys: Keys) -> bool:
        if "program" not in values:
            return values.sound("program")
        if self.place.service:
            self.problems.add(keys + ("program",), "a host service is one program: nothing is to be chosen",
                              values["program"], "leave it out")
            return False
        if values["program"] not in self.place.programs:
            self.problems.add(keys + ("program",), "%s is not among programs" % show(values["program"]),
                              values["program"], suggest(values["program"], self.place.programs))
            return False
        return True


def _words(argument: str) -> Iterable[Optional[str]]:
    """The names in braces; None for Jinja."""
    if "{{" in argument or "{%" in argument:
        return [None]
    return _PLACEHOLDER.findall(argument)
