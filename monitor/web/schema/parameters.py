# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of an address, held against the table of routes: every error at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...core.model import moments
from ...core.requests import check

if TYPE_CHECKING:
    from .routes import Route

SPAN = ("since", "until")
# One spelling of each number: handlers compare a 1 as text, and 01 would be neither wrong nor a 1.
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,14})\Z")


def problems(route: Route, given: Iterable[tuple[str, str]], now: float) -> list[check.Error]:
    """The errors: unknown names, values of the wrong kind, and a name that comes twice.

    :param given: names and values, as they stand in the address.
    :param now: seconds since 1970.
    """
    known = {p.name: p for p in route.parameters if p.place == "query"}
    found: list[check.Error] = []
    seen: dict[str, str] = {}
    for name, text in given:
        if len(found) >= check.MOST:
            return found
        if name not in known:
            found.append(dict(check.unknown(name, name, known), value=text[:60]))
        elif name in seen:  # servers differ in which of two they take
            found.append(check.error(name, "is given twice", text))
        else:
            seen[name] = text
            whole = known[name].schema["type"] == "integer" and _WHOLE.match(text)
            found += check.errors(int(text) if whole else text, known[name].schema, name)
    wrong = {error["field"] for error in found}
    _span, ill_timed = span({name: seen[name] for name in SPAN if name in seen and name not in wrong}, now)
    return [*found, *ill_timed][: check.MOST]


def span(query: Mapping[str, Any], now: float) -> tuple[dict[str, float | None], list[check.Error]]:
    """The moments between which something is looked at, None for what is not given, and what is wrong with them."""
    found: dict[str, float | None] = {}
    errors: list[check.Error] = []
    for name in SPAN:
        try:
            found[name] = moments.earlier(query.get(name), now)
        except ValueError as error:
            found[name] = None
            errors.append(check.error(name, str(error), str(query.get(name))))
    first, last = found["since"], found["until"]
    if first is not None and last is not None and first >= last:
        errors.append(check.error("since", "must be before until", str(query.get("since"))))
    return found, errors
