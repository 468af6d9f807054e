# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names on the command line, put in full before a playbook runs, where the published site is on this machine."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from typing import Any

from ..core.client.commands import UnknownName
from ..core.model.request import KINDS, Request
from .places import UsageError

LEFT_TOO = ("stop", "close")  # may name what only the ledger knows: instances whose item left the site
HOSTS_TOO = ("confirm_down", "forget")  # may name a host that left the inventory


def in_full(request: Request, document: Mapping[str, Any]) -> Request:
    """The request with its instances in full.

    :param document: of the published site; empty when it is not on this machine: then the plan completes the names.
    :raises UnknownName: when the site has no such instance.
    """
    if not document:
        return request
    from ..core.model.site import site_from_json
    from ..core.requests.names import PATTERN, meanings, names_of
    from ..core.requests.read import unnamed

    try:
        names = names_of(site_from_json(document))
    except ValueError:  # another version of muster published it: the plan says so
        return request
    named = request.to_json()
    for field in ("instances", *(["host"] if request.kind in HOSTS_TOO else [])):
        named.pop(field, None)
    for problem in unnamed(KINDS[request.kind], named, names):
        raise UnknownName(problem["message"])
    found: dict[str, None] = {}
    for meaning in meanings(request.kind, list(request.instances), names, request.pending):
        plain = meaning.name not in names.items and not any(sign in meaning.name for sign in PATTERN)
        if meaning.problem and not (plain and request.kind in LEFT_TOO):
            raise UnknownName(meaning.problem)
        found.update(dict.fromkeys(meaning.instances or (meaning.name,)))
    return request._replace(instances=tuple(found))


def need_heard(asked: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Before an answer that is empty.

    :param asked: the name of an ``item``, a ``host``, an ``instance``. :param document: as for `in_full`.
    :raises UnknownName: when the site does not have it.
    """
    from ..core.model.site import site_from_json
    from ..core.model.unheard import unheard

    with contextlib.suppress(ValueError):
        problem = unheard(site_from_json(document), asked) if document else ""
        if problem:
            raise UnknownName(problem)


def console(options: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """The console of `muster open`: as given, else MUSTER_HOST; "" when neither names one."""
    return str(options.console or environ.get("MUSTER_HOST", ""))


def need_console(request: Request, document: Mapping[str, Any]) -> None:
    """Where no monitor carries it out, which knows the console from the socket.

    :param request: with instances in full.
    :raises UsageError: when the console of `muster open` is needed and not named.
    """
    from ..core.model.site import site_from_json
    from ..core.requests.names import names_of, on_their_hosts

    if request.kind != "open" or request.console:
        return
    with contextlib.suppress(ValueError):  # another version of muster published it: the plan says so
        if document and on_their_hosts(names_of(site_from_json(document)), request.instances):
            return
    raise UsageError("on which console? Give --console HOST, or set MUSTER_HOST on each console")
