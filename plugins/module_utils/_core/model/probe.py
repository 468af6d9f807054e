# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the health of a bus is asked for: the kinds of probes and the settings of each, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

TYPES = ("nats", "mqtt", "http", "tcp", "process", "exec")
COMPOSED = ("all_of", "any_of")
PLACEHOLDERS = ("address", "port", "host", "instance", "item")  # what the command of an exec probe may hold in braces

# Keys that say something to one kind of probe only; all others are for every kind.
OWN_KEYS: Dict[str, Tuple[str, ...]] = {
    "nats": ("port", "user", "password_file", "token_file", "tls", "topic"),
    "mqtt": ("port", "user", "password_file", "tls", "topic"),
    "http": ("port", "user", "password_file", "token_file", "tls", "path", "status", "text"),
    "tcp": ("port",),
    "process": ("program",),
    "exec": ("port", "command"),
    "all_of": (),
    "any_of": (),
}
NEEDS_PORT = ("nats", "mqtt", "http", "tcp")
OF_THE_RULE = ("startup_timeout", "shadow")  # said once, not by each of several probes
INHERITED = ("interval", "timeout", "failures", "window", "slow")  # by the probes of an all_of or any_of

EXEC_INTERVAL = 5.0  # s; every question is a new process
EXEC_TIMEOUT = 5.0


@dataclass(frozen=True)
class Tls:
    """All files are the controller's. The server's certificate is always verified."""

    ca: str = ""  # empty: the authorities that the controller's system trusts
    certificate: str = ""  # what the probe shows; empty: nothing
    key: str = ""
    server_name: str = ""  # the name that the server's certificate must hold; empty: the address
    verify_name: bool = True


@dataclass(frozen=True)
class Probe:
    """How the health of a bus is asked for. Times in seconds, files on the controller."""

    type: str  # of TYPES or COMPOSED
    port: str = ""  # a name among the ports of the application or host service it belongs to
    interval: float = 1.0
    timeout: float = 1.0
    failures: int = 3  # answers missed, out of the last `window`, that make a hang
    window: int = 0  # 0: as failures, so in a row
    slow: float = 0.0  # answers slower than this are a warning; 0: none is
    startup_timeout: float = 0.0  # no verdict before the first answer, for so long
    shadow: bool = False  # what it leads to is reported and not done
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    tls: Optional[Tls] = None
    topic: str = ""  # what the probe's own topic or subject begins with
    path: str = "/"  # http
    status: Tuple[int, ...] = (200,)  # http
    text: str = ""  # http: what the answer must hold
    command: Tuple[str, ...] = ()  # exec
    program: str = ""  # process; empty: the program that is the bus
    probes: Tuple[Probe, ...] = ()  # of all_of and any_of


def leaves(probe: Probe) -> Iterator[Probe]:
    """The probes that ask something, in the order written."""
    if probe.type not in COMPOSED:
        yield probe
    for part in probe.probes:
        yield from leaves(part)


_ALWAYS = ("type", "port", "interval", "timeout", "failures")
_FIELDS = {field.name: field.default for field in fields(Probe) if field.name != "type"}


def probe_to_json(probe: Probe) -> Dict[str, Any]:
    """What differs from the defaults, and the five keys that every reader knows."""
    document: Dict[str, Any] = {"type": probe.type}
    for name, default in _FIELDS.items():
        value = getattr(probe, name)
        if name not in _ALWAYS and value == default:
            continue
        if name == "probes":
            value = [probe_to_json(part) for part in value]
        elif name == "tls":
            value = {field.name: getattr(value, field.name) for field in fields(Tls)}
        elif isinstance(value, tuple):
            value = list(value)
        document[name] = value
    return document


def probe_from_json(document: Mapping[str, Any]) -> Probe:
    """The inverse of `probe_to_json`, also of all fields; keys that are not known are left alone.

    :raises KeyError: without type.
    """
    known: Dict[str, Any] = {name: document[name] for name in _FIELDS if name in document}
    for name in ("status", "command"):
        if name in known:
            known[name] = tuple(known[name])
    if known.get("tls") is not None:
        known["tls"] = Tls(**{field.name: known["tls"][field.name] for field in fields(Tls)
                              if field.name in known["tls"]})
    known["probes"] = tuple(probe_from_json(part) for part in known.get("probes") or ())
    return Probe(type=document["type"], **known)
