# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads one mapping of a site against its table: unknown keys, kinds, limits, choices."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, Set, Tuple

from ..model.sentences import nearest
from ..model.site import ConfigFile
from .errors import Keys, Problems, show, suggest
from .keys import FILE
from .table import Field, Table
from .values import KINDS, NAME, NAME_RULE, Bad, described

_FILE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


class Values(Dict[str, Any]):
    """The valid values that were written; ``broken`` names the keys whose values were refused."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Set[str] = set()

    def sound(self, *names: str) -> bool:
        """Whether none of these was refused, so that rules about them can be checked."""
        return not self.broken.intersection(names)


class Reader:
    """Reads mappings into `Values`, adding errors to `Problems`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def mapping(self, value: Any, keys: Keys, what: str) -> Dict[str, Any]:
        """The mapping at this place, or an empty one with an error."""
        if isinstance(value, Mapping):
            return dict(value)
        self.problems.add(keys, "%s is %s, must be a mapping" % (what, described(value)), value)
        return {}

    def names(self, value: Any, keys: Keys, what: str) -> Dict[str, Any]:
        """A mapping by names of the user's choice; entries with a bad name are refused."""
        good = {}
        for name, entry in self.mapping(value, keys, what).items():
            if NAME.match(str(name)):
                good[str(name)] = entry
            else:
                self.problems.add(keys + (name,), "%s is not a name" % show(name), name, "allowed: " + NAME_RULE)
        return good

    def table(self, table: Table, value: Any, keys: Keys, what: str, extra: Iterable[str] = (),
              require: bool = True) -> Values:
        """The mapping at this place, checked against its table.

        :param extra: keys that the caller reads itself.
        :param require: report missing keys; not for models and rules, which hold some keys only.
        """
        values = Values()
        if not isinstance(value, Mapping):
            self.mapping(value, keys, what)
            values.broken.update(table.names())
            return values
        fields = {field.name: field for field in table.fields}
        skipped = set(extra)
        for name, entry in value.items():
            if name in fields:
                self._field(fields[name], entry, keys + (name,), values)
            elif name not in skipped:
                hint = table.foreign.get(str(name).lower(), "") or suggest(name, fields)
                self.problems.add(keys + (name,), "unknown key", entry, hint)
                values.broken.add(nearest(name, fields))  # what was probably meant is neither missing nor default
        if require:
            for field in table.fields:
                if field.required and field.name not in values and values.sound(field.name):
                    message = "%s needs %s (%s)" % (what, field.name, _first_sentence(field.doc))
                    self.problems.add(keys or (field.name,), message)
                    values.broken.add(field.name)
        return values

    def value(self, field: Field, value: Any, keys: Keys) -> Tuple[bool, Any]:
        """``(True, value as the model wants it)``, or ``(False, None)`` with an error added."""
        values = Values()
        self._field(field, value, keys, values)
        return field.name in values, values.get(field.name)

    def files(self, value: Mapping[str, Any], keys: Keys) -> Tuple[ConfigFile, ...]:
        """Configuration files by name."""
        files = []
        for name, entry in value.items():
            place = keys + (name,)
            parts = str(name).split("/")
            if not all(_FILE_PART.match(part) for part in parts):
                self.problems.add(place, "%s is not a file name that stays in its folder" % show(name), name,
                                  "allowed: letters, digits, _ . -, and / between folders")
                continue
            if not isinstance(entry, Mapping):
                entry = {"template": entry}
            values = self.table(FILE, entry, place, "this file")
            if "template" in values:
                files.append(ConfigFile(str(name), **values))
        return tuple(files)

    def _field(self, field: Field, value: Any, keys: Keys, values: Values) -> None:
        try:
            values[field.name] = KINDS[field.kind](field, value)
        except Bad as bad:
            values.broken.add(field.name)
            self.problems.add(keys, bad.message, value, bad.hint)


def _first_sentence(doc: str) -> str:
    sentence = doc.split(". ")[0].split(": ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]
