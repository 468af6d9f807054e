# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that say where the ledger is."""

from __future__ import annotations

from ..model.place import LedgerPlace
from .table import Field, table

SITE = (
    Field("muster_ledger", "mapping", "Where the ledger is, when it is in etcd: needed with more than one controller"
          " ([controllers](controllers.md)).", default={}, default_doc="in the state folder"),
)  # fmt: skip

LEDGER = table(
    "The ledger in etcd",
    "muster_ledger",
    "The same for every controller; each connects to the members itself.",
    (
        Field("etcd", "names", "Addresses of the members: `https://controller_1:2379`, one or a list.", required=True),
        Field("ca", "file", "Certificate of who signed those of the members.", default="",
              default_doc="those that the system trusts"),
        Field("cert", "file", "Certificate with which a controller shows who it is.", default=""),
        Field("key", "file", "Its key; readable by the monitor's user alone.", default=""),
        Field("lease", "integer", "How long a monitor leads without a word of etcd. When it is gone, another one leads"
              " after at most this and half a second.", default=LedgerPlace.lease, minimum=2, maximum=60, unit="s"),
    ),
)
