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

_FIGURES: Json = {**_object({"mean": NUMBER, "most": NUMBER, "last": NUMBER}), "type": ["object", "null"]}

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
            "services": _map(
                _object(
                    {
                        "label": TEXT,
                        "hosts": _map(
                            _object(
                                {"state": TEXT, "why": TEXT}, "", {"ended": _object({"at": NUMBER, "how": TEXT})}
                            )
                        ),
                    }
                )
            ),
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
    "Alarm": _object(
        {
            "id": TEXT, "kind": TEXT, "priority": {"enum": ["high", "medium", "low"]}, "state": TEXT, "says": TEXT,
            "do": TEXT, "items": _list(TEXT), "hosts": _list(TEXT), "below": _list({"type": "array"}),
            "raised": NUMBER, "cleared": MAYBE_NUMBER, "often": WHOLE, "chattering": FLAG, "suppressed": TEXT,
            "reason": TEXT, "drill": TEXT,
        },
        "`state`: unacknowledged, acknowledged, came and went, shelved or suppressed. `reason`: why it is"
        " suppressed, in a word; `drill`: what the drill is about that it belongs to.",
    ),
    "Alarms": _object(
        {"schema": WHOLE, "at": NUMBER, "alarms": _list(_ref("Alarm")), "counts": _map(WHOLE), "rates": ANY,
         "drills": _list(ANY), "last": WHOLE},
        "`last`: the id of the newest entry of the past.",
    ),
    "Change": _object(
        {"id": WHOLE, "at": NUMBER, "what": TEXT, "subject": TEXT, "before": TEXT, "after": TEXT, "why": TEXT,
         "lasted": NUMBER},
        "`lasted`: seconds of the state before.",
    ),
    "Past": _object({"past": _list(_ref("Change")), "last": WHOLE}, "`last`: the id to go on `after`."),
    "Story": _object({"story": _list(ANY), "more": FLAG},
                     "Entries of the trail (`kind` trail) and changes (`kind` change, as `Change`)."),
    "Handover": _object(
        {"site": TEXT, "since": NUMBER, "at": NUMBER, "items": _list(ANY), "hosts": _list(ANY),
         "alarms": _list(_ref("Alarm")), "drills": _list(_ref("Alarm")), "held": _list(TEXT), "outages": _list(ANY),
         "requests": _list(ANY), "notes": _list(ANY)},
    ),
    "Availability": _object({"since": NUMBER, "until": NUMBER, "items": _list(ANY)}, "Times in seconds."),
    "Why": _object({"instance": ANY, "plan": {"type": ["object", "null"]}, "trail": _list(_ref("Event"))}),
    "Logs": _object(
        {
            "sources": _list(_object({"host": TEXT, "instance": TEXT, "program": TEXT})),
            "lines": _list(
                _object(
                    {"source": WHOLE, "at": MAYBE_NUMBER},
                    "",
                    {"text": TEXT, "note": TEXT, "cut": WHOLE, "about": FLAG},
                )
            ),
        },
        "`source`: a position in `sources`. Bytes that are no text are written as `\\xff`. `cut`: bytes of a very long"
        " line that are left out. `note`: a sentence of muster's, instead of a text. `about`: no line near it shows a"
        " time, so `at` is when the file was written last.",
    ),
    "Programs": _object(
        {
            "programs": _list(
                _object(
                    {"host": TEXT, "instance": TEXT, "program": TEXT, "kind": TEXT, "state": TEXT,
                     "pid": MAYBE_NUMBER, "since": MAYBE_NUMBER, "cpu": MAYBE_NUMBER, "memory": MAYBE_NUMBER,
                     "threads": MAYBE_NUMBER, "files": MAYBE_NUMBER, "restarts": MAYBE_NUMBER, "how": TEXT,
                     "used": MAYBE_NUMBER}
                )
            ),
            "silent": _map(TEXT),
        },
        "`kind`: bus, gate, on demand or lasting; `cpu`: percent of one processor, `used`: its seconds since the"
        " start; `memory`: bytes;"
        " `restarts`: of the last day; `how`: how it ended; `silent`: host -> why nothing is known of what it holds.",
    ),
    "ProgramsPast": _object(
        {
            "columns": _list(TEXT),
            "programs": _list(
                _object({"instance": TEXT, "program": TEXT, "starts": WHOLE, "figures": _map(_FIGURES),
                         "growth": _map(MAYBE_NUMBER)}, optional={"points": _list(_list(MAYBE_NUMBER))})
            ),
        },
        "`figures`: column -> its mean, greatest and last value; `growth`: per hour, by a straight line through the"
        " points since the last start, null before half an hour; `starts`: how often it was started again meanwhile."
        " `points`: as `columns`: seconds since 1970, percent of one processor, bytes, threads, open files, seconds"
        " since the start.",
    ),
    "LastWords": _object(
        {
            "last_words": _list(
                _object(
                    {"id": TEXT, "at": NUMBER, "instance": TEXT, "epoch": WHOLE, "host": TEXT, "program": TEXT,
                     "how": TEXT, "core": TEXT}
                )
            )
        },
        "`how`: exit code, signal or the reason of a start that failed. `core`: a file on `host`, or empty.",
    ),
    "Explanation": dict(
        ANY, description="Per instance of the item: each candidate host with load, limit, rule, verdict."
    ),
    "Readiness": dict(ANY, description="The result of the same decision code for a changed site; nothing is touched."),
    "Caller": _object(
        {"who": TEXT, "host": TEXT, "console": TEXT, "address": TEXT,
         "may": _list({"enum": ["look", "act", "administer"]})},
        "Whom the monitor takes this request's sender for. `console`: its host, when that can show items, else empty.",
    ),
    "Answer": _object(
        {"ok": FLAG, "said": _list(TEXT), "results": ANY},
        "The outcome of a request. When the plan refuses it, `ok` is false and `said` has the reason.",
        {"run": MAYBE_TEXT, "saved": ANY, "digest": TEXT},
    ),
    "Executed": _object(
        {"instance": TEXT, "program": TEXT, "host": TEXT, "code": WHOLE, "why": TEXT, "out": TEXT, "err": TEXT,
         "left_out": _list(WHOLE), "took": NUMBER},
        "What came of a command. `out` and `err` are base64; `left_out`: bytes of each beyond what is kept; `why`: that"
        " it could not be started (126, 127) or took too long (124).",
        {"untold": TEXT},
    ),
    "Ticket": _object(
        {"id": TEXT, "state": {"enum": ["running", "done", "failed"]}, "kind": TEXT},
        "A request that is not waited for; `answer` when it is done.",
        {"answer": _ref("Answer"), "error": TEXT},
    ),
    "Health": _object({"ok": FLAG, "why": TEXT}, "", {"turned": NUMBER, "revision": WHOLE}),
}

_NAMES: Json = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}, "maxItems": 500}

WITHDRAWAL: Json = {
    "type": "object",
    "properties": {"why": {"type": "string", "maxLength": 500, "description": "the reason, for the trail"}},
    "additionalProperties": False,
}

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
