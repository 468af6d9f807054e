# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves the ledger from SQLite to etcd or back, whole or not at all.

The new one is made first, and nobody looks at it. Then the old one takes no commit any more, in one step that compares
its revision, and last the state folder says where the ledger is. Whatever interrupts this, doing it again finishes it.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Mapping

from . import adopt, copies, ledger_files, ledgers, publish
from .ledger import Ledger
from .places import LEDGER_FILE, WHERE_FILE
from .store import LedgerError, LostRace

ATTEMPTS = 8


def move(state_dir: str, to: Mapping[str, Any]) -> str:
    """Move the ledger of a state folder.

    :param to: ``{}``: into the folder; else as `ledgers.in_etcd` takes it, without ``site``.
    :return: what was done.
    :raises LedgerError: when nothing was done, or it has to be done again.
    """
    now = ledgers.where(state_dir)
    if bool(now) == bool(to):
        if now and sorted(now["etcd"]) != sorted(to["etcd"]):
            raise LedgerError("the ledger is in %s: move it into the state folder first" % ledgers.phrase(now))
        return "the ledger is in %s already" % ledgers.phrase(now)
    with adopt.without_monitor(state_dir, make=False):
        for _unused in range(ATTEMPTS):
            with contextlib.suppress(LostRace):
                return _to_etcd(state_dir, to) if to else _to_folder(state_dir, now)
    raise LedgerError("others kept changing the ledger: nothing was moved; try again when no run is under way")


def _to_etcd(state_dir: str, to: Mapping[str, Any]) -> str:
    with Ledger(os.path.join(state_dir, LEDGER_FILE)) as source:
        source.check()
        records, revision = source.everything()
        place = dict(to, site=records["meta"]["site"][1])
        name = ledgers.phrase(place)
        retired = records["meta"].pop("moved", (0, ""))[1]
        if retired not in ("", name):
            raise LedgerError("this ledger was moved to %s: move it there" % retired)
        with ledgers.in_etcd(place, state_dir, look=True) as target:
            if not (retired and target.exists() and not target.moved):
                target.fill(records, revision, copies.everything_told(source))
            if not retired:
                try:
                    source.retire(revision, name)
                except LostRace:
                    target.clear()
                    raise
            kept, found = target.everything()
            if kept["meta"]["site_id"][1] != records["meta"]["site_id"][1] or found < revision:
                raise LedgerError("the ledger in %s is another one: it was left as it is" % name)
    publish.write_document(state_dir, WHERE_FILE, place)
    ledger_files.sync_folder(state_dir)
    return "the ledger is in %s, at revision %d; the file of SQLite stays, and takes no commit any more" % (
        name, revision)


def _to_folder(state_dir: str, now: Mapping[str, Any]) -> str:
    path = os.path.join(state_dir, LEDGER_FILE)
    fresh = "%s.moved-%s" % (path, os.urandom(4).hex())
    try:
        with ledgers.in_etcd(now, state_dir, look=True) as source:
            leader = source.leader()
            if leader:
                raise LedgerError("the monitor of %s leads: stop the monitors of all controllers first" % leader)
            revision = copies.as_file(source, fresh)
            if not source.moved:
                source.retire(revision, ledgers.phrase({}))
        adopt.put_in_place(fresh, path)
    finally:
        copies.remove(fresh)
    os.unlink(os.path.join(state_dir, WHERE_FILE))
    ledger_files.sync_folder(state_dir)
    return "the ledger is in the state folder, at revision %d; the one in etcd stays, and takes no commit any more" % (
        revision)
