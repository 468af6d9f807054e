# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads which hosts are controllers, and where they keep the ledger."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Tuple

from ..model.place import MOST_CONTROLLERS, LedgerPlace
from .errors import Keys, show
from .keys_ledger import LEDGER
from .reader import Reader

_URL = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5}\Z")
_PLACE: Keys = ("muster_ledger",)


def read_ledger(reader: Reader, written: Any) -> LedgerPlace:
    """Where the site says that the ledger is; errors are added to the reader's problems."""
    if written == {}:
        return LedgerPlace()
    values = reader.table(LEDGER, written, _PLACE, "muster_ledger")
    for position, url in enumerate(values.get("etcd", ())):
        if not _URL.match(url):
            reader.problems.add(_PLACE + ("etcd", position), "is %s, must be an address with a port" % show(url), url,
                                "as https://controller_1:2379")
    secure = all(url.startswith("https:") for url in values.get("etcd", ()))
    for name in ("ca", "cert", "key"):
        if values.get(name) and not secure and values.sound("etcd"):
            reader.problems.add(_PLACE + (name,), "certificates count only with addresses that begin with https://",
                                values[name])
    if values.get("cert") and not values.get("key") and values.sound("key"):
        reader.problems.add(_PLACE + ("cert",), "a certificate needs its key", values["cert"], "write key, too")
    return LedgerPlace(**values)


def read_controllers(reader: Reader, inventory: Mapping[str, Any], ledger: Any) -> Tuple[str, Tuple[str, ...]]:
    """(the first controller, all of them if there are several)."""
    names: List[str] = [str(name) for name in inventory.get("controllers", [])]
    if len(names) == 1:
        return names[0], ()
    place: Keys = ("groups", "muster_controller")
    if not names:
        reader.problems.add(place, "the inventory group muster_controller is empty or missing", names,
                            "it needs one host, the one that keeps ledger and published state; or up to three, with"
                            " muster_ledger")
        return "", ()
    if len(names) > MOST_CONTROLLERS:
        reader.problems.add(place, "the inventory group muster_controller has %d hosts: %s"
                            % (len(names), ", ".join(names)), names, "it may have %d at most" % MOST_CONTROLLERS)
    elif not ledger:
        reader.problems.add(place, "the inventory group muster_controller has %d hosts: %s"
                            % (len(names), ", ".join(names)), names,
                            "several controllers need one ledger: write muster_ledger: {etcd: [...]}, or leave one host"
                            " in the group")
    return names[0], tuple(names)
