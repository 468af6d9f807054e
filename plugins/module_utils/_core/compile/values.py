# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one value of a site is read: a function per kind of field, with the message about a value that it refuses."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Any, Callable, Dict, Mapping, Tuple

from ..model.item import MEMORY
from ..model.moments import duration
from ..model.text import unreadable
from . import values_confinement
from .errors import show, suggest
from .keys import SINGLE_INSTANCE_ONLY
from .keys_change import RELOAD_SIGNALS
from .table import Field

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_PORT_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}\Z")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # Python looks up no longer one, and no empty one
_NAMED = re.compile(r"(?=.{1,253}\Z)%s(\.%s)*\.?\Z" % (_LABEL, _LABEL))  # of a network, or of /etc/hosts
_PATH = re.compile(r"(/[A-Za-z0-9_.+@=-]+)+\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE = re.compile(r"(/[^/\x00-\x1f\x7f]+)+\Z")
_TOPIC = re.compile(r"[A-Za-z0-9_$][A-Za-z0-9_$./-]{0,99}\Z")
_URL_PATH = re.compile(r"/[\x21-\x7e]*\Z")
_MODE = re.compile(r"0[0-7]{3}\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,300}\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")
_MOST = 1000000  # of a resource
_SHARE = re.compile(r"([1-9][0-9]?|100)%\Z")
_LONGEST_NUMBER = 1024  # bits; Python refuses to write very long numbers

NAME_RULE = "a letter, then letters, digits, _ or -, at most 64"
_VALUE_HINTS = {
    ("distribution", "all_instances"): SINGLE_INSTANCE_ONLY,
    ("distribution", "single_node"): SINGLE_INSTANCE_ONLY,
    ("running_failure_strategy", "shutdown"): "one application's failure never stops the others",
    ("running_failure_strategy", "restart"): "one application's failure never stops the others",
}


class Bad(Exception):
    """A value that is refused: message and hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def described(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return show(value)


def _must(value: Any, what: str, hint: str = "") -> Bad:
    return Bad("is %s, must be %s" % (described(value), what), hint)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        hint = "put it in quotes" if isinstance(value, (bool, int, float)) else ""
        raise _must(value, "a text", hint)
    if unreadable(value):
        raise _must(value, "one line of text")
    return value


def _some_text(field: Field, value: Any) -> str:
    text = _text(field, value)
    if not text.strip():
        raise _must(value, "a text that is not empty")
    return text


def _matching(pattern: Any, what: str) -> Callable[[Field, Any], str]:
    def read(field: Field, value: Any) -> str:
        if isinstance(value, str) and pattern.match(value):
            return value
        hint = "put it in quotes" if isinstance(value, (bool, int, float)) else ""
        raise _must(value, what, hint)

    return read


def _address(field: Field, value: Any) -> str:
    if isinstance(value, str) and (_NAMED.match(value) or _is_version_6(value)):
        return value
    hint = "put it in quotes" if isinstance(value, (bool, int, float)) else ""
    raise _must(value, "an IP address or a host name", hint)


def _is_version_6(text: str) -> bool:
    try:
        return ":" in text and "%" not in text and bool(ipaddress.IPv6Address(text).compressed)
    except ValueError:
        return False


def _integer(field: Field, value: Any) -> int:
    if isinstance(value, str) and _INTEGER.match(value.strip()):
        value = int(value)  # as extra variables and INI inventories give it
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _must(value, "a whole number" + _limits(field))
    _within(field, value, value)
    return value


def _share(field: Field, value: Any) -> Any:
    """A whole number, or a share in percent as text."""
    if isinstance(value, str) and _SHARE.match(value.strip()):
        return value.strip()
    if isinstance(value, str) and not _INTEGER.match(value.strip()):
        raise _must(value, 'a whole number of 1 or more, or a share from "1%" to "100%"')
    return _integer(field, value)


def _number(field: Field, value: Any) -> float:
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        value = float(value)
    written = value
    if isinstance(value, str) and field.unit == "s":
        seconds = duration(value.strip())
        value = value if seconds is None else seconds
    if isinstance(value, int) and value.bit_length() > 1023:
        value = float("inf")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        kind = " of seconds, or a duration such as 90s, 5min or 2h," if field.unit == "s" else ""
        raise _must(value, ("a number%s%s" % (kind, _limits(field))).rstrip(","))
    _within(field, value, written)
    return float(value)


def _within(field: Field, value: float, written: Any) -> None:
    low = field.minimum is not None and value < field.minimum
    high = field.maximum is not None and value > field.maximum
    if low or high or value in (float("inf"), float("-inf")):
        raise Bad("is %s, must be%s" % (show(written), _limits(field) or " finite"))


def _limits(field: Field) -> str:
    if field.minimum is not None and field.maximum is not None:
        return " from %g to %g" % (field.minimum, field.maximum)
    return " of %g or more" % field.minimum if field.minimum is not None else ""


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _must(value, "true or false")
    return value


def _choice(field: Field, value: Any) -> str:
    if isinstance(value, str) and value in field.choices:
        return value
    word = show(value).strip('"').lower()
    hint = _VALUE_HINTS.get((field.name, word), "") or suggest(value, field.choices)
    raise Bad("%s is not known here" % show(value), hint)


def _names(field: Field, value: Any) -> Tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise _must(value, "a name or a list of names")
    if not names:
        raise _must(value, "at least one name")
    for name in names:
        if "," in name:
            raise _must(value, "a list", "write [%s]" % ", ".join(part.strip() for part in name.split(",")))
        if name in ("#", "@") or (len(names) > 1 and name == "*"):
            raise Bad("%s has no meaning here" % show(name), "muster spreads items by load; name hosts or groups")
        if not name.strip():
            raise Bad("holds an empty name")
    return tuple(names)


def _arguments(field: Field, value: Any) -> Tuple[str, ...]:
    if isinstance(value, str):
        raise _must(value, "a list of arguments", "write [%s]" % ", ".join(value.split()))
    if not isinstance(value, (list, tuple)) or not value:
        raise _must(value, "a list of arguments")
    arguments = []
    for position, argument in enumerate(value):
        if isinstance(argument, int) and not isinstance(argument, bool) and argument.bit_length() <= _LONGEST_NUMBER:
            argument = str(argument)
        if not isinstance(argument, str):
            raise Bad("argument %d is %s, must be a text" % (position + 1, described(argument)), "put it in quotes")
        if unreadable(argument):
            raise Bad("argument %d is %s, must be one line of text" % (position + 1, show(argument)))
        arguments.append(argument)
    if not arguments[0].strip():
        raise Bad("the first argument, the program, is empty")
    if ".." in arguments[0].split("/"):
        raise Bad("the program %s leaves the folder bin/" % show(arguments[0]), "give an absolute path")
    return tuple(arguments)


def _reload(field: Field, value: Any) -> Any:
    """A signal, or a command that is run as it is written."""
    if isinstance(value, str):
        name = value.upper()
        name = name[3:] if name.startswith("SIG") else name
        if name not in RELOAD_SIGNALS:
            hint = "a command is a list: [%s]" % ", ".join(value.split()) if " " in value or "/" in value else ""
            raise Bad("%s is not a signal for this" % show(value), hint or suggest(name, RELOAD_SIGNALS))
        return name
    arguments = _arguments(field, value)
    for argument in arguments:
        if "{{" in argument or "{%" in argument:
            raise Bad("%s is no text of this command: nothing is filled in" % show(argument),
                      "its environment is that of the program, with MUSTER_PID")
    return arguments


def _environment(field: Field, value: Any) -> Dict[str, str]:
    if not isinstance(value, Mapping):
        raise _must(value, "a mapping of names to texts")
    environment = {}
    for name, entry in value.items():
        if not isinstance(name, str) or not _VARIABLE.match(name):
            raise Bad("%s is not a name of an environment variable" % show(name),
                      "allowed: letters, digits and _, no digit first")
        if name.startswith("MUSTER_"):
            raise Bad("%s is reserved: muster sets it" % name, "choose a name that does not begin with MUSTER_")
        if isinstance(entry, int) and not isinstance(entry, bool) and entry.bit_length() <= _LONGEST_NUMBER:
            entry = str(entry)
        if not isinstance(entry, str):
            raise Bad("%s is %s, must be a text" % (name, described(entry)), "put it in quotes")
        if unreadable(entry):
            raise Bad("%s is %s, must be one line of text" % (name, show(entry)))
        environment[name] = entry
    return environment


def _mapping(field: Field, value: Any) -> Dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _must(value, "a mapping")
    return dict(value)


def _items(field: Field, value: Any) -> Tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _must(value, "a list")
    return tuple(value)


def _amounts(field: Field, value: Any) -> Dict[str, int]:
    found = {}
    for name, amount in _mapping(field, value).items():
        if not isinstance(name, str) or not NAME.match(name) or name == MEMORY:
            hint = "memory is what expected_memory reserves" if name == MEMORY else "allowed: " + NAME_RULE
            raise Bad("%s is not a name of a resource" % show(name), hint)
        if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= _MOST:
            raise Bad("%s is %s, must be a whole number from 0 to %d" % (name, described(amount), _MOST))
        found[name] = amount
    return found


def _item_id(field: Field, value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        raise _must(value, "a text", "put it in quotes: YAML reads 010 as 8, and no as false")
    if not isinstance(value, str) or not _ITEM_ID.match(value):
        raise _must(value, "an id of 1 to 64 letters, digits, _ - or ., a letter or digit first")
    if value.endswith((".ini", ".")):
        raise _must(value, "an id that does not end in %s" % show(value[value.rindex("."):]))
    return value


def _mode(field: Field, value: Any) -> str:
    if isinstance(value, str) and _MODE.match(value):
        return value
    hint = "put it in quotes, or YAML reads an octal number" if isinstance(value, int) else ""
    raise _must(value, 'permissions such as "0640"', hint)


def _path(field: Field, value: Any) -> str:
    hint = "allowed: letters, digits and _ . + @ = -"
    if not isinstance(value, str) or not value.startswith("/"):
        raise _must(value, "an absolute path")
    if not _PATH.match(value) or any(part in (".", "..") for part in value.split("/")):
        raise Bad("is %s, whose parts hold something that configuration files cannot" % show(value), hint)
    return value


def _probe(field: Field, value: Any) -> Any:
    """A kind of probe, or what is read by its own table."""
    return dict(value) if isinstance(value, Mapping) else _choice(field, value)


def _list(field: Field, value: Any) -> Tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise _must(value, "a list of probes")
    return tuple(value)


def _statuses(field: Field, value: Any) -> Tuple[int, ...]:
    written = value if isinstance(value, (list, tuple)) else [value]
    if not written:
        raise _must(value, "a number or a list of them")
    return tuple(_integer(field, entry) for entry in written)


def _topic(field: Field, value: Any) -> str:
    if not isinstance(value, str) or not _TOPIC.match(value):
        raise _must(value, "the beginning of a topic: letters, digits and _ $ . / -, no wildcards")
    return value


def is_port_name(name: Any) -> bool:
    return isinstance(name, str) and bool(_PORT_NAME.match(name))


def _confined(read: Callable[[Field, Any, Callable[[str, str], Exception]], Any]) -> Callable[[Field, Any], Any]:
    return lambda field, value: read(field, value, Bad)


def is_host_name(name: Any) -> bool:
    return isinstance(name, str) and bool(_HOST_NAME.match(name))


KINDS: Dict[str, Callable[[Field, Any], Any]] = {
    "text": _text,
    "name": _matching(NAME, "a name: " + NAME_RULE),
    "node": _matching(_HOST_NAME, "a name of letters, digits, _ . or -"),
    "address": _address,
    "integer": _integer,
    "number": _number,
    "share": _share,
    "boolean": _boolean,
    "choice": _choice,
    "names": _names,
    "arguments": _arguments,
    "environment": _environment,
    "reload": _reload,
    "mapping": _mapping,
    "files": _mapping,
    "items": _items,
    "item id": _item_id,
    "mode": _mode,
    "path": _path,
    "probe": _probe,
    "list": _list,
    "statuses": _statuses,
    "topic": _topic,
    "file": _matching(_FILE, "the absolute path of a file"),
    "url path": _matching(_URL_PATH, "a path that begins with / and holds no blanks"),
    "template": _some_text,
    "user": _matching(values_confinement.USER, "the name of a user or group: small letters, digits, _ and -"),
    "limits": _confined(values_confinement.limits),
    "sandbox": _confined(values_confinement.sandbox),
    "display": _confined(values_confinement.display),
    "choice of items": lambda field, value: dict(value) if isinstance(value, Mapping) else _names(field, value),
    "amounts": _amounts,
    "factor": lambda field, value: value,  # read further where the applications are known
    "hosts": lambda field, value: value,
    "codes": lambda field, value: tuple(sorted(set(_statuses(field, value)))),
    "ready": _probe,
}
