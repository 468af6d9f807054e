# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several controllers share beside the ledger: the published site, and the key of leases. It is in etcd, too.

A deploy gives both, the site before the commit that makes it the valid one; every controller takes them.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import publish
from .places import COPY_FILE, LEASE_FILE, SITE_FILE, WATCH_FILE
from .store import LedgerLocked

HELD = "held"  # a key per document; it names the parts of its text
SITE, LEASE = "site", "lease"
PATIENCE = 2.0  # s for who only looks

Json = Dict[str, Any]
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .etcd_ledger import EtcdLedger
    from .ledgers import Store


def _etcd(ledger: Store) -> Optional[EtcdLedger]:
    return ledger if hasattr(ledger, "hold") else None  # type: ignore[return-value]


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def give_site(ledger: Store, envelope: Mapping[str, Any]) -> None:
    """Give what ``site.json`` is to hold once its mark is the valid one. Of those before, the newest stays."""
    store = _etcd(ledger)
    if store is not None and envelope["site"].get("controllers"):
        name = "%s-%s" % (SITE, envelope["mark"])
        held = store.held(HELD)
        if name not in held:
            for _unused, other in sorted((entry["at"], n) for n, entry in held.items() if n.startswith(SITE))[:-1]:
                store.let_go(HELD, other)
            store.hold(HELD, name, _text(envelope))


def give_lease(opened: Store, state_dir: str) -> None:
    """Give ``lease.json``, where it is another one."""
    with opened as ledger:
        store, text = _etcd(ledger), _text(publish.read_published(state_dir, LEASE_FILE))
        if store is not None and store.take(HELD, LEASE) != text:
            store.hold(HELD, LEASE, text)


def site_of(ledger: Store, mark: str, state_dir: str) -> Json:
    """What ``site.json`` of this controller has to hold for a mark; {} when nobody gave it."""
    store = _etcd(ledger)
    text = store.take(HELD, "%s-%s" % (SITE, mark)) if store is not None else ""
    envelope: Json = json.loads(text) if text else {}
    if envelope:
        envelope["site"]["state_dir"] = state_dir
    return envelope


class Copy:
    """The newest copy of a ledger that does not answer; it can only be looked at."""

    def __init__(self, state: Mapping[str, Any], revision: int) -> None:
        self._known = dict(state), revision

    def read(self) -> Tuple[Dict[str, Any], int]:
        return self._known

    def changed_since(self, revision: int, kind: str) -> List[str]:
        return []

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_unused: Any) -> None:
        return


def to_look_at(ledger: Store, state_dir: str) -> Any:
    """The ledger, or its copy when it does not answer.

    :raises LedgerError: when there is none either.
    """
    store = _etcd(ledger)
    if store is None:
        return ledger
    store.patience = PATIENCE
    try:
        store.read()
    except LedgerLocked:
        copy = publish.read_published(state_dir, COPY_FILE)
        if not copy:
            raise
        return Copy(copy["state"], int(copy["revision"]))
    return ledger


def take(ledger: Store, state_dir: str) -> Optional[Mapping[str, Any]]:
    """Bring what is published in a state folder to the state of a shared ledger.

    :return: the ledger's state, once it is.
    :raises LedgerError: when the ledger cannot be read. :raises OSError: when a file cannot be written.
    """
    store = _etcd(ledger)
    if store is None or not os.path.isdir(state_dir) or not store.exists():
        return None
    state, revision = store.read()
    lease = store.take(HELD, LEASE)
    if lease and lease != _text(publish.read_published(state_dir, LEASE_FILE)):
        with publish.locked(state_dir):
            publish.write_document(state_dir, LEASE_FILE, json.loads(lease))
    with contextlib.suppress(OSError):  # only for looks while etcd does not answer
        publish.write_document(state_dir, COPY_FILE, {"revision": revision, "state": state})
    return state if _published(ledger, state_dir, state, revision) else None


def _published(ledger: Store, state_dir: str, state: Mapping[str, Any], revision: int) -> bool:
    """:return: whether the watch list is of this revision, or of a newer one."""
    mark, site_id = state["meta"].get("site_mark"), state["meta"]["site_id"]
    if not mark:
        return False
    standing = publish.read_published(state_dir, WATCH_FILE)
    site = publish.read_published(state_dir, SITE_FILE)
    same = standing.get("site_id") == site_id and site.get("mark") == mark
    if same and int(standing.get("revision", -1)) >= revision:
        return True
    if site.get("mark") != mark or site.get("site_id") != site_id:
        site = site_of(ledger, mark, state_dir)
        if not site:
            return False
    publish.publish(
        state_dir, site["site"], state, revision, site["digests"], site["config_digests"], durable=False
    )
    return True
