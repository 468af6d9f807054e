# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of leases: the site's key and its witnesses, in ``lease.json`` of the state folder (0600).

A host may ask the witnesses of an earlier deploy until it hears of new ones. So the file keeps every set of them that a
host may still ask, and a fence takes a majority of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from ..model.site import Site
from ..model.witnesses import witnesses
from .places import FENCES_FILE, LEASE_FILE
from .publish import locked, read_published, write_document

MOST_SETS = 6
# Steps of a rotation of the key, each of which must have reached every host before the next.
ADD, USE, DROP = KEY_STEPS = ("add", "use", "drop")
Json = Dict[str, Any]


def opened(site: Site, site_id: str, request: Mapping[str, Any], check: bool) -> Json:
    """What hosts need to know about leases; {} where they need none. A deploy makes the key and notes its witnesses.

    With ``untried``: hosts whose ways to the witnesses are not known to be open. While there are any, only the key is
    written; the rest by `proven`.

    :param request: with ``create`` for a deploy, and ``lease_key``: one of `KEY_STEPS`, or nothing.
    :param check: nothing is written.
    :raises OSError: when the file cannot be written.
    """
    step = str(request.get("lease_key") or "")
    if site.settings.exclusion != "witnesses":
        return {}
    if check or not request.get("create"):
        document = _document(site, site_id, known(site.state_dir), step)
        return dict(document, untried=_untried(site, document))
    with locked(site.state_dir):
        before = known(site.state_dir)
        document = _document(site, site_id, before, step)
        untried = _untried(site, document)
        if step or not untried:
            written = document
        else:
            ours = before if before.get("site_id") == site_id else {}
            written = {**ours, **{key: document[key] for key in ("site_id", "keys", "newest")}}
        if written != before:
            write_document(site.state_dir, LEASE_FILE, written)
    return dict(document, untried=untried)


def known(state_dir: str) -> Json:
    """What the file holds; {} without one."""
    return dict(read_published(state_dir, LEASE_FILE))


def proven(site: Site, site_id: str, hosts: Iterable[str]) -> None:
    """The ways are tried: write what a deploy brings, and that those of these hosts are open.

    :raises OSError: when the file cannot be written.
    """
    with locked(site.state_dir):
        before = known(site.state_dir)
        document = _document(site, site_id, before, "")
        document["tried"].update({name: _mark(site, document, name) for name in hosts})
        if document != before:
            write_document(site.state_dir, LEASE_FILE, document)


def _untried(site: Site, document: Json) -> List[str]:
    return [host.name for host in site.hosts if host.name not in document["tried"]]


def _mark(site: Site, document: Json, host: str) -> str:
    """Another one when a way of this host is another one."""
    ways = [site.host(host).address, document["port"], document["sets"][-1]]
    return hashlib.sha256(json.dumps(ways).encode("utf-8")).hexdigest()[:16]


def _document(site: Site, site_id: str, before: Mapping[str, Any], step: str) -> Json:
    """What the file has to hold.

    :param before: what it holds now.
    :param step: of a rotation of the key.
    """
    settings = site.settings
    chosen = [[name, site.host(name).address, settings.lease_port] for name in witnesses(site).names]
    ours = before.get("site_id") == site_id
    sets = [list(entry) for entry in before.get("sets") or ()] if ours else []
    if chosen not in sets[-1:]:
        sets = [*(entry for entry in sets if entry != chosen), chosen][-MOST_SETS:]
    keys = [str(key) for key in before.get("keys") or ()] if ours else []
    keys, newest = _keys(keys or [os.urandom(32).hex()], str(before.get("newest") or ""), step)
    document: Json = {
        "site_id": site_id,
        "keys": keys,
        "newest": newest,
        "sets": sets,
        "length": settings.lease,
        "margin": settings.lease_margin,
        "error": settings.clock_error,
        "port": settings.lease_port,
        "alone": settings.host_down_after + settings.host_interval,
        **({"power": _power(site)} if settings.power_fence else {}),
    }
    tried = (before.get("tried") or {}) if ours else {}
    document["tried"] = {name: mark for name, mark in tried.items()
                         if any(host.name == name for host in site.hosts) and mark == _mark(site, document, name)}
    return document


def _power(site: Site) -> Json:
    """What the monitor needs to prove that a host is off."""
    hosts = {
        host.name: {
            "site": site.name, "host": host.name, "node": host.node, "address": host.address,
            "hosts": [other.name for other in site.hosts if other.node == host.node],
        }
        for host in site.hosts
    }  # fmt: skip
    return {"command": list(site.settings.power_fence), "timeout": site.settings.power_fence_timeout, "hosts": hosts}


def _keys(keys: List[str], newest: str, step: str) -> Tuple[List[str], str]:
    """The site's keys after a step of their rotation, and the newest one.

    Who has several sends with the first, and accepts all. Each step may be repeated.
    """
    if step == ADD and len(keys) == 1:
        newest = os.urandom(32).hex()
        return [keys[0], newest], newest
    if step == USE and newest in keys:
        return [newest, *(key for key in keys if key != newest)], newest
    if step == DROP:
        return keys[:1], ""
    return keys, newest


def forget(site: Site, used: Mapping[str, Any]) -> None:
    """Forget former sets of witnesses, once every host of the site was seen to ask the present ones.

    :param used: host -> the witnesses that it asked when it was observed last, sorted.
    """
    if site.settings.exclusion != "witnesses":
        return
    if len(known(site.state_dir).get("sets") or ()) < 2:
        return
    try:
        with locked(site.state_dir):
            before = known(site.state_dir)
            sets: List[Any] = list(before.get("sets") or ())
            present = sorted(name for name, _address, _port in sets[-1]) if sets else []
            if present and all(used.get(host.name) == present for host in site.hosts):
                write_document(site.state_dir, LEASE_FILE, dict(before, sets=sets[-1:]))
    except OSError:
        return  # a fence takes more witnesses than it must until this succeeds


def fenced(state_dir: str) -> Tuple[str, ...]:
    """Hosts of which nothing can live now: the monitor keeps the file fresh while enough witnesses refuse them."""
    standing = read_published(state_dir, FENCES_FILE)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return tuple(name for name, until in (standing.get("until") or {}).items() if now < float(until))


def with_fences(site: Site, request: Mapping[str, Any]) -> Json:
    """A request with the hosts whose claims may be freed although nobody sees them."""
    asked = dict(request)
    asked.pop("fenced", None)
    if site.settings.exclusion == "witnesses" and any(i.get("host") for i in asked.get("intents") or ()):
        asked["fenced"] = sorted(fenced(site.state_dir))
    return asked
