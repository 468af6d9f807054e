# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the trial of ways: it asks the witnesses as its monitor will, ends the listeners that stand
in for guards, and notes which hosts were tried.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ..host.lease import messages
from ..model.site import Site
from ..report import lease_ways as report
from . import leases, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ledgers import Store

ASKED_SECONDS = 3.0  # for which a witness is asked
AGAIN_SECONDS = 0.15  # until it is asked once more
Json = Dict[str, Any]


def judge(site: Site, request: Mapping[str, Any], check: bool, ledger: Store) -> Json:
    """
    :param request: ``lease``: what `leases.opened` gave; ``listening`` and ``asked``: host -> what it said.
    :param check: nothing is written.
    :return: ``{"problems", "hints", "refusal"}``; with a problem nothing may be changed.
    :raises OSError: when what was found cannot be written.
    """
    lease, listening = request["lease"], dict(request.get("listening") or {})
    chosen = [(str(name), str(address), int(port)) for name, address, port in lease["sets"][-1]]
    can = report.tried(listening)
    answered = spoken([entry for entry in chosen if entry[0] in can], lease, "lift")
    spoken([entry for entry in chosen if listening.get(entry[0], {}).get("port") == "listens"], lease, "end")
    site_id, known = str(lease["site_id"]), leases.known(site.state_dir)
    leased = bool(known.get("sets")) and known.get("site_id") == site_id
    unheard = [name for name in can if name not in answered]
    found = report.judge(chosen, listening, request.get("asked") or {}, unheard, leased)
    if not check and not found.problems:
        leases.proven(site, site_id, found.proven)
        if site.controllers:
            shared.give_lease(ledger, site.state_dir)
    return {"problems": list(found.problems), "hints": list(found.hints),
            "refusal": report.refusal(found) if found.problems else ""}  # fmt: skip


def spoken(witnesses: List[Tuple[str, str, int]], lease: Mapping[str, Any], kind: str) -> Set[str]:
    """Say something to witnesses until each has answered. :return: those that did."""
    keys = messages.Keys([bytes.fromhex(key) for key in lease["keys"]])
    sending = keys.sending(messages.MONITOR)
    heard: Set[str] = set()
    until = time.monotonic() + ASKED_SECONDS
    made: Dict[int, socket.socket] = {}
    try:
        while sending and len(heard) < len(witnesses) and time.monotonic() < until:
            for name, address, port in witnesses:
                if name in heard:
                    continue
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                if family not in made:
                    made[family] = socket.socket(family, socket.SOCK_DGRAM)
                body = {"k": kind, "n": 1, "b": 0, "s": lease["site_id"], "t": name}
                try:
                    made[family].sendto(messages.seal(*sending, messages.MONITOR, body), (address, port))
                except OSError:
                    continue  # no way there: it stays silent
            for datagram in _arriving(list(made.values())):
                heard.update(_answer(datagram, keys, str(lease["site_id"])))
                if len(heard) == len(witnesses):
                    break
    finally:
        for one in made.values():
            one.close()
    return heard


def _arriving(sockets: List[socket.socket]) -> Iterator[bytes]:
    """The datagrams of a moment."""
    until = time.monotonic() + AGAIN_SECONDS
    while time.monotonic() < until:
        for one in sockets:
            one.settimeout(max(0.001, (until - time.monotonic()) / len(sockets)))
            try:
                yield one.recv(messages.LARGEST + 1)
            except OSError:
                continue


def _answer(data: bytes, keys: messages.Keys, site_id: str) -> List[str]:
    """Who answered: nobody, or one."""
    shown: Optional[Tuple[bytes, str]] = messages.envelope(data)
    key = keys.key(shown[0], messages.MONITOR) if shown else None
    if shown is None or key is None or messages.open_sealed(data, key, site_id, messages.MONITOR) is None:
        return []
    return [shown[1]]
