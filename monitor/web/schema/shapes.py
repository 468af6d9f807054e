# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON schemas of the API's answers. They name the keys that callers may rely on; later versions may add more."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _object(required: Json, doc: str = "", optional: Json | None = None) -> Json:
    found: Json = {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
    return dict(found, description=doc) if doc else found


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _map(of: Json) -> Json:
    return {"type": "object", "additionalProperties": of}


def _ref(name: str) -> Json:
    return {"$ref": "#/components/schemas/%s" % name}


TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
FLAG: Json = {"type": "boolean"}
MAYBE_TEXT: Json = {"type": ["string", "null"]}
MAYBE_NUMBER: Json = {"type": ["number", "null"]}
ANY: Json = {"type": "object"}

_PLACE = {"oneOf": [{"type": "null"}, _object({"state": TEXT, "host": MAYBE_TEXT})]}

SCHEMAS: dict[str, Json] = {
    "Problem": _object(
        {"error": TEXT},
        "Why a request was refused: a sentence, and for a wrong body every error in it.",
        {
            "errors": _list(
                _object(
                    {"field": TEXT, "message": TEXT, "value": {}},
                    "",
                    {"allowed": _list(TEXT), "nearest": TEXT, "unknown": FLAG},
                )
            )
        },
    ),
    "Status": _object(
        {
            "schema": WHOLE,
            "site": TEXT,
            "site_id": TEXT,
            "revision": WHOLE,
            "at": NUMBER,
            "items": _list(_ref("Item")),
            "hosts": _list(_ref("Host")),
            "instances": _map(_ref("Instance")),
            "services": _map(_object({"label": TEXT, "hosts": _map(_object({"state": TEXT, "why": TEXT}))})),
            "monitor": _object({"state": TEXT, "at": MAYBE_NUMBER}),
            "counts": _map(WHOLE),
            "stopped": {"oneOf": [{"type": "null"}, _object({"by": TEXT, "why": TEXT, "at": NUMBER, "says": TEXT})]},
            "moves": _list(_object({"instance": TEXT, "host": TEXT, "to": TEXT, "due": NUMBER, "says": TEXT})),
        },
        "What runs where, and how well; the document of `muster status --json`. Times in seconds since 1970.",
    ),
    "Item": _object(
        {
            "item": TEXT, "slot": WHOLE, "per": TEXT, "verdict": TEXT, "cause": MAYBE_TEXT, "services": _PLACE,
            "hci": _PLACE,
        }
    ),
    "Host": _object(
        {
            "host": TEXT,
            "address": TEXT,
            "node": TEXT,
            "state": TEXT,
            "answer": TEXT,
            "at": MAYBE_NUMBER,
            "load": ANY,
            "reserved": NUMBER,
            "limit": NUMBER,
            "instances": _list(TEXT),
        }
    ),
    "Instance": _object({"item": TEXT, "application": TEXT, "phase": TEXT, "host": MAYBE_TEXT, "epoch": WHOLE}),
    "Action": _object({"action": TEXT, "instance": MAYBE_TEXT, "host": MAYBE_TEXT, "reason": TEXT}),
    "Plan": _object({"actions": _list(_ref("Action"))}, "What a reconcile would do now, and why."),
    "Event": _object(
        {"id": WHOLE, "revision": WHOLE, "at": NUMBER, "who": TEXT, "what": TEXT},
        "An entry of the trail.",
        {"from": MAYBE_TEXT, "why": MAYBE_TEXT, "result": MAYBE_TEXT, "instance": MAYBE_TEXT, "host": MAYBE_TEXT},
    ),
    "Events": _object({"events": _list(_ref("Event")), "last": WHOLE}, "`last`: the id to go on `after`."),
    "History": _object(
        {
            "columns": _list(TEXT),
            "hosts": _map(_list({"type": "array", "items": MAYBE_NUMBER, "minItems": 5, "maxItems": 5})),
        },
        "Per host, oldest first: seconds since 1970, then percent of the host: processor, memory, reserved, effective.",
    ),
    "Why": _object({"instance": ANY, "plan": {"type": ["object", "null"]}, "trail": _list(_ref("Event"))}),
    "Explanation": dict(
        ANY, description="Per instance of the item: each candidate host with load, limit, rule, verdict."
    ),
    "Readiness": dict(ANY, description="The result of the same decision code for a changed site; nothing is touched."),
    "Caller": _object(
        {"who": TEXT, "host": TEXT, "console": TEXT, "address": TEXT, "may": _list({"enum": ["look", "act"]})},
        "Whom the monitor takes this request's sender for. `console`: its host, when that can show items, else empty.",
    ),
    "Answer": _object(
        {"ok": FLAG, "said": _list(TEXT), "results": ANY},
        "The outcome of a request. When the plan refuses it, `ok` is false and `said` has the reason.",
        {"run": MAYBE_TEXT, "saved": ANY},
    ),
    "Ticket": _object(
        {"id": TEXT, "state": {"enum": ["running", "done", "failed"]}, "kind": TEXT},
        "A request that is not waited for; `answer` when it is done.",
        {"answer": _ref("Answer"), "error": TEXT},
    ),
    "Health": _object({"ok": FLAG, "why": TEXT}, "", {"turned": NUMBER, "revision": WHOLE}),
}

_NAMES: Json = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}, "maxItems": 500}

WHAT_IF: Json = {
    "type": "object",
    "properties": {
        "down": dict(_NAMES, description="hosts taken for dead"),
        "up": dict(_NAMES, description="hosts taken for usable"),
        "drain": dict(_NAMES, description="hosts that are drained"),
        "undrain": dict(_NAMES, description="hosts that are used again"),
        "add_items": dict(_NAMES, description="further items: an id, or `id:slot`"),
        "remove_items": dict(_NAMES, description="items taken for gone"),
        "load": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1000},
            "description": "host -> percent of other work there",
        },
    },
    "additionalProperties": False,
}
