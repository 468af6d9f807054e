# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the caller of a request; no other module does.

The caller comes from the connection, never from the request itself: the door (socket) gives the host, and the kernel
gives the user at its other end. Over ssh that is the other machine's kernel, so the answer is as good as that machine.
A caller may act in another person's name (sudo names that person) only when it may do everything anyway: root and the
monitor's own user. Roles and tokens will attach here.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from ...core.client.peer import tcp_user
from ...core.client.person import beside
from ...core.host import relay
from ...core.model.site import Site

LOOK, ACT = "look", "act"
ADMINISTER = "administer"  # have more run than the site describes: only on the controller itself
_LONGEST = 300  # bytes of an introduction


@dataclass(frozen=True, slots=True)
class Door:
    """A place where the API listens. `host`: the inventory host whose people come through it."""

    kind: str  # unix | tcp
    host: str
    place: str  # the path of the socket, or the address
    port: int = 0
    far: bool = False  # a line carries it to another machine

    def __str__(self) -> str:
        if self.kind == "unix":
            return self.place
        return "%s:%d" % ("[%s]" % self.place if ":" in self.place else self.place, self.port)


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: its door, and the kernel's facts about the other end."""

    door: Door
    uid: int | None = None  # of a Unix socket's peer
    peer: tuple[str, int] | None = None  # TCP: address and port
    local: tuple[str, int] | None = None
    user: str = ""  # named by the other end of a line, or by a caller who may name another user


@dataclass(frozen=True, slots=True)
class Places:
    """The part of the site that shows where a caller is."""

    controller: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)  # address -> host
    consoles: frozenset[str] = frozenset()  # hosts that may show an item
    owner: int = 0  # uid of the state folder


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller and its host; `console` is that host when it can show items, else empty."""

    who: str
    host: str
    console: str
    address: str
    may: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "host": self.host,
            "console": self.console,
            "address": self.address,
            "may": list(self.may),
        }


def places_of(site: Site, owner: int) -> Places:
    """:param owner: uid of the owner of the state folder."""
    opened = [application for application in site.applications if application.on_request]
    consoles = {host for application in opened for host in application.identifiers}
    addresses: dict[str, str] = {}
    shared = set()
    for host in site.hosts:
        if host.address in addresses:
            shared.add(host.address)
        addresses[host.address] = host.name
    for address in shared:  # the address does not show which of its hosts a caller is on
        del addresses[address]
    return Places(site.controller, addresses, frozenset(consoles), owner)


def caller(connection: Connection, places: Places) -> Caller:
    """The caller at the other end. Only the owner of the state folder and root may act; all other callers may look.
    The people of a host come with the rights of its line: they may act, and not administer."""
    host, address = connection.door.host, ""
    uid = connection.uid
    if connection.peer is not None:
        address = connection.peer[0]
        host = places.addresses.get(address, host)
        if connection.local is not None:
            uid = tcp_user(connection.peer, connection.local)
    who = user_name(uid) if uid is not None else "somebody on %s" % (address or host)
    acts = uid is not None and uid in (0, places.owner)
    if connection.door.far or acts:
        who = connection.user or who
    may = (LOOK, ACT, ADMINISTER) if acts and not connection.door.far else (LOOK, ACT) if acts else (LOOK,)
    return Caller(who, host, host if host in places.consoles else "", address, may)


def named(found: Caller, person: str) -> Caller:
    """Add the name of the person beside an account that several people share: ``ops (Eve)``. It is what that person
    says, so it stands beside what the kernel says, never instead of it.

    :param person: percent-encoded, as a header has it.
    """
    return replace(found, who=beside(found.who, unquote(person)))


def introduced(data: bytes) -> tuple[str, bytes] | None:
    """The user whom the far end of a line names before the first request, and what follows; "" when it names none.

    :return: None while too few bytes have arrived to decide.
    """
    begin = relay.INTRODUCTION
    if not data.startswith(begin[: len(data)]):
        return "", data
    name, end, rest = data[len(begin) :].partition(b"\n")
    if not end:
        return None if len(data) < _LONGEST else ("", data)
    return "".join(sign for sign in name.decode("utf-8", "replace") if sign.isprintable()), rest


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "user %d" % uid


def owner_of(state_dir: os.PathLike[str]) -> int:
    return os.stat(state_dir).st_uid
