# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of `POST /actions`: its schema, and how it becomes a request to the monitor. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.model.request import KINDS, Request
from ...core.requests import check, read
from ...core.requests.names import Names, on_their_hosts
from ..doors.caller import Caller

Json = dict[str, Any]
TAKEN = tuple(kind.name for kind in KINDS.values() if kind.by_api)


def schema() -> Json:
    """JSON Schema of the body."""
    return {"oneOf": [KINDS[name].schema() for name in TAKEN], "discriminator": {"propertyName": "kind"}}


def request_of(body: Any, names: Names, caller: Caller, lacking: Iterable[check.Error] = ()) -> Request:
    """The request that a body describes, with who requests it and from where; instances are put in full.

    :param lacking: what is wrong with its address, see `lacking`.
    :raises RequestErrors: with every error.
    """
    wrong = list(lacking)
    try:
        request = read.request(body, names, TAKEN)._replace(who=caller.who, where=caller.host)
    except read.RequestErrors as error:
        raise read.RequestErrors([*wrong, *error.errors]) from None
    if wrong:
        raise read.RequestErrors(wrong)
    if request.kind == "open" and not request.console and not on_their_hosts(names, request.instances):
        if not caller.console:
            sentence = "on which console? This request comes from %s, which is no console"
            raise read.RequestErrors([check.error("console", sentence % (caller.host or "no known host"), None)])
        request = request._replace(console=caller.console)
    return request


def lacking(dry_run: bool, save: bool, approve: bool) -> list[check.Error]:
    """Parameters of the address that are given without the one that they go with: alone each would be an act at once.
    """
    found = [("save", "goes with dry_run=1: the plan is kept, and nothing is done")] if save and not dry_run else []
    if approve and not save:
        found.append(("approve", "goes with save=1: somebody else applies that plan"))
    return [check.error(name, sentence, 1) for name, sentence in found]
