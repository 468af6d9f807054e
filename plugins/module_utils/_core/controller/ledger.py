# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger on SQLite: what is wanted, who holds what under which epoch, what happened and why.

Two verbs: `Ledger.read` and `Ledger.commit` (compare-and-set on one revision). Another store needs these two,
`Ledger.trail`, and the records' shapes; nothing above this module knows SQL. Every error is a sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ..model.words import RECORD_KINDS
from . import ledger_files, ledger_rows, trail_chain
from .store import (
    AT_ONCE,
    DAY,
    SCHEMA,
    Kept,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LostRace,
    State,
    check_kinds,
)

__all__ = (
    "SCHEMA", "Ledger", "LedgerDamaged", "LedgerError", "LedgerLocked", "LedgerMissing", "LostRace", "State",
)  # fmt: skip

_APPLICATION_ID = 0x6D757374  # "must", in the file's header: tells a ledger from any other database
_TABLES = """
CREATE TABLE record (
    kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
CREATE TABLE trail (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, revision INTEGER NOT NULL, instance TEXT, entry TEXT NOT NULL
);
CREATE INDEX trail_of_instance ON trail (instance, id);
CREATE INDEX trail_by_time ON trail (at);
CREATE TRIGGER trail_is_append_only BEFORE UPDATE ON trail BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
"""

NEVER_FORGOTTEN = 1000  # entries of the trail


class Ledger:
    """One ledger file. A connection belongs to the thread and process that uses it first; close it after use.

    :param path: the file; its folder must belong to the caller.
    :param patience: seconds to wait for other writers.
    :param copy: a backup that nobody writes to, in any folder; it is only read, and nothing is made beside it.
    """

    def __init__(self, path: str, patience: float = 10.0, copy: bool = False) -> None:
        self.path = path
        self.patience = patience
        self.copy = copy
        self._open: Optional[sqlite3.Connection] = None

    def exists(self) -> bool:
        """Whether there is a ledger file.

        :raises LedgerError: when the folder belongs to another user.
        """
        if self.copy:
            return os.path.isfile(self.path)
        ledger_files.check_owner(os.path.dirname(self.path), LedgerError)
        return os.path.lexists(self.path)

    def has_planned(self) -> bool:
        """Whether any run has planned. The first deploy makes the ledger before it has prepared the hosts, and until it
        plans no other run may act."""
        if not self.exists():
            return False
        with self._words():
            query = "SELECT value FROM record WHERE kind = 'meta' AND name = 'last_run'"
            row = self._database().execute(query).fetchone()
        return row is not None and row[0] != "0"

    def create(self, site: str, site_id: str) -> None:
        """Make a new ledger, whole or not at all.

        :raises LedgerError: when there is one already, or the folder cannot hold it.
        """
        folder = os.path.dirname(self.path)
        ledger_files.make_folder(folder, LedgerError)
        fresh = "%s.new-%s" % (self.path, os.urandom(4).hex())
        try:
            with self._words():
                os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as database:
                    database.execute("PRAGMA application_id = %d" % _APPLICATION_ID)
                    database.execute("PRAGMA user_version = %d" % SCHEMA)
                    database.executescript(_TABLES)
                    meta = {"site_id": site_id, "site": site, "schema": SCHEMA, "last_run": 0}
                    database.execute("INSERT INTO head VALUES (1, 1)")
                    for name, value in meta.items():
                        database.execute("INSERT INTO record VALUES ('meta', ?, ?, 1)", (name, json.dumps(value)))
                    database.execute("PRAGMA journal_mode = WAL")
                os.link(fresh, self.path)
                ledger_files.sync_folder(folder)
        except FileExistsError:
            raise LedgerError("there is a ledger already at %s: it was left as it is" % self.path) from None
        finally:
            for end in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(OSError):
                    os.unlink(fresh + end)

    def _records(self, columns: str) -> Tuple[List[Any], int]:
        """Columns of all records, and the ledger's revision, from one moment."""
        with self._words():
            database = self._database()
            database.execute("BEGIN")
            try:
                rows = database.execute("SELECT %s FROM record" % columns).fetchall()
                return rows, ledger_rows.revision(database)
            finally:
                database.execute("ROLLBACK")

    def read(self) -> Tuple[State, int]:
        """The whole state, ``{kind: {name: record}}`` of all kinds, and its revision, from one moment."""
        rows, revision = self._records("kind, name, value")
        try:
            values = json.loads("[%s]" % ",".join(row[2] for row in rows))
        except ValueError:
            raise self._damaged("a record is no JSON") from None
        state: State = {kind: {} for kind in RECORD_KINDS}
        for (kind, name, _unused), value in zip(rows, values):
            state[kind][name] = value
        return state, revision

    def commit(
        self,
        expected_revision: int,
        changes: Mapping[str, Mapping[str, Any]],
        trail: Iterable[Mapping[str, Any]] = (),
        above: int = 0,
    ) -> int:
        """Apply changes and append to the trail, all or nothing; returns the new revision.

        :param changes: ``{kind: {name: record or None}}``; None deletes.
        :param above: a revision that the new one has to exceed.
        :raises LostRace: when the ledger is no longer at `expected_revision`.
        :raises LedgerError: also for a claim whose epoch would go back.
        """
        check_kinds(changes)
        with self._words(), self._write() as database:
            found = ledger_rows.revision(database)
            ledger_rows.still_here(database)
            if found != expected_revision:
                raise LostRace(expected_revision, found)
            revision = max(found, above) + 1
            ledger_rows.upgrade(database, revision)
            for kind, records in changes.items():
                for name, record in records.items():
                    if kind == "claims":
                        ledger_rows.check_epoch(database, name, record)
                    if record is None:
                        database.execute("DELETE FROM record WHERE kind = ? AND name = ?", (kind, name))
                    else:
                        row = (kind, name, ledger_rows.text(record), revision)
                        database.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", row)
            link, number = "", 0
            for entry in trail:
                text = trail_chain.sealed(entry, link or ledger_rows.last_link(database))
                link = trail_chain.link_of(text)
                number = database.execute(
                    "INSERT INTO trail (at, revision, instance, entry) VALUES (?, ?, ?, ?)",
                    (entry.get("at"), revision, entry.get("instance"), text),
                ).lastrowid or 0
            database.execute("UPDATE head SET revision = ?", (revision,))
        if number:
            trail_chain.announce(self._site_id(), number, link)
        return revision

    def _site_id(self) -> str:
        rows = self._database().execute("SELECT value FROM record WHERE kind = 'meta' AND name = 'site_id'").fetchall()
        return str(json.loads(rows[0][0])) if rows else ""

    def trail(
        self, after: Optional[int] = None, limit: int = 100, instance: Optional[str] = None
    ) -> List[Dict[str, Any]]:
        """Entries of the trail, oldest first, each with its ``id`` and ``revision``.

        :param after: the first `limit` entries behind this id; None: the newest `limit`.
        """
        where, values = ["id > ?"], [after or 0]  # type: Tuple[List[str], List[Any]]
        if instance is not None:
            where.append("instance = ?")
            values.append(instance)
        order = "DESC" if after is None else "ASC"
        query = "SELECT id, revision, entry FROM trail WHERE %s ORDER BY id %s LIMIT ?" % (" AND ".join(where), order)
        with self._words():
            rows = self._database().execute(query, [*values, limit]).fetchall()
        entries = [dict(json.loads(text), id=number, revision=revision) for number, revision, text in rows]
        return entries[::-1] if after is None else entries

    def changed_since(self, revision: int, kind: str) -> List[str]:
        """Names of the records of this kind written after a revision."""
        query = "SELECT name FROM record WHERE kind = ? AND revision > ? ORDER BY name"
        with self._words():
            rows = self._database().execute(query, (kind, revision)).fetchall()
        return [row[0] for row in rows]

    def forget_trail(self, before: float, most: int = -1) -> int:
        """Drop what happened before a moment (seconds since the epoch), the oldest first; returns how many entries.

        What stays is one piece, so that its chain can be followed. The newest `NEVER_FORGOTTEN` stay, whatever the
        clock says: one that runs ahead must not empty the trail.

        :param most: how many at once; others wait for the lock meanwhile. -1: all.
        """
        young = "SELECT id FROM trail WHERE at >= ? ORDER BY id LIMIT 1"
        last = "SELECT max(id) FROM trail"
        old = "SELECT id FROM trail WHERE id < coalesce((%s), 1 << 62) AND id <= (%s) - %d ORDER BY id LIMIT ?" % (
            young, last, NEVER_FORGOTTEN)  # fmt: skip
        with self._words(), self._write() as database:
            return database.execute("DELETE FROM trail WHERE id IN (%s)" % old, (before, most)).rowcount

    def forget_daily(self, before: float) -> None:
        """Drop what is too old, some of it, once a day: the oldest entry tells when that was done last."""
        oldest = self.oldest()
        if oldest is not None and oldest < before - DAY:
            self.forget_trail(before, AT_ONCE)

    def oldest(self) -> Optional[float]:
        """When the oldest entry of the trail happened, in seconds since the epoch; None while it is empty."""
        with self._words():
            found: Optional[float] = self._database().execute("SELECT min(at) FROM trail").fetchone()[0]
        return found

    def verify_trail(self) -> trail_chain.Verdict:
        """Follow the chain of the trail."""
        with self._words():
            return trail_chain.verify(self._database().execute("SELECT id, entry FROM trail ORDER BY id"))

    def check(self) -> None:
        """Read the whole file.

        :raises LedgerDamaged: when any of it is broken."""
        with self._words():
            verdict = self._database().execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._damaged(verdict)

    def backup(self, folder: str = "", keep: int = ledger_files.BACKUPS) -> str:
        """A consistent copy, named after its revision; the newest `keep` stay. Returns its path.

        :param folder: that is there; by default ``backup/`` beside the ledger.
        """
        with self._words():
            database = self._database()
            folder = folder or ledger_files.own_backups(self.path)
            return ledger_files.backup(database, folder, ledger_rows.revision(database), keep)

    def everything(self) -> Tuple[Kept, int]:
        """The records with the revisions at which they were written, and the ledger's."""
        rows, revision = self._records("kind, name, value, revision")
        records: Kept = {}
        for kind, name, value, written in rows:
            records.setdefault(kind, {})[name] = (written, json.loads(value))
        return records, revision

    def fill(self, records: Kept, revision: int, trail: Iterable[Mapping[str, Any]]) -> None:
        """Become a copy of another ledger. Only one that was just made, at a place of its own, may."""
        with self._words(), self._write() as database:
            database.execute("DELETE FROM record")
            rows = [(kind, name, ledger_rows.text(record), at)
                    for kind in records for name, (at, record) in records[kind].items()]  # fmt: skip
            database.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows)
            for entry in trail:
                said = {name: entry[name] for name in entry if name not in ("id", "revision")}
                database.execute(
                    "INSERT INTO trail (id, at, revision, instance, entry) VALUES (?, ?, ?, ?, ?)",
                    (entry["id"], said.get("at"), entry["revision"], said.get("instance"), ledger_rows.text(said)),
                )
            database.execute("UPDATE head SET revision = ?", (revision,))

    def retire(self, revision: int, where: str) -> None:
        """Nothing is written here any more: the ledger was moved.

        :param where: as a phrase.
        :raises LostRace: when it is no longer at this revision.
        """
        with self._words(), self._write() as database:
            ledger_rows.still_here(database)
            if ledger_rows.revision(database) != revision:
                raise LostRace(revision, ledger_rows.revision(database))
            database.execute("INSERT INTO record VALUES ('meta', 'moved', ?, ?)", (ledger_rows.text(where), revision))

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.close()
            self._open = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def _database(self) -> sqlite3.Connection:
        if self._open is None:
            if not self.exists():
                raise LedgerMissing("there is no ledger at %s: deploy this site first" % self.path)
            name = ledger_files.unchanging(self.path) if self.copy else self.path
            database = sqlite3.connect(name, timeout=self.patience, isolation_level=None, uri=self.copy)
            try:
                self._accept(database)
            except BaseException:
                database.close()
                raise
            self._open = database
        return self._open

    def _accept(self, database: sqlite3.Connection) -> None:
        application = database.execute("PRAGMA application_id").fetchone()[0]
        schema = database.execute("PRAGMA user_version").fetchone()[0]
        if application != _APPLICATION_ID:
            raise self._damaged("it carries no mark of a ledger")
        if schema > SCHEMA:
            raise LedgerError(
                "the ledger %s was written by a newer muster (schema %d; this one knows up to %d): "
                "update muster on this machine, nothing was touched" % (self.path, schema, SCHEMA)
            )
        database.execute("PRAGMA synchronous = FULL")

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        database = self._database()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            # After a full disk SQLite may have rolled back by itself.
            if database.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into sentences."""
        started = time.monotonic()
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                raise LedgerLocked(
                    "the ledger %s stayed locked for %.0f s%s: try again when that has ended"
                    % (self.path, time.monotonic() - started, ledger_files.lock_holder(self.path))
                ) from error
            if "not a database" in text or "malformed" in text or "no such table" in text:
                raise self._damaged(text) from error
            raise LedgerError(
                "the ledger %s could not be used, nothing was changed: %s%s"
                % (self.path, text, ledger_files.disk_state(self.path))
            ) from error
        except FileExistsError:
            raise
        except OSError as error:
            raise LedgerError("the ledger %s could not be used: %s" % (self.path, error.strerror or error)) from error

    def _damaged(self, why: str) -> LedgerDamaged:
        self.close()
        if self.copy:
            return LedgerDamaged("%s is no sound copy of a ledger (%s)" % (self.path, why))
        return LedgerDamaged(ledger_files.keep_damaged(self.path, why))
