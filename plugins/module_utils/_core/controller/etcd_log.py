# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the ledger is kept on etcd, for a site with more than one controller: `etcd_ledger` has the verbs.

A transaction of etcd takes 128 operations and 1.5 MiB; a commit may change thousands of records. So the ledger is a
log: one key per commit, and one key, the head, that says which commit is the last. A commit is one small transaction:
if the head is unchanged, put the log's entry and the head. What is too large for that is written beforehand, in parts
that nobody looks at until an entry names them. A snapshot of the whole state, made now and then, keeps reading short.

Nothing is decided by what was read: the transaction compares. When its answer is lost, the same transaction is sent
again: either it fails, because the first one was carried out, which the entry's own mark tells, or it is carried out
now, and the first one can no more.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..model.words import RECORD_KINDS
from . import etcd
from .store import (
    SCHEMA,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerMoved,
    Outcome,
)

LARGEST = 256 * 1024  # characters of one part
PAGE = 200  # entries of the log that are read at once
TOLD = 50  # commits of which the trail is read at once
PAUSE = 0.05  # s between two attempts

Json = Dict[str, Any]


class Head(NamedTuple):
    revision: int
    base: int  # the revision of the snapshot
    entries: int  # of the trail, ever
    mod_revision: int  # etcd's
    link: str = ""  # of the last entry of the trail: see `trail_chain`

    def text(self) -> str:
        known = {"schema": SCHEMA, "revision": self.revision, "base": self.base, "entries": self.entries}
        return json.dumps(dict(known, link=self.link) if self.link else known)


class EtcdLog:
    """What the ledger of one site is made of in a cluster.

    :param client: of the cluster.
    :param site: names the ledger's keys.
    :param patience: seconds until what gets no answer ends with an error.
    :param backups: the folder of its copies.
    :param look: it may have been moved away, and is only looked at.
    """

    def __init__(
        self, client: etcd.Client, site: str, patience: float = 10.0, backups: str = "", look: bool = False
    ) -> None:
        self.client, self.patience, self.backups, self.look = client, patience, backups, look
        self.moved = ""  # where it was moved to
        self.term = 0  # commits count only while the monitor of this term leads; 0: they are of no monitor
        self._prefix = "/muster/%s/" % site
        self._revision = 0
        self._mark = ""  # of the commit of this revision; "" where a snapshot was read
        self._records: Dict[str, Dict[str, Tuple[int, Any]]] = {}  # kind -> name -> revision, record

    def _key(self, *parts: Any) -> str:
        return self._prefix + "/".join("%012d" % part if isinstance(part, int) else str(part) for part in parts)

    def _head(self) -> Optional[Head]:
        (response,) = self._look([etcd.get(self._key("head"))])
        for kept in etcd.found(response):
            document = self._json(kept.value)
            self.moved = str(document.get("moved") or "")
            if self.moved and not self.look:
                raise LedgerMoved(self.moved)
            if int(document.get("schema") or 0) > SCHEMA:
                raise LedgerError(
                    "the ledger was written by a newer muster (schema %s; this one knows up to %d): update muster on "
                    "this machine, nothing was touched" % (document.get("schema"), SCHEMA)
                )
            revision, base, entries = (int(document[name]) for name in ("revision", "base", "entries"))
            return Head(revision, base, entries, kept.mod_revision, str(document.get("link") or ""))
        return None

    def _sync(self, missing: bool = False) -> Optional[Head]:
        """Bring what this object knows to the newest revision; commits never change, so only new ones are read."""
        revision = 0
        for _unused in range(3):
            head = self._head()
            if head is None:
                if missing:
                    return None
                raise LedgerMissing("there is no ledger at %s in etcd: deploy this site first" % self._prefix)
            if head.revision < self._revision:
                raise LedgerDamaged("the ledger in etcd went back from revision %d to %d: an older copy of it was put "
                                    "back" % (self._revision, head.revision))  # fmt: skip
            revision = head.revision
            if self._mark and revision != self._revision and not self._continues():
                self._revision, self._mark, self._records = 0, "", {}  # another history, from an older copy
            if (self._revision < head.base or not self._records) and not self._load(head.base):
                continue  # a newer snapshot took its place meanwhile
            for entry in self._log(self._revision, head.revision):
                self._apply(entry["revision"], self._content(entry)["changes"], str(entry["mark"]))
            if self._revision == head.revision:
                return head
        raise LedgerDamaged("the ledger in etcd lacks a part of what its head at revision %d names" % revision)

    def _continues(self) -> bool:
        """Whether the commit that this object knows as the last is still in the log."""
        (response,) = self._look([etcd.get(self._key("log", self._revision))])
        return any(self._json(kept.value).get("mark") == self._mark for kept in etcd.found(response))

    def _load(self, base: int) -> bool:
        self._mark = ""
        self._revision, self._records = base, {kind: {} for kind in RECORD_KINDS}
        if not base:
            return True
        parts = self._page(self._key("snap", base, ""), PAGE)
        if not parts:
            self._records = {}
            return False
        for kind, records in self._json("".join(part.value for part in parts)).items():
            self._records[kind] = {name: (int(revision), record) for name, (revision, record) in records.items()}
        return True

    def _log(self, behind: int, until: int) -> Iterable[Json]:
        at = behind
        while at < until:
            (response,) = self._look([etcd.get(self._key("log", at + 1), self._key("log", until + 1), PAGE)])
            page = etcd.found(response)
            for kept in page:
                entry = self._json(kept.value)
                entry["revision"] = at = int(kept.key.rpartition("/")[2])
                yield entry
            if len(page) < PAGE:
                return

    def _content(self, entry: Mapping[str, Any]) -> Json:
        """The changes and the trail of a log's entry."""
        if "changes" in entry:
            return dict(entry)
        parts = self._page(self._key("part", entry["mark"], ""), PAGE)
        if len(parts) != entry["parts"]:
            raise LedgerDamaged("the ledger in etcd lacks a part of revision %s" % entry.get("revision"))
        return self._json("".join(part.value for part in parts))

    def _page(self, prefix: str, size: int) -> List[etcd.Found]:
        """All keys that begin with this, in order; few at a time, since an answer has a limit, too."""
        found: List[etcd.Found] = []
        start = prefix
        while True:
            (response,) = self._look([etcd.get(start, etcd.after(prefix), 4)])
            page = etcd.found(response)
            found += page
            if len(page) < 4 or len(found) > size * 1000:
                return found
            start = page[-1].key + "\0"

    def _told(self, after: Optional[int]) -> Iterable[Tuple[int, int, List[str]]]:
        """(revision, id of the first entry, texts of the entries) of the commits that have some: behind an id the
        oldest first, else the newest first."""
        newest, prefix = after is None, self._key("trail", "")
        start, end = prefix, etcd.after(prefix)
        if after is not None:  # the commit that holds the next id began with it or before it
            (response,) = self._look([etcd.get(prefix, self._key("trail", after + 2), 1, newest=True, keys_only=True)])
            start = next((kept.key for kept in etcd.found(response)), start)
        while True:
            (response,) = self._look([etcd.get(start, end, TOLD, newest=newest)])
            page = etcd.found(response)
            entries = self._look([etcd.get(self._key("log", int(kept.value))) for kept in page]) if page else []
            for kept, answer in zip(page, entries):
                for entry in etcd.found(answer):
                    content = self._content(dict(self._json(entry.value), revision=int(kept.value)))
                    yield int(kept.value), int(kept.key.rpartition("/")[2]), list(map(entry_text, content["trail"]))
            if len(page) < TOLD:
                return
            start, end = (start, page[-1].key) if newest else (page[-1].key + "\0", end)

    def _look(self, ranges: List[Json]) -> List[Json]:
        """Ask until somebody answers. It changes nothing, so that it may be asked as often as it takes."""
        answer = self._asked({"success": ranges}, "read")
        return list(answer.get("responses") or [{} for _unused in ranges])

    def _asked(self, question: Mapping[str, Any], what: str) -> Json:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self.client.ask("/v3/kv/txn", question, deadline, again=True)
            except etcd.Unknown as error:
                if time.monotonic() + PAUSE > deadline:
                    raise LedgerLocked("the ledger in etcd could not be %s within %g s (%s): nothing was changed; try "
                                       "again when most members answer" % (what, self.patience, error)) from error
            except etcd.Refused as error:
                if time.monotonic() + PAUSE > deadline or any(word in str(error) for word in etcd.DEFINITE):
                    raise LedgerError("the ledger in etcd could not be %s, nothing was changed: %s" % (what, error)
                                      ) from error
            time.sleep(PAUSE)

    def _json(self, text: str) -> Json:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise LedgerDamaged("a value of the ledger in etcd is no JSON: it was left as it is")
        return document

    def _apply(self, revision: int, changes: Mapping[str, Mapping[str, Any]], mark: str) -> None:
        for kind, records in changes.items():
            kept = self._records.setdefault(kind, {})
            for name, record in records.items():
                if record is None:
                    kept.pop(name, None)
                else:
                    kept[name] = (revision, record)
        self._revision, self._mark = revision, mark

    def _put_parts(self, place: Tuple[Any, ...], text: str) -> int:
        """Write a large value that nobody looks at yet. :return: the number of its parts."""
        parts = parts_of(text)
        for number, part in enumerate(parts):
            self._asked({"success": [etcd.put(self._key(*place, number), part)]}, "written")
        return len(parts)

    def _settled(self, question: Mapping[str, Any], revision: int) -> Json:
        """The answer of a transaction that may be sent again and again: it is carried out once at most.

        :raises Outcome: when it may have been carried out, or may be yet.
        """
        deadline, sent = time.monotonic() + self.patience, False
        why: etcd.EtcdError
        while True:
            try:
                return self.client.ask("/v3/kv/txn", question, deadline, again=True)
            except etcd.Unknown as error:
                sent, why = True, error
            except etcd.Refused as error:
                why = error
                if any(word in str(error) for word in etcd.DEFINITE) and not sent:
                    raise LedgerError("the ledger in etcd could not be written, nothing was changed: %s" % error
                                      ) from error
            if time.monotonic() + PAUSE > deadline:
                if sent:
                    raise Outcome("whether revision %d of the ledger was written is not known: etcd did not say so "
                                  "within %g s (%s). Nothing was acted on; the next run finds out"
                                  % (revision, self.patience, why)) from why  # fmt: skip
                raise LedgerLocked("the ledger in etcd could not be written within %g s (%s): nothing was changed; try "
                                   "again when most members answer" % (self.patience, why)) from why
            time.sleep(PAUSE)


def entry_text(kept: Any) -> str:
    """An entry of the trail as it was sealed. Those of an earlier version were kept as they are, without a seal."""
    return kept if isinstance(kept, str) else json.dumps(kept, separators=(",", ":"), allow_nan=False)


def parts_of(text: str) -> List[str]:
    return [text[at : at + LARGEST] for at in range(0, len(text), LARGEST)]


def text_of(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, sort_keys=True)
