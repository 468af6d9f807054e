# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster withdraw` on the controller: by the monitor; where none answers, from the ledger."""

from __future__ import annotations

import argparse
import os
import sys
import time

from ..core.client import withdraw as by_api
from ..core.client.commands import OK, REFUSED, UNKNOWN
from ..core.client.person import me
from ..core.controller import asked
from ..core.controller.store import LedgerError
from .places import Places, UsageError


def withdraw(options: argparse.Namespace, found: Places) -> int:
    """The exit code."""
    if found.remote is not None:
        return by_api.withdraw(options, found.remote)
    if not options.request:
        return by_api.listed(found.question({"verb": "status"})["status"])
    by = {"who": me(), "from": os.environ.get("MUSTER_HOST", ""), "why": options.why, "anyone": True}
    try:
        result, request = asked.withdraw(str(found.need_state()), options.request, by, time.time())
    except LedgerError as error:
        raise UsageError(str(error)) from None
    if result == asked.WITHDRAWN:
        print(asked.sentence(request, by))
        return OK
    print("muster: there is no request %s that waits" % options.request, file=sys.stderr)
    return UNKNOWN if result == asked.GONE else REFUSED
