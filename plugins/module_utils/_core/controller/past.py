# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor remembers beyond its own life: the alarms that stand, and every change of verdict, host and alarm.

One SQLite file below the state folder, which only the monitor writes. It is no ledger: nothing is decided by it, and
without it only the past is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from .ledger_files import check_owner
from .store import DAY, LedgerError

PAST_FILE = "past/past.db"  # below the state folder, in a folder of its own: the monitor watches that one for changes
UNREADABLE = ".unreadable"  # behind its name: one that was damaged
SCHEMA = 1
MOST = 1000  # entries of one answer
AT_ONCE = 5000  # that are forgotten together
NEVER_FORGOTTEN = 1000  # entries, whatever a clock says
_TABLES = """
CREATE TABLE IF NOT EXISTS known (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS change (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
    entry TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS change_by_time ON change (at);
CREATE INDEX IF NOT EXISTS change_of_subject ON change (what, subject, id);
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, entry TEXT NOT NULL
);
"""

Json = Dict[str, Any]


class PastError(LedgerError):
    """The file cannot be used; the text is the sentence for a person."""


class Past:
    """Used by the thread that made it, in a `with`; it is closed afterwards."""

    def __init__(self, state_dir: str, write: bool = False) -> None:
        self.path = os.path.join(state_dir, PAST_FILE)
        self._write = write
        self._database: Optional[sqlite3.Connection] = None

    def __enter__(self) -> Past:
        return self

    def __exit__(self, *_unused: object) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def known(self, name: str) -> Json:
        """What was remembered last under a name; empty when nothing was."""
        if not self._there():
            return {}
        with self._words() as database:
            row = database.execute("SELECT value FROM known WHERE name = ?", (name,)).fetchone()
        try:
            return dict(json.loads(row[0])) if row else {}
        except (ValueError, TypeError):
            return {}  # as if nothing was

    def remember(self, known: Mapping[str, Mapping[str, Any]], entries: Iterable[Mapping[str, Any]]) -> int:
        """Replace what is remembered and add entries, both or neither. :return: the id of the last entry."""
        last = 0
        with self._words() as database, database:
            for name, value in known.items():
                database.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (name, _text(value)))
            for entry in entries:
                row = (entry["at"], entry["what"], entry["subject"], _text(entry))
                last = database.execute("INSERT INTO change (at, what, subject, entry) VALUES (?, ?, ?, ?)", row
                                        ).lastrowid or last  # fmt: skip
        return last

    def changes(
        self, after: Optional[int] = None, limit: int = 100, since: Optional[float] = None,
        until: Optional[float] = None, what: str = "", subject: str = "", item: str = "", host: str = "",
        person: str = "", word: str = "",
    ) -> List[Json]:  # fmt: skip
        """Entries with their ``id``, the oldest first.

        :param after: the first `limit` behind this id; None: the newest `limit`. :param item, host: that it is about.
        :param person: in the name of who did it. :param word: in any of its texts.
        """
        where, values = ["id > ?"], [after or 0]  # type: List[str], List[Any]
        for text, value in (("at >= ?", since), ("at < ?", until), ("what = ?", what), ("subject = ?", subject)):
            if value not in (None, ""):
                where.append(text)
                values.append(value)
        for key, value in (("items", item), ("hosts", host)):
            if value:
                where.append("EXISTS (SELECT 1 FROM json_each(entry, '$.%s') WHERE value = ?)" % key)
                values.append(value)
        if person:
            where.append("json_extract(entry, '$.who') > '' AND says(json_array(json_extract(entry, '$.who')), ?)")
            values.append(person)
        if word:
            where.append("entry LIKE ? ESCAPE '!' AND says(entry, ?)")
            values += [_like(_text(word)[1:-1]), word]
        order = "DESC" if after is None else "ASC"
        query = "SELECT id, entry FROM change WHERE %s ORDER BY id %s LIMIT ?" % (" AND ".join(where), order)
        return self._entries(query, [*values, limit], after is None)

    def _entries(self, query: str, values: List[Any], newest: bool) -> List[Json]:
        if not self._there():
            return []
        with self._words() as database:
            rows = database.execute(query, values).fetchall()
        entries = [dict(json.loads(text), id=number) for number, text in rows]
        return entries[::-1] if newest else entries

    def forget(self, before: float) -> int:
        """Drop the oldest entries from before a moment, some of them. :return: how many."""
        query = (
            "DELETE FROM change WHERE id IN (SELECT id FROM change WHERE at < ? AND id <= (SELECT max(id) FROM change)"
            " - %d ORDER BY id LIMIT %d)" % (NEVER_FORGOTTEN, AT_ONCE)
        )
        with self._words() as database, database:
            return database.execute(query, (before,)).rowcount

    def last(self) -> int:
        """The id of the newest entry."""
        if not self._there():
            return 0
        with self._words() as database:
            return int(database.execute("SELECT coalesce(max(id), 0) FROM change").fetchone()[0])

    def _there(self) -> bool:
        return self._write or os.path.exists(self.path)

    @contextlib.contextmanager
    def _words(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._opened()
        except sqlite3.Error as error:
            # Exactly this one means that it is no database, or a damaged one: alarms are judged without it.
            aside = self._set_aside() if self._write and type(error) is sqlite3.DatabaseError else ""
            raise PastError("%s cannot be used: %s%s" % (self.path, error, aside)) from error

    def _set_aside(self) -> str:
        """Keep what cannot be read for people; a new one is begun at the next use. :return: that, for a sentence."""
        self.__exit__()
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + end, self.path + UNREADABLE + end)
        return "; it is kept as %s, and a new one begins" % os.path.basename(self.path + UNREADABLE)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            folder = os.path.dirname(self.path)
            check_owner(os.path.dirname(folder), PastError)
            new = self._write and not os.path.exists(self.path)
            if new:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            mode = "rw" if self._write else "ro"
            self._database = sqlite3.connect("file:%s?mode=%s" % (_quoted(self.path), mode), timeout=5.0, uri=True)
            self._database.create_function("says", 2, _says)
            if self._write:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.executescript(_TABLES)
                self._database.execute("PRAGMA user_version = %d" % SCHEMA)
                if new and os.path.exists(self.path + UNREADABLE):  # who follows the past goes on behind its last id
                    with self._database:
                        row = ("change", int(time.time()))
                        self._database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", row)
        return self._database


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def kept_until(now: float, days: int) -> float:
    """The moment before which entries are forgotten."""
    return now - days * DAY


def _says(document: str, word: str) -> bool:
    """Whether a word is in any text of a JSON document; the names of its fields are none. Capitals do not matter."""
    found = json.loads(document)
    values = list(found.values() if isinstance(found, dict) else found)
    for value in values:
        if isinstance(value, list):
            values += value
    return any(isinstance(value, str) and word.lower() in value.lower() for value in values)


def _like(text: str) -> str:
    """The pattern of documents that may hold this text: the database knows no capitals beyond ASCII."""
    text = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return "%%%s%%" % "".join(one if one.isascii() else "%" for one in text)
