# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of requests: muster's own check accepts exactly what the package jsonschema accepts.

The check is stricter in three points, which its docstring states. They are given to jsonschema here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators

from monitor.core.model.moments import moment
from monitor.core.model.request import KINDS
from monitor.core.requests import check, read
from monitor.web.schema import routes

Json = dict[str, Any]

CHOICES = ("oneOf", "anyOf")  # `requests.read` carries them out
REQUESTS: dict[str, Json] = {kind["title"]: kind for kind in routes.bodies()["Request"]["oneOf"]}
SCHEMAS: dict[str, Json] = {
    **{"kind %s" % n: {k: v for k, v in schema.items() if k not in CHOICES} for n, schema in REQUESTS.items()},
    **{
        "%s ?%s" % (route.name, parameter.name): parameter.schema
        for route in routes.ROUTES
        for parameter in route.parameters
    },
    "WhatIf": routes.bodies()["WhatIf"],
}


def is_number(_checker: Any, value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(_checker: Any, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


Stricter = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", is_number).redefine("integer", is_integer),
)


def texts(value: object) -> Iterator[str]:
    """Every text in a value. Names of fields are checked against the known ones, not for their characters."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(part)


def accepted_by_jsonschema(value: object, schema: Json) -> bool:
    return Stricter(schema).is_valid(value) and all(text.isprintable() for text in texts(value))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def near(draw: st.DrawFn, schema: Json) -> Any:
    """A value that fits the schema or nearly: lengths and numbers around the limits, fields too many or too few."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kinds = schema.get("type", "object")
    kind = draw(st.sampled_from([kinds] if isinstance(kinds, str) else kinds))
    if kind == "boolean":
        return draw(st.booleans())
    if kind in ("integer", "number"):
        limits = [schema.get("minimum", 0), schema.get("maximum", 1000)]
        number = draw(st.sampled_from(limits)) + draw(st.integers(-1, 1))
        return draw(st.sampled_from([number, float(number), number + 0.5]))
    if kind == "string":
        length = draw(st.sampled_from([schema.get("minLength", 0), schema.get("maxLength", 20)]))
        return draw(st.sampled_from("aä𝄞\n\ud800")) * max(0, length + draw(st.integers(-1, 1)))
    if kind == "array":
        if draw(st.integers(0, 5)) == 0:
            limit = schema.get("maxItems", 3)
            return ["a"] * (limit + draw(st.integers(-1, 1)))
        return draw(st.lists(near(schema.get("items", {})), max_size=3))
    known = schema.get("properties", {})
    names = [name for name in known if name in schema.get("required", ()) or draw(st.booleans())]
    if names and draw(st.integers(0, 5)) == 0:
        names.remove(draw(st.sampled_from(names)))
    value = {name: draw(near(known[name])) for name in names}
    if draw(st.integers(0, 5)) == 0 or isinstance(schema.get("additionalProperties"), dict):
        more = schema.get("additionalProperties")
        value[draw(st.text(max_size=4))] = draw(near(more) if isinstance(more, dict) else ANYTHING)
    return value


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_value_is_right_exactly_when_jsonschema_accepts_it(name: str) -> None:
    schema = SCHEMAS[name]

    @settings(max_examples=40, deadline=None, database=None)
    @given(near(schema))
    @example(math.nan)
    @example(None)
    def compare(value: Any) -> None:
        problems = check.errors(value, schema)
        assert (problems == []) == accepted_by_jsonschema(value, schema), problems

    compare()


def accepted_by_rules(document: Json) -> bool:
    """The rules of `requests.read` beyond the schema."""
    kind = KINDS[document["kind"]]
    needs_reason = kind.reason or bool(document.get("take"))
    entries = [entry.partition("=") for entry in document.get("env") or ()]
    if "arg" in document or entries:
        names = [name for name, _sign, _value in entries]
        wrong = [n for n, sign, _v in entries if not sign or not re.fullmatch("(?!MUSTER_)[A-Za-z_][A-Za-z0-9_]*", n)]
        if wrong or len(names) > len(set(names)) or not document.get("instances"):
            return False
        if not all("/" in name for name in document["instances"]):
            return False
    twice = [former for former, name in kind.renamed.items() if former in document and name in document]
    for when in (document.get("until"), document.get("at")):
        try:
            moment(when if isinstance(when, str) else None, 0.0)
        except (ValueError, OverflowError):
            return False
    return not twice and (not needs_reason or bool(str(document.get("why", "")).strip()))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_exactly_when_jsonschema_and_the_rules_accept_it(name: str) -> None:
    schema = REQUESTS[name]

    @settings(max_examples=60, deadline=None, database=None)
    @given(near(schema))
    @example({"kind": name})
    def compare(document: Any) -> None:
        try:
            read.request(document, None, [name])
            problems = []
        except read.RequestErrors as error:
            problems = error.errors
        assert (problems == []) == (accepted_by_jsonschema(document, schema) and accepted_by_rules(document)), problems

    compare()


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_can_be_right(name: str) -> None:
    """Otherwise both could agree on refusing everything."""
    schema = REQUESTS[name]
    examples: Json = {
        "kind": name, "instances": ["scen2_srv_01"], "host": "server_1", "keep": "server_1", "to": "server_2",
        "plan": "a" * 64, "why": "a test", "item": "01", "ids": ["1"], "site": True, "all": True,
        "pending": True, "until": "30min", "signal": "HUP", "arg": ["-v"], "env": ["A=b"],
    }  # fmt: skip
    choices = schema.get("oneOf") or schema.get("anyOf") or [{"required": []}]
    for alternative in [entry["required"] for entry in choices]:
        document = {field: examples[field] for field in (*schema["required"], *alternative)}
        read.request(document, None, [name])
        assert accepted_by_jsonschema(document, schema)


def schemas_in(schema: Json) -> Iterator[Json]:
    yield schema
    for part in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from schemas_in(part)


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_schema_has_a_keyword_that_the_check_ignores(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    for schema in schemas_in(SCHEMAS[name]):
        assert set(schema) <= check.KEYWORDS | check.ANNOTATIONS


@pytest.mark.parametrize("name", REQUESTS)
def test_each_choice_of_a_request_only_requires_one_field(name: str) -> None:
    """`requests.read` carries it out, and knows no other form."""
    for alternative in [entry for choice in CHOICES for entry in REQUESTS[name].get(choice, ())]:
        assert list(alternative) == ["required"] and len(alternative["required"]) == 1
