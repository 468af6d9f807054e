# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster withdraw`: take back one request that waits, or list those that do. For both command lines."""

from __future__ import annotations

import argparse
from typing import Any, Mapping

from . import api
from .commands import OK, say

TEXT = "take back one request that waits for its turn; without a name, list those that wait"
EXAMPLE = "withdraw 5f0c21d9a7b3e84e --reason 'wrong item'"
MORE = """
A request waits until a run has planned it: while no run is ready, while the hosts are looked at, or while a controller
takes over. Until then who asked for it can take it back, and so can who administers the site; nothing of it is done,
and no other request is touched. Who still waits for its answer gets to know. What a run has begun goes on to its
end: the answer names the command that takes it back.
"""


def add_withdraw(parser: argparse.ArgumentParser) -> None:
    parser.description = TEXT[:1].upper() + TEXT[1:] + ".\n" + MORE
    parser.add_argument("request", metavar="REQUEST", nargs="?", default="",
                        help="its id: in brackets in muster status")
    parser.add_argument("--reason", "--why", dest="why", metavar="TEXT", default="", help="the reason, for the trail")


def withdraw(options: argparse.Namespace, remote: api.Remote) -> int:
    """The exit code. :raises Refused: with why it cannot be withdrawn."""
    if not options.request:
        return listed(remote.get("/status", options.timeout))
    for sentence in remote.withdraw(options.request, options.why, options.timeout)["said"]:
        say(str(sentence))
    return OK


def listed(status: Mapping[str, Any]) -> int:
    requests = status.get("requests") or []
    for one in requests:
        say("%s  %s" % (one["id"], one["says"]))
    if not requests:
        say("no request waits")
    return OK
