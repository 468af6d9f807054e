# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies a ledger of any store to a file of SQLite."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterator, List, Tuple

from . import ledger_files
from .ledger import Ledger
from .store import Kept, LedgerError

PAGE = 1000  # entries of the trail that are read at once


def write_copy(source: Any, folder: str, keep: int = ledger_files.BACKUPS) -> str:
    """Copy a ledger that is no file into a folder: see `etcd_ledger.EtcdLedger.backup`.

    :param source: any store.
    """
    _unused, revision = source.everything()
    target = os.path.join(folder, "ledger-%010d.db" % revision)
    if os.path.exists(target):
        return target
    fresh = os.path.join(folder, ".ledger.new-%s" % os.urandom(4).hex())
    try:
        revision = as_file(source, fresh)
        target = os.path.join(folder, "ledger-%010d.db" % revision)
        os.replace(fresh, target)
    except OSError as error:
        raise LedgerError("the ledger was not copied to %s: %s" % (folder, error.strerror or error)) from error
    finally:
        remove(fresh)
    for old in ledger_files.copies(folder)[:-keep]:
        with contextlib.suppress(OSError):
            os.unlink(old)
    return target


def as_file(source: Any, path: str) -> int:
    """Make a file of SQLite of it. :return: its revision."""
    made: Tuple[Kept, int] = source.everything()
    records, revision = made
    with Ledger(path) as copy:
        copy.create(str(records["meta"]["site"][1]), str(records["meta"]["site_id"][1]))
        copy.fill(records, revision, (entry for entry in everything_told(source) if entry["revision"] <= revision))
    return revision


def everything_told(source: Any) -> Iterator[Dict[str, Any]]:
    after = 0
    while True:
        page: List[Dict[str, Any]] = source.trail(after, PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = int(page[-1]["id"])


def remove(path: str) -> None:
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(path + end)
