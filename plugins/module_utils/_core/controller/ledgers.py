# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger of a state folder is: in the folder itself, or as its ``ledger.json`` says."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, Union

from .ledger import Ledger
from .ledger_files import own_backups
from .places import LEDGER_FILE, WHERE_FILE
from .store import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .etcd_ledger import EtcdLedger

    Store = Union[Ledger, EtcdLedger]


def open_ledger(state_dir: str, patience: float = 10.0, term: int = 0) -> Store:
    """The ledger of a state folder; it need not be there yet.

    :param term: that of a monitor, with more than one controller: nothing is committed once it no longer leads.
    :raises LedgerError: when ``ledger.json`` or a certificate cannot be read.
    """
    elsewhere = where(state_dir)
    if not elsewhere:
        return Ledger(os.path.join(state_dir, LEDGER_FILE), patience)
    ledger = in_etcd(elsewhere, state_dir, patience)
    ledger.term = term
    return ledger


def may_have_planned(state_dir: str) -> bool:
    """Whether any run has planned; where the ledger cannot say, a run that tries finds out why."""
    try:
        with open_ledger(state_dir, patience=1.0) as ledger:
            return ledger.has_planned()
    except LedgerError:
        return True


def in_etcd(place: Mapping[str, Any], state_dir: str, patience: float = 10.0, look: bool = False) -> EtcdLedger:
    """:param place: ``etcd``: addresses of members; ``site``: its name; ``ca``, ``cert`` and ``key``: files."""
    from . import etcd  # only sites that have it pay for it
    from .etcd_ledger import EtcdLedger

    ca, cert, key = (str(place.get(name) or "") for name in ("ca", "cert", "key"))
    try:
        client = etcd.Client([str(url) for url in place["etcd"]], ca, cert, key)
    except etcd.EtcdError as error:
        raise LedgerError("the ledger in etcd cannot be reached: %s" % error) from error
    return EtcdLedger(client, str(place["site"]), patience, own_backups(os.path.join(state_dir, LEDGER_FILE)), look)


def where(state_dir: str) -> Mapping[str, Any]:
    """``ledger.json``; {} when the ledger is in the folder itself.

    :raises LedgerError: when it is there and cannot be read: another ledger must not be taken for this one.
    """
    path = os.path.join(state_dir, WHERE_FILE)
    try:
        with open(path, encoding="utf-8") as handle:
            place = json.load(handle)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LedgerError("%s says where the ledger is, and cannot be read: %s" % (path, error)) from error
    if not isinstance(place, dict) or not place.get("etcd") or not place.get("site"):
        raise LedgerError("%s must name the addresses (etcd) and the site whose ledger it is" % path)
    return place


def phrase(place: Mapping[str, Any]) -> str:
    """A place, for sentences."""
    return "etcd (%s)" % ", ".join(map(str, place["etcd"])) if place else "the state folder"
