# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that a person runs beside a program: what is asked for, and what came of it in words.

Its arguments may be secrets: the trail has the command and how many arguments it got.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

from .text import printable

Json = Dict[str, Any]
WITHIN, LONGEST = 60, 300  # s that it may take: where nothing is said, and at most
MOST_BYTES = 256 << 10  # that are kept of each of its outputs
FAILED_CODE = 125  # where nothing was run, or nobody knows; docker and podman have the same
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "program": {"type": "string", "minLength": 1, "maxLength": 300, "description": "INSTANCE/PROGRAM, or the id of"
                    " an item in place of the instance; it runs"},
        "command": {"type": "array", "minItems": 1, "maxItems": 1000, "description": "a program and its arguments;"
                    " no shell reads them", "items": {"type": "string", "maxLength": 100000, "writeOnly": True}},
        "within": {"type": "integer", "minimum": 1, "maximum": LONGEST, "description": "seconds after which it is"
                   " killed (default: %d)" % WITHIN},
        "why": {"type": "string", "minLength": 0, "maxLength": 500, "description": "the reason, for the trail"},
    },
    "required": ["program", "command"],
    "additionalProperties": False,
}  # fmt: skip


def words(command: Sequence[str]) -> str:
    """``/usr/bin/strace with 3 arguments``"""
    count = len(command) - 1
    name = printable(command[0] if command else "", 100)
    return "%s with %d argument%s" % (name, count, "" if count == 1 else "s") if count else name


def told(answer: Mapping[str, Any]) -> str:
    """What came of it, as a phrase.

    :param answer: of the agent, see `host.inside.execute`; with ``error`` where nothing was run.
    """
    if answer.get("error"):
        return "not run: %s" % answer["error"]
    if answer.get("why"):
        return "%s (code %s)" % (answer["why"], answer["code"])
    return "exited with %s after %.1f s" % (answer["code"], float(answer.get("took") or 0.0))
