# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments and variables that a person gives to single programs for one start: what of them is wrong, and how they are
described. Values may be secrets: no sentence holds one.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..model.request_programs import GIVEN
from ..model.sentences import listing
from . import check

MARK = "/"
OURS = "MUSTER_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def problems(request: Mapping[str, Any], named: bool = True) -> List[check.Error]:
    """The errors in what a request gives to programs. An entry that is None is refused already.

    :param named: whether it is known what it names.
    """
    found: List[check.Error] = []
    names = request.get("instances") or ()
    single = bool(names) and all(name is None or MARK in name for name in names)
    if named and not single and any(request.get(field) for field in GIVEN):
        field = next(field for field in GIVEN if request.get(field))
        found.append(check.error(field, "is for single programs: name each as INSTANCE/PROGRAM", None))
    known: Dict[str, int] = {}
    for position, argument in enumerate(request.get("arg") or ()):
        found += [] if argument is None else _unshowable("arg[%d]" % position, argument)
    for position, entry in enumerate(request.get("env") or ()):
        if entry is None:
            continue
        field = "env[%d]" % position
        name, sign, value = entry.partition("=")
        if not sign:
            found.append(check.error(field, "must be NAME=VALUE", None))
        elif not _NAME.match(name):
            found.append(check.error(field, "names no variable: a name has letters, digits and _ only", None))
        elif name.startswith(OURS):
            found.append(check.error(field, "names %s, which is reserved: muster sets it" % name[:60], None))
        elif name in known:
            found.append(check.error(field, "names %s again" % name[:60], None))
        known[name] = position
        found += _unshowable(field, value)
    return found[: check.MOST]


def _unshowable(field: str, value: str) -> List[check.Error]:
    return [] if value.isprintable() else [check.error(field, "holds characters that cannot be shown", None)]


def values(request: Mapping[str, Any]) -> Dict[str, Any]:
    """What each named program gets: ``{"args": [...], "env": {name: value}}``; {} when that is nothing."""
    args = [str(argument) for argument in request.get("arg") or ()]
    env = dict(_pair(entry) for entry in request.get("env") or ())
    return {"args": args, "env": env} if args or env else {}


def _pair(entry: str) -> Tuple[str, str]:
    name, _sign, value = str(entry).partition("=")
    return name, value


def phrase(given: Mapping[str, Any], who: str, why: str) -> str:
    """How it is described while it lasts, without a value: ``2 more arguments, DEBUG, by eve: a slow filter``"""
    args: Sequence[str] = given.get("args") or ()
    parts = ["%d more %s" % (len(args), "argument" if len(args) == 1 else "arguments")] if args else []
    parts += sorted(given.get("env") or {})
    return "%s, by %s%s" % (listing(parts), who, ": " + why if why else "")
