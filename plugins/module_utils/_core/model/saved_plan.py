# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that was saved: what is in its file, and the digest by which the controller knows it again.

The controller keeps what it saved under its digest and applies only that. So a file that somebody changed is a plan
that it does not know, whatever it says.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, Mapping

LONGEST = 16 * 1024 * 1024  # bytes of a file
KIND = "muster plan"
SCHEMA = 1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")

Json = Dict[str, Any]


class NoPlan(ValueError):
    """It is no saved plan; the text is one sentence without a subject."""


def digest(document: Mapping[str, Any]) -> str:
    """By what the controller knows a saved plan again."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def is_digest(text: str) -> bool:
    return bool(_DIGEST.match(text))


def second_name(by: str, who: str) -> bool:
    """Whether `who` is certainly somebody else than `by`, as far as names tell.

    Of a shared account both have to say who they are: `ops (Eve)`, `ops (Bob)`. Without a name it may be anybody.
    """
    account, _unused, person = by.partition(" (")
    other_account, _unused, other = who.partition(" (")
    return account != other_account or bool(person and other and person != other)


def as_text(document: Mapping[str, Any]) -> str:
    """The content of a file."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def read(data: bytes) -> Json:
    """The plan in a file. What it says is not trusted: only its digest counts.

    :raises NoPlan:
    """
    if len(data) > LONGEST:
        raise NoPlan("is longer than %d MiB, so it is no saved plan" % (LONGEST >> 20))
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NoPlan("is no JSON, so it is no saved plan") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise NoPlan("is no saved plan: muster plan --save FILE writes one")
    if document.get("schema") != SCHEMA:
        raise NoPlan("is a plan of another version of muster: make it again")
    return document
