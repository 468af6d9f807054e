# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a JSON value against a JSON Schema; each error names field, value, what is allowed and the nearest name.

It knows the keywords in KEYWORDS, which are all that `model.request` and the API's own schemas use for what they take,
but for the `oneOf` and `anyOf` of a request (`requests.read`). It is stricter than JSON Schema in three points: a text
must be printable, a number finite, and a whole number written without a fraction (1, not 1.0). Tests compare it with
the package jsonschema.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from ..compile.errors import show, suggest
from ..model.sentences import nearest
from ..model.text import printable

Error = Dict[str, Any]  # {"field", "message", "value", "allowed"?, "nearest"?, "unknown"?}

MOST = 20  # errors of one value; what is wrong beyond that comes after these are mended
_EXACT = 1 << 53  # whole numbers beyond are rounded by readers of JSON, or are no number to them
LONGEST_PATH = 200  # characters of a field's name in an error

KEYWORDS = frozenset((
    "type", "const", "enum", "minLength", "maxLength", "minItems", "maxItems", "items", "minimum", "maximum",
    "properties", "additionalProperties", "required",
))  # fmt: skip
ANNOTATIONS = frozenset(("title", "description", "deprecated", "writeOnly"))  # do not restrict the value

_TYPES: Mapping[str, Tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}
_WORDS = {"object": "an object", "array": "a list", "string": "a text", "number": "a number",
          "integer": "a whole number", "boolean": "true or false"}  # fmt: skip


def errors(value: Any, schema: Mapping[str, Any], field: str = "") -> List[Error]:
    """The errors of a value, at most `MOST`; none when the schema accepts it.

    :param field: path of the value, for the errors.
    """
    found: List[Error] = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [error(field, "must be %s" % " or ".join(_WORDS[kind] for kind in kinds), value)]
    if "const" in schema and value != schema["const"]:
        return [error(field, "must be %s" % show(schema["const"]), value)]
    if "enum" in schema and value not in schema["enum"]:
        return [unknown(field, value, schema["enum"])]
    if isinstance(value, str):
        shown = None if schema.get("writeOnly") else value[:60]  # a secret in no error
        if len(value) < schema.get("minLength", 0):
            found.append(error(field, "must not be empty", value))
        if len(value) > schema.get("maxLength", math.inf):
            found.append(error(field, "is longer than %d characters" % schema["maxLength"], shown))
        if not value.isprintable():
            found.append(error(field, "holds characters that cannot be shown", shown))
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append(error(field, "must name at least one", value))
        if len(value) > schema.get("maxItems", math.inf):
            found.append(error(field, "names more than %d" % schema["maxItems"], len(value)))
        for position, entry in enumerate(value):
            if len(found) >= MOST:
                break
            found += errors(entry, schema.get("items", {}), "%s[%d]" % (field, position))
    elif isinstance(value, dict):
        found += _object(value, schema, field)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", -math.inf):
            found.append(error(field, "must be at least %s" % _number(schema["minimum"]), value))
        if value > schema.get("maximum", math.inf):
            found.append(error(field, "must be at most %s" % _number(schema["maximum"]), value))
    return found


def _object(value: Mapping[str, Any], schema: Mapping[str, Any], field: str) -> List[Error]:
    found: List[Error] = []
    known = schema.get("properties", {})
    for name, entry in value.items():
        if len(found) >= MOST:
            break
        path = ("%s.%s" % (field, name) if field else name)[:LONGEST_PATH]
        if name in known:
            found += errors(entry, known[name], path)
        elif isinstance(schema.get("additionalProperties"), dict):
            found += errors(entry, schema["additionalProperties"], path)
        elif schema.get("additionalProperties") is False:
            problem = unknown(path, name, [key for key in known if key not in value] or list(known))
            problem["message"] = "is not known here" + problem["message"][problem["message"].find(";") :]
            problem["value"] = _short(entry)
            found.append(problem)
    for name in schema.get("required", ()):
        if name not in value:
            found.append(error("%s.%s" % (field, name) if field else name, "is missing", None))
    return found


def error(field: str, message: str, value: Any) -> Error:
    return {"field": field, "message": message, "value": _short(value)}


def unknown(field: str, value: Any, allowed: Iterable[Any]) -> Error:
    """The error for a word that is not allowed, with the nearest allowed one."""
    words = [str(word) for word in allowed]
    near = nearest(value, words) if isinstance(value, str) else ""
    suggestion = suggest(value, words) or "there is none"
    message = "%s is not known; %s" % (show(value), suggestion)
    found = dict(error(field, message, value), allowed=words[:50])
    if near:
        found["nearest"] = near
    return found


def sentence(problems: List[Error]) -> str:
    """All errors in one line."""
    return "; ".join("%s: %s" % (p["field"], p["message"]) if p["field"] else str(p["message"]) for p in problems)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, _TYPES[kind])


def _number(value: float) -> str:
    """A limit with all its digits."""
    return "%d" % value if value == int(value) else "%g" % value


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value[:60])
    if isinstance(value, float) and not math.isfinite(value):
        return show(value)
    if isinstance(value, int) and abs(value) > _EXACT:
        return show(value)
    return value if value is None or isinstance(value, (int, float)) else show(value)
