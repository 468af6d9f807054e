# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table of the site's keys is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Field:
    """One key: ``kind`` says how it is read (see ``compile.reader.Reader``)."""

    name: str
    kind: str
    doc: str
    default: Any = None
    required: bool = False
    choices: Tuple[str, ...] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    unit: str = ""
    default_doc: str = ""  # where the default is not a plain value


@dataclass(frozen=True)
class Table:
    """The keys allowed at one place of a site."""

    title: str
    place: str  # the path in the site, for people
    doc: str
    fields: Tuple[Field, ...]
    foreign: Mapping[str, str]  # words of others -> what to do instead

    def names(self) -> List[str]:
        return [field.name for field in self.fields]

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def defaults(self) -> Dict[str, Any]:
        return {field.name: field.default for field in self.fields if not field.required}


def table(title: str, place: str, doc: str, fields: Tuple[Field, ...], **foreign: str) -> Table:
    return Table(title, place, doc, fields, foreign)
