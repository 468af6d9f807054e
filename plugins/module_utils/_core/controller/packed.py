# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's records as one text, without the trail: what witnesses keep (`host.ledger_copies`)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zlib
from typing import Any, Dict, Mapping, Tuple

from ..model.words import RECORD_KINDS
from . import ledgers
from .ledger import Ledger
from .store import Kept, LedgerError

LARGEST = 2 * 1024 * 1024  # characters of a copy
LARGEST_INSIDE = 64 * 1024 * 1024  # bytes
AMONG = ("wanted", "claims")  # the kinds for whose sake a copy is made

Json = Dict[str, Any]


def copy(state_dir: str) -> Tuple[str, Json]:
    """:return: a mark that differs when a record does for whose sake copies are made; and the copy.

    :raises LedgerError: when the ledger cannot be read, or is too large.
    """
    with ledgers.open_ledger(state_dir) as ledger:
        records, revision = ledger.everything()
    among = json.dumps([records.get(kind) for kind in AMONG], sort_keys=True)
    text = json.dumps(records, separators=(",", ":")).encode("utf-8")
    packed = base64.b64encode(zlib.compress(text, 6)).decode("ascii")
    if len(packed) > LARGEST or len(text) > LARGEST_INSIDE:
        raise LedgerError("the ledger is too large for a copy at the witnesses (%d characters, packed)" % len(packed))
    found = {"site_id": records["meta"]["site_id"][1], "revision": revision, "at": round(time.time(), 3),
             "digest": hashlib.sha256(packed.encode("ascii")).hexdigest(), "text": packed}  # fmt: skip
    return hashlib.sha256(among.encode("utf-8")).hexdigest(), found


def unpack(copy: Mapping[str, Any], path: str) -> None:
    """Make a file of SQLite of a copy that a host gave back, as a backup is one.

    :raises LedgerError: when it is damaged.
    """
    text = str(copy.get("text") or "")
    if hashlib.sha256(text.encode("ascii", "replace")).hexdigest() != copy.get("digest"):
        raise LedgerError("its digest is another one")
    try:
        inside = zlib.decompressobj()
        data = inside.decompress(base64.b64decode(text, validate=True), LARGEST_INSIDE)
        if inside.unconsumed_tail or not inside.eof:
            raise ValueError("it is cut short, or too large")
        records = _records(json.loads(data.decode("utf-8")))
        site, site_id = str(records["meta"]["site"][1]), str(records["meta"]["site_id"][1])
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error, RecursionError) as error:
        raise LedgerError("it cannot be read (%s)" % error) from None
    if site_id != copy.get("site_id"):
        raise LedgerError("it says it is of another ledger")
    with Ledger(path) as made:
        made.create(site, site_id)
        made.fill(records, int(copy.get("revision") or 0), ())


def _records(document: Any) -> Kept:
    """:raises ValueError: for what is no record."""
    records: Kept = {}
    for kind, entries in document.items():
        if kind not in RECORD_KINDS:
            raise ValueError("the ledger has no records of kind %s" % kind)
        for name, (revision, record) in entries.items():
            if type(revision) is not int:
                raise ValueError("a record of %s has no revision" % name)
            records.setdefault(kind, {})[name] = (revision, record)
    return records
