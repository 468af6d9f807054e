# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of hosts are checked where they enter: types, sizes, finite numbers, printable text.

A host may be damaged, of another version, or under the control of somebody else. An answer that does not fit makes that
host one that "answers nonsense", which is treated like one that does not answer.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Dict, Mapping

from .text import for_terminal, printable

LARGEST = 4 * 1024 * 1024  # characters of one answer
HIGHEST_EPOCH = 2**53
_DEEPEST = 12
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")
_LONGEST_NAME = 300
_LONGEST_SENTENCE = 2000  # of an agent's own sentences, which may list names
_HUGE = 2**64
_MANAGERS = ("running", "stopped", "absent")
_RESULTS = ("running", "stopped", "failed", "refused")

_PACKED = re.compile(r"[A-Za-z0-9+/=]*\Z")

Check = Callable[[Any, str], Any]


class Nonsense(ValueError):
    """An answer that does not fit; the sentence says where and how."""

    def __init__(self, what: str) -> None:
        super().__init__("answers nonsense: %s" % what)


def checked(verb: str, answer: Any, host: str = "") -> Dict[str, Any]:
    """A copy of an agent's answer in which every text is printable and bounded.

    :param verb: of the request; answers to ``observe`` and ``act`` have a schema, all others only limits.
    :param host: that was asked; empty when the answer does not name it.
    :raises Nonsense: when it does not fit.
    """
    if not isinstance(answer, Mapping):
        raise Nonsense("the answer is %s, must be a mapping" % _kind(answer))
    fields = {} if answer.get("error") else _VERBS.get(verb, {})
    clean: Dict[str, Any] = _fields(fields)(answer, "")
    if verb == "observe" and fields:
        if clean.get("answer") is None:
            raise _refuse(None, "answer", "seen")
        if host and clean.get("host") != host:
            raise Nonsense("host is another than was asked")
    return clean


def event(said: Any, host: str) -> Dict[str, Any]:
    """A copy of an event that a host reported, with the host that it came from.

    :raises Nonsense: when it does not fit.
    """
    clean: Dict[str, Any] = _fields(_EVENT)(said, "event")
    for name in _NEEDED.get(str(clean.get("event")), ("event",)):
        if clean.get(name) is None:
            raise _refuse(None, "event." + name, "there")
    return dict(clean, host=host)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "nothing" if value is None else "a mapping"


def _refuse(value: Any, where: str, wanted: str) -> Nonsense:
    return Nonsense("%s is %s, must be %s" % (where, _kind(value), wanted))


def _any(value: Any, where: str, depth: int = 0) -> Any:
    """Limits for what has no schema."""
    if depth > _DEEPEST:
        raise Nonsense("%s is nested too deeply" % where)
    if isinstance(value, str):
        return printable(value, _LONGEST_SENTENCE)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if not math.isfinite(value) if isinstance(value, float) else abs(value) > _HUGE:
            raise Nonsense("%s is a number beyond all limits" % where)
        return value
    if isinstance(value, (list, tuple)):
        return [_any(entry, where, depth + 1) for entry in value]
    if isinstance(value, Mapping):
        return {_name(key, where): _any(entry, _below(where, key), depth + 1) for key, entry in value.items()}
    raise _refuse(value, where, "data")


def _below(where: str, key: Any) -> str:
    return "%s.%s" % (where, printable(key, 60)) if where else printable(key, 60)


def _name(key: Any, where: str) -> str:
    if not isinstance(key, str) or not key.isprintable() or len(key) > _LONGEST_NAME:
        raise Nonsense("%s holds a name that is none" % (where or "the answer"))
    return key


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _refuse(value, where, "a text")
    return printable(value)


def _lines(value: Any, where: str) -> Any:
    """Text of many lines at any depth: the differences between files."""
    if isinstance(value, str):
        return for_terminal(value)
    if isinstance(value, list):
        return [_lines(entry, where) for entry in value]
    if isinstance(value, Mapping):
        return {_name(key, where): _lines(entry, where) for key, entry in value.items()}
    return _any(value, where)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, where, "true or false")
    return value


def _epoch(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(value, where, "a whole number")
    if not 0 <= value <= HIGHEST_EPOCH:
        raise Nonsense("%s is no epoch" % where)
    return value


FIGURES = ("memory", "cpu", "cpus", "total_memory", "free_memory", "free_disk", "received", "sent", "received_total",
           "sent_total", "uptime", "pressure_cpu", "pressure_memory", "pressure_io")  # fmt: skip


def _figure(value: Any, where: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refuse(value, where, "a number")
    return _any(value, where)


def _word(*words: str) -> Check:
    def check(value: Any, where: str) -> str:
        if value not in words:
            raise Nonsense("%s is not one of %s" % (where, ", ".join(words)))
        return str(value)

    return check


def _many(entry: Check) -> Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _refuse(value, where, "a list")
        return [None if v is None and entry is _epoch else entry(v, where) for v in value]

    return check


def _by_name(entry: Check) -> Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise _refuse(value, where, "a mapping")
        return {_name(key, where): entry(v, _below(where, key)) for key, v in value.items()}

    return check


def _fields(known: Mapping[str, Check]) -> Check:
    """A mapping with these fields; each may be missing or null, others only keep to the limits."""

    def check(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise _refuse(value, where, "a mapping")
        return {
            _name(key, where): None if v is None else known.get(key, _any)(v, _below(where, key))
            for key, v in value.items()
        }

    return check


def _packed(value: Any, where: str) -> str:
    """Base64, as long as an answer may be."""
    if not isinstance(value, str) or not _PACKED.match(value):
        raise _refuse(value, where, "base64")
    return value


def _code(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -255 <= value <= 255:
        raise _refuse(value, where, "an exit code")
    return value


def _base64(value: Any, where: str) -> str:
    """Bytes of a command, which are nobody's words."""
    if not isinstance(value, str) or len(value) > LARGEST // 4 or not _BASE64.match(value):
        raise _refuse(value, where, "base64")
    return value


_NEEDED = {
    "exited": ("event", "instance", "program", "epoch", "code"),  # a program ended
    "window": ("event", "instance", "program", "epoch", "state", "since"),  # one falls silent, or answers again
}
_EVENT = {
    "event": _text,
    "instance": _name,
    "program": _name,
    "epoch": _epoch,
    "code": _code,
    "expected": _flag,
    "busy": _flag,
    "stopped": _many(_text),
    "state": _text,
    "since": _figure,
}
_SEEN = _fields(
    {
        "epoch": _epoch,
        "epochs": _many(_epoch),
        "claim": _epoch,
        "digest": _text,
        "last_epoch": _epoch,
        "programs": _by_name(_any),
        "deferred": _many(_text),
        "failed": _by_name(_text),
        "done": _by_name(_code),
        "ended": _fields({"program": _text}),
        "endings": _by_name(_text),
        "busy": _flag,
        "cpu": _figure,
        "memory": _figure,
    }
)
_OUTCOME = _fields(
    {
        "result": _word(*_RESULTS),
        "reason": _text,
        "epoch": _epoch,
        "started": _many(_text),
        "deferred": _many(_text),
        "failed": _by_name(_text),
        "left": _many(_text),
        "restarted": _flag,
        "changed": _flag,
        "timeline": _many(_any),
    }
)
_ACTED: Dict[str, Check] = {
    "results": _by_name(_OUTCOME), "changed": _flag, "diff": _lines, "config_error": _text,
    "services": _many(_text), "services_error": _text, "service_manager": _text, "incarnation": _text,
}
_ATTEMPT = _fields(
    {"number": _epoch, "did": _text, "at": _figure, "why": _text, "result": _text, "took": _figure}
)
_ALONE = _fields(
    {"epoch": _epoch, "until": _epoch, "stands": _flag, "busy": _flag, "attempts": _many(_ATTEMPT), "rules": _text}
)
_COPY = _fields({"site_id": _text, "revision": _epoch, "at": _figure, "digest": _text, "text": _packed})
_VERBS: Dict[str, Dict[str, Check]] = {
    "observe": {
        "host": _text,
        "answer": _word("seen"),
        "why": _text,
        "prepared": _flag,
        "site_id": _text,
        "controller": _text,
        "incarnation": _text,
        "service_manager": _word(*_MANAGERS),
        "config": _text,
        "services_config": _text,
        "drift": _many(_text),
        "foreign": _many(_text),
        "instances": _by_name(_SEEN),
        "lease": _fields({"held": _flag, "lost": _flag, "guard": _flag, "witnesses": _many(_text)}),
        "alone": _by_name(_ALONE),
        "services": _by_name(_fields({"started": _figure, "pause": _figure})),
        "evidence": _fields({"watched": _flag, "epochs": _by_name(_epoch), "copy": _COPY}),
        "load": _fields(dict.fromkeys(FIGURES, _figure)),
    },
    "act": _ACTED,
    "acted": _ACTED,
    "exec": {"code": _code, "why": _text, "out": _base64, "err": _base64, "took": _figure, "left_out": _many(_figure)},
    "log": {"lines": _many(_lines)},
    "people": {"diff": _lines},
    "prepare": {"diff": _lines},
    "remove": {"diff": _lines},
}
