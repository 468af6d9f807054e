# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the records of a source to items, with everything that is wrong in it. Without I/O."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..module_utils._core.compile.errors import suggest
from ..module_utils._core.compile.keys import HIGHEST_SLOT
from ..module_utils._core.model.text import printable

_JINJA = re.compile(r"\{\{|\{%|\{#")
_ABSENT = object()


@dataclass(frozen=True)
class Record:
    """One entry of a source, and where it is in it."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """How a text holds records."""

    kind: str  # csv, json, netbox
    records: str = ""
    delimiter: str = ","


@dataclass(frozen=True)
class Wanted:
    """Which fields of a record make an item."""

    id: str
    slot: str = ""
    fields: Mapping[str, Any] = None  # type: ignore[assignment]
    where: Mapping[str, Any] = None  # type: ignore[assignment]


def records(text: str, shape: Shape) -> list[Record]:
    """The records of a text.

    :raises ValueError: when it is none of this shape, with one sentence.
    """
    if shape.kind == "csv":
        return _rows(text, shape.delimiter)
    document = _document(text)
    path = shape.records or ("results" if shape.kind == "netbox" else "")
    found = _field(document, path) if path else document
    if not isinstance(found, list):
        where = "at %s" % path if path else "as the whole document"
        keys = ", ".join(sorted(document)[:8]) if isinstance(document, dict) else type(document).__name__
        raise ValueError("there is no list %s (there is: %s)" % (where, printable(keys)))
    return [Record("record %d" % (number + 1), _mapping(entry, number)) for number, entry in enumerate(found)]


def next_page(text: str) -> str:
    """The address of the following page of an answer of NetBox, or nothing."""
    document = _document(text)
    return str(document.get("next") or "") if isinstance(document, dict) else ""


def items(found: Sequence[Record], wanted: Wanted) -> tuple[list[dict[str, Any]], list[str]]:
    """The items that the records describe, and everything that is wrong with them."""
    problems = _unknown_fields(found, wanted)
    if problems:
        return [], problems
    fitting = [record for record in found if _fits(record, wanted.where or {})]
    if not fitting:
        return [], ["none of its %d records fits" % len(found) if found else "it holds no record"]
    result: list[dict[str, Any]] = []
    ids: dict[str, str] = {}
    slots: dict[int, str] = {}
    for record in fitting:
        item = _item(record, wanted, problems)
        if item is None:
            continue
        for value, taken, word in ((item["id"], ids, "item"), (item.get("slot"), slots, "slot")):
            if value is not None and value in taken:
                problems.append("%s: %s %s is that of %s, too" % (record.place, word, value, taken[value]))
            elif value is not None:
                taken[value] = record.place
        result.append(item)
    return ([], problems) if problems else (result, [])


def unknown(what: str, word: Any, words: Iterable[str]) -> str:
    """A sentence about a name that is not there, with the nearest one that is."""
    return ("there is no %s %s; %s" % (what, word, suggest(word, sorted(words)))).rstrip("; ")


def plain(sentence: str) -> str:
    """The sentence without what Ansible would evaluate in a variable."""
    return _JINJA.sub(lambda match: " ".join(match.group()), sentence)


def _item(record: Record, wanted: Wanted, problems: list[str]) -> dict[str, Any] | None:
    """One item; nothing, when something is wrong with it."""
    before = len(problems)

    def wrong(field: str, value: Any, must: str) -> None:
        missing = value in (_ABSENT, None, "")
        said = "is missing" if missing else "is %s" % printable(json.dumps(value, default=str), 60)
        problems.append("%s: %s %s, must be %s" % (record.place, field, said, must))

    name = _field(record.values, wanted.id)
    if isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
        wrong(wanted.id, name, "the id of the item")
    item: dict[str, Any] = {"id": str(name).strip()}
    if wanted.slot:
        slot = _field(record.values, wanted.slot)
        text = str(slot).strip()
        if isinstance(slot, bool) or not text.isdigit() or int(text) > HIGHEST_SLOT:
            wrong(wanted.slot, slot, "a whole number from 0 to %d" % HIGHEST_SLOT)
        else:
            item["slot"] = int(text)
    for variable, field in (wanted.fields or {}).items():
        value = _field(record.values, field)
        if value is _ABSENT:
            wrong(field, value, "there, since fields takes %s from it" % variable)
        item[variable] = value
    problems.extend(
        "%s: %s holds a Jinja expression, which a source may not" % (record.place, key)
        for key, value in item.items()
        if _JINJA.search(json.dumps(value, default=str))
    )
    return item if len(problems) == before else None


def _unknown_fields(found: Sequence[Record], wanted: Wanted) -> list[str]:
    """Fields that no record has."""
    if not found:
        return []
    asked = {"id": [wanted.id], "slot": [wanted.slot] if wanted.slot else []}
    asked["fields"] = [str(field) for field in (wanted.fields or {}).values()]
    asked["where"] = [str(field) for field in wanted.where or {}]
    known = {name for record in found for name in _names(record.values)}
    missing = [(option, field) for option, fields in asked.items() for field in fields if field not in known]
    return ["%s: %s" % (option, unknown("field", field, known)) for option, field in missing]


def _names(values: Mapping[str, Any], before: str = "") -> Iterable[str]:
    """The fields of a record, those inside of others with dots."""
    for name, value in values.items():
        yield "%s%s" % (before, name)
        if isinstance(value, Mapping):
            yield from _names(value, "%s%s." % (before, name))


def _fits(record: Record, where: Mapping[str, Any]) -> bool:
    for field, allowed in where.items():
        values = allowed if isinstance(allowed, list) else [allowed]
        if str(_field(record.values, field)) not in [str(value) for value in values]:
            return False
    return True


def _field(values: Any, path: str) -> Any:
    """A field; a name with a dot is looked up as it is, then step by step."""
    if isinstance(values, Mapping) and path in values:
        return values[path]
    for step in str(path).split("."):
        if not isinstance(values, Mapping) or step not in values:
            return _ABSENT
        values = values[step]
    return values


def _rows(text: str, delimiter: str) -> list[Record]:
    """:raises ValueError: for a table without a first line, or with lines of another length."""
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not any(names):
            raise ValueError("its first line must hold the names of the columns")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError("it has two columns %s" % ", ".join(twice))
        found = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise ValueError("line %d has %d columns, the first one %d" % (reader.line_num, len(row), len(names)))
            found.append(Record("line %d" % reader.line_num, dict(zip(names, (cell.strip() for cell in row)))))
    except csv.Error as error:
        raise ValueError("line %d is no line of a table: %s" % (reader.line_num, error)) from error
    return found


def _document(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is no JSON: %s" % error) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """:raises ValueError: for a key that is there twice, of which one would be lost without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError("one mapping has the key %s twice" % ", ".join(map(printable, twice)))
    return found


def _mapping(entry: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError("record %d is %s, must be a mapping" % (number + 1, printable(json.dumps(entry), 40)))
    return entry
