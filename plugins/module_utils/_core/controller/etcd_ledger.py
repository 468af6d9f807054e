# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger on etcd: the same verbs as on SQLite. `etcd_log` says how it is kept."""

from __future__ import annotations

import json
import os
import time
from itertools import groupby
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..model.words import RECORD_KINDS
from . import etcd, trail_chain
from .etcd_log import PAGE, EtcdLog, Head, entry_text, parts_of, text_of
from .ledger_files import BACKUPS
from .store import (
    AT_ONCE,
    DAY,
    NEVER_FORGOTTEN,
    SCHEMA,
    Kept,
    LedgerDamaged,
    LedgerError,
    LedgerMissing,
    LostRace,
    NotLeading,
    State,
    check_epoch,
    check_kinds,
)

INLINE = 32 * 1024  # characters of a commit that its entry in the log holds itself
TAIL = 64  # commits behind a snapshot before the next one is made
DELETED = 100  # operations in one transaction of a clean-up
LEAD = "lead"  # the key of the monitor that leads: see `seat`

Json = Dict[str, Any]


class EtcdLedger(EtcdLog):
    """The verbs; `ledger.Ledger` says what each does."""

    # --- the verbs

    def exists(self) -> bool:
        return self._head() is not None

    def has_planned(self) -> bool:
        if self._sync(missing=True) is None:
            return False
        return bool(self._records["meta"].get("last_run", (0, 0))[1])

    def create(self, site: str, site_id: str) -> None:
        """:raises LedgerError: when there is one already."""
        meta = {"site_id": site_id, "site": site, "schema": SCHEMA, "last_run": 0}
        self._commit(None, Head(1, 0, 0, 0), {"meta": meta}, [])

    def leader(self) -> str:
        """The controller whose monitor leads; "" when none does."""
        (response,) = self._look([etcd.get(self._key(LEAD))])
        return next((str(self._json(kept.value).get("name") or "") for kept in etcd.found(response)), "")

    def moment(self) -> int:
        """Another number after each commit."""
        head = self._head()
        return head.mod_revision if head is not None else 0

    def read(self) -> Tuple[State, int]:
        """See `ledger.Ledger.read`. It is of one moment, and by the time it is used it may be an older one."""
        self._sync()
        state: State = {kind: {} for kind in RECORD_KINDS}
        for kind, records in self._records.items():
            state[kind] = {name: record for name, (_revision, record) in records.items()}
        return json.loads(text_of(state)), self._revision

    def commit(
        self,
        expected_revision: int,
        changes: Mapping[str, Mapping[str, Any]],
        trail: Iterable[Mapping[str, Any]] = (),
        above: int = 0,
    ) -> int:
        """See `ledger.Ledger.commit`.

        :raises Outcome: when no member said in time whether it was written.
        """
        check_kinds(changes)
        changes, told = json.loads(text_of(changes)), list(trail)
        head = self._synced()
        if head.revision != expected_revision:
            raise LostRace(expected_revision, head.revision)
        for name, record in (changes.get("claims") or {}).items():
            before = self._records["claims"].get(name)
            check_epoch(name, before[1] if before else None, record)
        entries, link = [], head.link  # type: Tuple[List[str], str]
        for entry in told:
            entries.append(trail_chain.sealed(entry, link))
            link = trail_chain.link_of(entries[-1])
        after = Head(max(head.revision, above) + 1, head.base, head.entries + len(entries), 0, link)
        mark = self._commit(head, after, changes, entries)
        self._apply(after.revision, changes, mark)
        if entries:
            trail_chain.announce(str(self._records["meta"].get("site_id", (0, ""))[1]), after.entries, link)
        if self._long(head):
            self._snapshot()
        return after.revision

    def trail(
        self, after: Optional[int] = None, limit: int = 100, instance: Optional[str] = None
    ) -> List[Json]:
        """See `ledger.Ledger.trail`."""
        taken: List[Json] = []
        for revision, first, entries in self._told(after):
            numbered = [dict(json.loads(e), id=first + at, revision=revision) for at, e in enumerate(entries)]
            fitting = [entry for entry in numbered if instance is None or entry.get("instance") == instance]
            taken += fitting[::-1] if after is None else [entry for entry in fitting if entry["id"] > after]
            if len(taken) >= limit:
                break
        return taken[:limit][::-1] if after is None else taken[:limit]

    def changed_since(self, revision: int, kind: str) -> List[str]:
        self._sync()
        return sorted(name for name, (written, _record) in self._records.get(kind, {}).items() if written > revision)

    def check(self) -> None:
        """Read all of the state again.

        :raises LedgerDamaged: when any of it is missing or no JSON."""
        self._revision, self._records = 0, {}
        self._sync()

    def verify_trail(self) -> trail_chain.Verdict:
        """Follow the chain of the trail."""
        return trail_chain.verify(
            (first + at, text) for _revision, first, entries in self._told(0) for at, text in enumerate(entries)
        )

    def oldest(self) -> Optional[float]:
        """See `ledger.Ledger.oldest`."""
        first = self.trail(after=0, limit=1)
        return float(first[0].get("at") or 0.0) if first else None

    def _synced(self) -> Head:
        """Where it is now. :raises LedgerMissing: when it is not there."""
        head = self._sync()
        if head is None:
            raise LedgerMissing("there is no ledger at %s in etcd: deploy this site first" % self._prefix)
        return head

    def forget_trail(self, before: float, most: int = -1) -> int:
        """Drop commits of which all that the trail tells is too old. What no snapshot holds yet stays."""
        head = self._synced()
        gone, writes = 0, []  # type: Tuple[int, List[Json]]
        for revision, first, entries in self._told(0):
            last = first + len(entries) - 1
            old = all(float(json.loads(entry).get("at") or 0.0) < before for entry in entries)
            if not old or revision > head.base or last > head.entries - NEVER_FORGOTTEN or 0 <= most <= gone:
                break
            gone += len(entries)
            writes += [etcd.delete(self._key("log", revision)), etcd.delete(self._key("trail", first))]
        for at in range(0, len(writes), DELETED):
            self._asked({"success": writes[at : at + DELETED]}, "cleaned")
        return gone

    def forget_daily(self, before: float) -> None:
        """See `ledger.Ledger.forget_daily`."""
        oldest = self.oldest()
        if oldest is not None and oldest < before - DAY:
            self.forget_trail(before, AT_ONCE)

    def everything(self) -> Tuple[Kept, int]:
        """The records with the revisions at which they were written, and the ledger's."""
        self._sync()
        return {kind: dict(records) for kind, records in self._records.items() if records}, self._revision

    def fill(self, records: Kept, revision: int, trail: Iterable[Mapping[str, Any]]) -> None:
        """Become a copy of another ledger, whole or not at all.

        :raises LedgerError: when there is one already.
        """
        if self._head() is not None and not self.moved:
            raise LedgerError("there is a ledger already at %s in etcd: it was left as it is" % self._prefix)
        self.clear()
        self._put_parts(("snap", revision), text_of(records))
        last, link = 0, ""
        for at, entries in groupby(trail, key=lambda entry: int(entry["revision"])):
            said = [{name: entry[name] for name in entry if name not in ("id", "revision")} for entry in entries]
            told = [entry_text(entry) for entry in said]
            link = trail_chain.link_of(told[-1])
            mark = "moved-%012d" % at
            parts = self._put_parts(("part", mark), text_of({"changes": {}, "trail": told}))
            entry = {"mark": mark, "parts": parts}
            self._asked({"success": [etcd.put(self._key("log", at), text_of(entry)),
                                     etcd.put(self._key("trail", last + 1), str(at))]}, "written")  # fmt: skip
            last += len(told)
        head = Head(revision, revision, last, 0, link).text()
        question = {"compare": [etcd.unchanged(self._key("head"), 0)],
                    "success": [etcd.put(self._key("head"), head)]}  # fmt: skip
        if not self._settled(question, revision).get("succeeded") and not self.exists():
            raise LedgerError("another process makes a ledger at %s in etcd: it was left as it is" % self._prefix)

    def clear(self) -> None:
        """Remove it, with all of its keys."""
        self._asked({"success": [etcd.delete(self._prefix, etcd.after(self._prefix))]}, "cleaned")

    def backup(self, folder: str = "", keep: int = BACKUPS) -> str:
        """A copy as a file of SQLite, named after its revision; the newest `keep` stay. Returns its path.

        :param folder: that is there.
        """
        from .copies import write_copy

        return write_copy(self, folder or self.backups, keep)

    def __enter__(self) -> EtcdLedger:
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def close(self) -> None:
        self.client.close()

    def retire(self, revision: int, where: str) -> None:
        """Nothing is written here any more: the ledger was moved.

        :param where: as a phrase.
        :raises LostRace: when it is no longer at this revision.
        """
        head = self._synced()
        if head is None or head.revision != revision:
            raise LostRace(revision, head.revision if head else 0)
        text = text_of(dict(json.loads(head.text()), moved=where))
        question = {"compare": [etcd.unchanged(self._key("head"), head.mod_revision)],
                    "success": [etcd.put(self._key("head"), text)],
                    "failure": [etcd.get(self._key("head"))]}  # fmt: skip
        answer = self._settled(question, revision)
        if not answer.get("succeeded"):
            now = [self._json(kept.value) for kept in etcd.found(answer["responses"][0])]
            if not now or now[0].get("moved") != where:
                raise LostRace(revision, int(now[0]["revision"]) if now else 0)

    # --- documents beside the ledger

    def held(self, kind: str) -> Dict[str, Json]:
        """The documents of a kind: name -> ``{"at", "mark", "parts"}``."""
        prefix = self._key(kind, "")
        return {kept.key[len(prefix) :]: self._json(kept.value) for kept in self._page(prefix, PAGE)}

    def hold(self, kind: str, name: str, text: str) -> None:
        """Keep a document, in place of the one of that name."""
        before = self.held(kind).get(name)
        mark = "%012d-%s" % (time.time(), os.urandom(8).hex())
        entry = {"at": time.time(), "mark": mark, "parts": self._put_parts(("part", mark), text)}
        self._asked({"success": [etcd.put(self._key(kind, name), text_of(entry))]}, "written")
        if before:
            self._drop_parts(before)

    def take(self, kind: str, name: str) -> str:
        """The text of a document; "" when there is none."""
        for _unused in range(3):
            entry = self.held(kind).get(name)
            if entry is None:
                return ""
            parts = self._page(self._key("part", entry["mark"], ""), PAGE)
            if len(parts) == entry["parts"]:
                return "".join(part.value for part in parts)
        raise LedgerDamaged("the document %s in etcd lacks a part" % name)  # else another one took its place

    def let_go(self, kind: str, name: str) -> None:
        before = self.held(kind).get(name)
        self._asked({"success": [etcd.delete(self._key(kind, name))]}, "cleaned")
        if before:
            self._drop_parts(before)

    def _drop_parts(self, entry: Json) -> None:
        prefix = self._key("part", entry["mark"], "")
        self._asked({"success": [etcd.delete(prefix, etcd.after(prefix))]}, "cleaned")

    # --- writing

    def _commit(
        self, before: Optional[Head], after: Head, changes: Mapping[str, Any], trail: List[str]
    ) -> str:
        """:return: what marks it.
        :raises LostRace: when the head is another one.
        :raises NotLeading: when it is for a term that is over.
        """
        mark = "%012d-%s" % (time.time(), os.urandom(8).hex())
        content = text_of({"changes": changes, "trail": trail})
        parts = parts_of(content) if len(content) > INLINE else []
        entry: Json = {"mark": mark, **({"parts": len(parts)} if parts else json.loads(content))}
        if parts:
            self._put_parts(("part", mark), content)
        log, head = self._key("log", after.revision), self._key("head")
        writes = [etcd.put(log, text_of(entry)), etcd.put(head, after.text())]
        if trail:
            writes.append(etcd.put(self._key("trail", after.entries - len(trail) + 1), str(after.revision)))
        lead = self._key(LEAD)
        compared = [etcd.unchanged(head, before.mod_revision if before else 0)]
        compared += [etcd.made(lead, self.term)] if self.term else []
        question = {"compare": compared, "success": writes,
                    "failure": [etcd.get(head), etcd.get(log), etcd.get(lead)]}  # fmt: skip
        answer = self._settled(question, after.revision)
        if answer.get("succeeded"):
            return mark
        now, ours, leads = (etcd.found(response) for response in answer["responses"])
        if any(self._json(kept.value).get("mark") == mark for kept in ours):
            return mark  # an earlier attempt was carried out, and its answer got lost
        if self.term and self.term not in [kept.create_revision for kept in leads]:
            raise NotLeading(*([self._json(kept.value).get("name", "") for kept in leads] or [""]))
        if before is None:
            raise LedgerError("there is a ledger already at %s in etcd: it was left as it is" % self._prefix)
        raise LostRace(before.revision, int(self._json(now[0].value)["revision"]) if now else 0)

    # --- snapshots

    def _long(self, head: Head) -> bool:
        (response,) = self._look([
            {"request_range": {**etcd.get(self._key("log", head.base + 1), etcd.after(self._key("log", "")))[
                "request_range"], "count_only": True}}
        ])  # fmt: skip
        return int((response.get("response_range") or {}).get("count") or 0) > TAIL

    def _snapshot(self) -> None:
        """Write the state as a whole, and let the head name it. What goes wrong is tried again by a later commit."""
        try:
            head = self._synced()
            base = head.revision
            self._put_parts(("snap", base), text_of(self._records))
            question = {"compare": [etcd.unchanged(self._key("head"), head.mod_revision)],
                        "success": [etcd.put(self._key("head"), head._replace(base=base).text())]}  # fmt: skip
            if self._settled(question, base).get("succeeded") and head.base:
                older = (self._key("snap", 0, ""), self._key("snap", head.base, ""))  # the last one stays for readers
                self._asked({"success": [etcd.delete(*older)]}, "cleaned")
        except LedgerError:
            return
