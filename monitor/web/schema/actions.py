# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that change something: their kinds, what each takes, and how a body becomes what the monitor is asked.

Pure. One table: the body's check, the OpenAPI document and the documentation are made of it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.model import sentences
from ..doors.caller import Caller
from . import check

Json = dict[str, Any]

_FIELDS: dict[str, Json] = {
    "instances": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "minItems": 1,
        "maxItems": 2000,
        "description": "names of instances, or patterns such as `scen2_srv_*`",
    },
    "item": {"type": "string", "minLength": 1, "maxLength": 64, "description": "an item's id"},
    "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "a host of the site"},
    "ids": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 255},
        "minItems": 1,
        "maxItems": 2000,
        "description": "ids of conflicts and failures, as in status",
    },
    "all": {"type": "boolean", "const": True, "description": "all of them"},
    "site": {"type": "boolean", "const": True, "description": "the whole site"},
    "at_a_time": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "instances moved together"},
    "force": {"type": "boolean", "description": "also when something cannot leave"},
    "why": {"type": "string", "maxLength": 500, "description": "the reason, for the trail"},
    "take": {
        "type": "boolean",
        "description": "close it on the console that shows it or no longer answers, and open it here; needs `why`",
    },
    "until": {
        "type": ["number", "string"],
        "minimum": 0,
        "maxLength": 40,
        "description": "the end: seconds since 1970, or as people write it: `2h`, `14:00`, `2030-01-31 14:00`",
    },
}


@dataclass(frozen=True)
class Kind:
    """One kind of request. `one_of`: exactly one of these has to be there."""

    name: str
    doc: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    slow: bool = False  # goes through a run of its own playbook, not through the one that waits

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.required, *self.one_of, *self.optional, "why")))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("start", "Start instances where they fit best; clears a failed state.", ("instances",)),
        Kind("stop", "Stop instances; they stay stopped until somebody starts them.", ("instances",)),
        Kind("restart", "Restart instances where they are.", ("instances",)),
        Kind(
            "open",
            "Show an item on a console: that of who asks, unless `host` names another one.",
            optional=("host", "take"),
            one_of=("item", "instances"),
        ),
        Kind("close", "Close what shows an item.", one_of=("item", "instances")),
        Kind("reset", "Forget the failures of instances, so that they are tried again.", ("instances",)),
        Kind("pause", "Leave an item, or the whole site, to people.", optional=("until",), one_of=("item", "site")),
        Kind("resume", "End a pause.", one_of=("item", "site")),
        Kind("confirm_down", "Say that a host is dead, so that what it held moves.", ("host", "why")),
        Kind("resolve", "End a conflict: only the copy on this host stays.", ("instances", "host")),
        Kind("acknowledge", "Take note of conflicts and failed actions.", one_of=("ids", "all")),
        Kind(
            "drain",
            "Move what runs on a host away, and use it no more.",
            ("host",),
            ("until", "at_a_time", "force"),
            slow=True,
        ),
        Kind("undrain", "Use a drained host again.", ("host",), slow=True),
        Kind("reconcile", "Look at every host and repair what differs from what is wanted.", slow=True),
    )
}


@dataclass(frozen=True, slots=True)
class Names:
    """What of a site a request may name."""

    instances: Collection[str] = ()
    items: Collection[str] = ()
    hosts: Collection[str] = ()
    applications: Collection[str] = ()
    on_request: tuple[str, ...] = ()  # applications that are opened


def names_of(document: Mapping[str, Any], held: Mapping[str, str | None] | None = None) -> Names:
    """From a published site's document; `held`: instance -> host of what is claimed, also when it left the site."""
    items = [str(item["id"]) for item in document.get("items", [])]
    applications = document.get("applications", [])
    known = {"%s_%s" % (a["name"], item): None for a in applications for item in items}
    known.update(dict.fromkeys(held or ()))
    hosts = dict.fromkeys(str(host["name"]) for host in document.get("hosts", []))
    hosts.update(dict.fromkeys(host for host in (held or {}).values() if host))
    names = [str(a["name"]) for a in applications]
    on_request = tuple(str(a["name"]) for a in applications if not a.get("start_sequence"))
    return Names(list(known), items, list(hosts), names, on_request)


def schema() -> Json:
    """Of the body of `POST /actions`."""
    return {"oneOf": [kind_schema(kind) for kind in KINDS.values()], "discriminator": {"propertyName": "kind"}}


def kind_schema(kind: Kind) -> Json:
    properties: Json = {"kind": {"const": kind.name}}
    properties.update({name: _FIELDS[name] for name in kind.fields})
    document: Json = {
        "type": "object",
        "title": kind.name,
        "description": kind.doc,
        "properties": properties,
        "required": ["kind", *kind.required],
        "additionalProperties": False,
    }
    if kind.one_of:
        document["oneOf"] = [{"required": [name]} for name in kind.one_of]
    return document


def read(body: Any, names: Names, caller: Caller) -> tuple[Json, list[check.Error]]:
    """The request for `Monitor.ask`, with who and from where, and every error; with errors the request is nothing."""
    if not isinstance(body, dict):
        return {}, [check.error("", "the body must be a JSON object", body)]
    if "kind" not in body:
        return {}, [dict(check.error("kind", "is missing", None), allowed=list(KINDS))]
    kind = KINDS.get(body["kind"]) if isinstance(body["kind"], str) else None
    if kind is None:
        return {}, [check.unknown("kind", body["kind"], KINDS)]
    problems = check.errors(body, kind_schema(kind))
    if problems:
        return {}, problems
    request = dict(body, who=caller.who)
    request["from"] = caller.host
    request.setdefault("why", "")
    problems += _named(request, names)
    if kind.name in ("open", "close") and not problems:
        problems += _shown(request, names)
    if kind.name == "open" and not problems:
        problems += _console(request, caller)
    if ("why" in kind.required or request.get("take")) and not request["why"].strip():
        what = "take" if request.get("take") else kind.name
        problems.append(check.error("why", "%s needs a reason, for the trail" % what, request["why"]))
    return ({}, problems) if problems else (request, [])


def _named(request: Json, names: Names) -> list[check.Error]:
    """Put patterns in full; what the site does not have is an error with the nearest name."""
    problems = []
    for field, known in (("item", names.items), ("host", names.hosts)):
        left = field == "item" and request["kind"] == "resume"  # a pause outlives its item
        if field in request and request[field] not in known and not left:
            problems.append(_nobody(field, field, request[field], known))
    found: dict[str, None] = {}
    for position, name in enumerate(request.get("instances", ())):
        field = "instances[%d]" % position
        meant = _meant(name, request["kind"], names)
        if not meant and any(sign in name for sign in "*?["):
            problems.append(check.error(field, "no instance of the site fits the pattern %s" % name, name))
        elif not meant:
            problems.append(_nobody(field, "instance", name, [*names.instances, *names.applications]))
        found.update(dict.fromkeys(meant))
    if "instances" in request:
        request["instances"] = list(found)
    return problems


def _meant(name: str, kind: str, names: Names) -> list[str]:
    """The instances that a name stands for: an application all of its own, an item to open or close what shows it."""
    if name in names.instances:
        return [name]
    if name in names.applications:
        return ["%s_%s" % (name, item) for item in names.items]
    if kind in ("open", "close") and name in names.items:
        return ["%s_%s" % (application, name) for application in names.on_request]
    return fnmatch.filter(names.instances, name) if any(sign in name for sign in "*?[") else []


def _nobody(field: str, what: str, name: str, known: Collection[str]) -> check.Error:
    """The sentence that a plan would say."""
    problem = check.unknown(field, name, known)
    problem["message"] = "there is no %s %s in this site%s" % (what, name, sentences.nearest(name, known))
    return problem


def _shown(request: Json, names: Names) -> list[check.Error]:
    """The instance that shows an item: that of the one application which is opened on request."""
    if "instances" in request:
        return []
    if len(names.on_request) != 1:
        what = "none" if not names.on_request else "several: %s; name an instance" % ", ".join(names.on_request)
        sentence = "item %s has no single application that opens on request, but %s" % (request["item"], what)
        return [check.error("item", sentence, request["item"])]
    request["instances"] = ["%s_%s" % (names.on_request[0], request["item"])]
    return []


def _console(request: Json, caller: Caller) -> list[check.Error]:
    if "host" not in request:
        if not caller.console:
            sentence = "on which console? This request comes from %s, which is none" % (caller.host or "no known host")
            return [check.error("host", sentence, None)]
        request["host"] = caller.console
    return []
