# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller notes in its state folder where the ledger is, as the site says."""

from __future__ import annotations

import os
from typing import Any, Dict

from ..model.site import Site
from . import ledger_files, ledgers, publish
from .ledger import Ledger
from .places import LEDGER_FILE, WHERE_FILE
from .store import LedgerError


def join(site: Site, name: str, check: bool) -> bool:
    """Write ``ledger.json`` where the site has its ledger in etcd.

    :param name: of this controller in the inventory; "" where there is one only.
    :return: whether it is written, or would be.
    :raises LedgerError: when the ledger is elsewhere, and has to be moved first.
    """
    if not site.ledger:
        return False
    known = ledgers.where(site.state_dir)
    place: Dict[str, Any] = {"etcd": list(site.ledger.etcd), "site": site.name, "lease": site.ledger.lease}
    place.update({kind: getattr(site.ledger, kind) for kind in ("ca", "cert", "key") if getattr(site.ledger, kind)})
    if site.controllers and name:
        place["controller"] = name
    if known == place:
        return False
    if known and not set(known["etcd"]) & set(place["etcd"]):
        raise LedgerError(
            "the ledger is in %s, and muster_ledger names other members (%s): move it there first, with muster ledger"
            " move --to folder, then --to the new ones" % (ledgers.phrase(known), ", ".join(place["etcd"]))
        )
    if not known:
        _nothing_here(site.state_dir, place)
    if not check:
        ledger_files.make_folder(site.state_dir, LedgerError)
        publish.write_document(site.state_dir, WHERE_FILE, place)
        ledger_files.sync_folder(site.state_dir)
    return True


def _nothing_here(state_dir: str, place: Dict[str, Any]) -> None:
    """:raises LedgerError: when the state folder has a ledger of its own that is in use."""
    if not os.path.isdir(state_dir):
        return
    with Ledger(os.path.join(state_dir, LEDGER_FILE)) as ledger:
        if ledger.exists() and "moved" not in ledger.read()[0]["meta"]:
            raise LedgerError(
                "the ledger of this site is in %s, and muster_ledger says etcd: stop the monitor, and move it with"
                " muster ledger move --to %s" % (state_dir, ",".join(place["etcd"]))
            )
