# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single rows of the ledger in SQLite: its revision, its schema, where it went, what a claim must not do."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Mapping, Optional

from . import store, trail_chain
from .store import SCHEMA, LedgerMoved


def revision(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT revision FROM head").fetchone()[0])


def still_here(database: sqlite3.Connection) -> None:
    row = database.execute("SELECT value FROM record WHERE kind = 'meta' AND name = 'moved'").fetchone()
    if row is not None:
        raise LedgerMoved(json.loads(row[0]))


def upgrade(database: sqlite3.Connection, revision: int) -> None:
    """Before new kinds of records are written into an older ledger: a muster that cannot read them must say so."""
    if database.execute("PRAGMA user_version").fetchone()[0] < SCHEMA:
        database.execute("PRAGMA user_version = %d" % SCHEMA)
        database.execute("INSERT OR REPLACE INTO record VALUES ('meta', 'schema', ?, ?)", (str(SCHEMA), revision))


def last_link(database: sqlite3.Connection) -> str:
    rows = database.execute("SELECT entry FROM trail ORDER BY id DESC LIMIT 1").fetchall()
    return trail_chain.link_of(rows[0][0]) if rows else ""


def text(record: Any) -> str:
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def check_epoch(database: sqlite3.Connection, name: str, record: Optional[Mapping[str, Any]]) -> None:
    """Epochs only grow: refuse a claim that knows of lower ones only."""
    row = database.execute("SELECT value FROM record WHERE kind = 'claims' AND name = ?", (name,)).fetchone()
    store.check_epoch(name, json.loads(row[0]) if row else None, record)
