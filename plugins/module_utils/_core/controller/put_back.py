# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger restored from an older copy goes on above what was published: readers follow only newer revisions."""

from __future__ import annotations

import os
import time

from . import ledger_files, ledgers
from .store import LostRace

OLDER = (
    "the ledger is at revision %d, and revision %d was published here: an older copy of it was put back. Nothing was"
    " done; when that copy is what you want, muster deploy goes on above it"
)


def put_back(ledger: ledgers.Store, controller: str, revision: int, published: int) -> int:
    """:return: the revision at which it goes on."""
    entry = {
        "at": time.time(),
        "who": ledger_files.user_name(os.geteuid()),
        "from": controller,
        "what": "the ledger was put back to revision %d" % revision,
        "why": "revision %d was published already, so this is an older copy" % published,
        "result": "goes on above it",
    }
    try:
        return ledger.commit(revision, {}, [entry], above=published)
    except LostRace as lost:
        return lost.found  # another run did it
