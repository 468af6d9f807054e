# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every store of the ledger shares: its errors, its schema, and rules that no store may break.

A store has the verbs of `ledger.Ledger`: `exists`, `has_planned`, `create`, `read`, `commit`, `trail`, `changed_since`,
`check`, `close`. `tests/integration/controller/test_stores.py` is their contract.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

from ..model.words import RECORD_KINDS

# 1 knew neither pauses nor notices, 2 no requests, 3 neither rollouts, booked moves nor a site that is stopped as a
# whole; they are read as they are, and the first commit makes them this one
SCHEMA = 4

DAY = 86400.0  # s
NEVER_FORGOTTEN = 1000  # entries of the trail
AT_ONCE = 2000  # entries of the trail that one run drops

State = Dict[str, Dict[str, Any]]
Kept = Dict[str, Dict[str, Tuple[int, Any]]]  # kind -> name -> the revision at which it was written, record


class LedgerError(Exception):
    """The ledger cannot do what was asked; the text is the sentence for a person."""


class LedgerMissing(LedgerError):
    """There is no ledger yet."""


class LedgerLocked(LedgerError):
    """The ledger could not be used within the deadline: another process keeps it, or most members are silent."""


class LedgerDamaged(LedgerError):
    """What is there cannot be read as a ledger; it was left as it is."""


class Outcome(LedgerError):
    """Whether a commit was written is not known. It must not be acted on."""


class LedgerMoved(LedgerError):
    """It is elsewhere by now."""

    def __init__(self, where: str) -> None:
        super().__init__("the ledger was moved to %s: run this again; if it still says so, muster ledger move --to ... "
                         "finishes it" % where)  # fmt: skip
        self.where = where


class NotLeading(LedgerError):
    """The monitor that wanted this no longer leads. Nothing was changed."""

    def __init__(self, leader: str) -> None:
        now = "%s does" % leader if leader else "at present none does"
        super().__init__("the monitor that began this no longer leads (%s): nothing was done" % now)


class LostRace(LedgerError):
    """Another run committed since the state was read: read again, decide again."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__("the ledger went from revision %d to %d meanwhile" % (expected, found))
        self.found = found


def check_kinds(changes: Mapping[str, Mapping[str, Any]]) -> None:
    """:raises ValueError: for records of a kind that no ledger has."""
    unknown = sorted(set(changes) - set(RECORD_KINDS))
    if unknown:
        raise ValueError("the ledger has no records of kind %s" % ", ".join(unknown))


def check_epoch(name: str, before: Optional[Mapping[str, Any]], record: Optional[Mapping[str, Any]]) -> None:
    """Epochs only grow. :raises LedgerError: for a claim that knows of lower ones only."""
    if before is None or record is None:
        return
    known, after = (max(claim.get("epoch", 0), claim.get("highest", 0)) for claim in (before, record))
    if after < known:
        raise LedgerError("the claim of %s would go back from epoch %d to %d: refused" % (name, known, after))
