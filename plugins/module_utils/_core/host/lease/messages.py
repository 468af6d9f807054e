# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The datagrams between hosts, witnesses and monitor. Pure.

A datagram is ``MSL1``, four bytes that name the key, the length and name of the sender, a JSON mapping, and the HMAC of
all that. Each host has a key of its own, derived from the site's: only witnesses and the controller hold that one. A
witness answers under the key of who asked, so an answer proves that a witness made it.

==========  ==================  ================================================================
kind        from, to            further fields
==========  ==================  ================================================================
``ask``     host, witness       ``w``: the length of its lease in seconds
``yes``     witness, host
``no``      witness, host       the host is fenced
``fence``   monitor, witness    ``h``: host, ``f``: number of the fence
``lift``    monitor, witness    ``h``, ``f``: this fence, and any with a lower number
``fenced``  witness, monitor    ``h``, ``f``, ``rest``: s for which its last answer may still count
``lifted``  witness, monitor    ``h``, ``f``
``born``    witness, any        the asker did not know who the witness is now; nothing else was done
==========  ==================  ================================================================

Every mapping has ``k`` (kind), ``s`` (site id), ``t`` (to whom), ``n`` (number of the question) and ``b`` (birth of the
witness, 0: not known). The birth is a random number of a witness's life, so nothing that was said to an earlier life of
a witness can be said again to a later one.
"""

from __future__ import annotations

import hashlib
import hmac
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

    Body = Dict[str, Any]

LARGEST = 1024  # bytes
MONITOR = "*monitor"  # the sender's name of the monitor; no host can have it
_MAGIC = b"MSL1"
_ID = 4  # bytes of a key's name
_MAC = 32
_NUMBERS = ("n", "b", "f")
_SECONDS = ("w", "rest")
_MOST = 2**63


def derive(master: bytes, sender: str) -> bytes:
    """The key of one sender."""
    return hmac.new(master, b"muster lease " + sender.encode("utf-8"), hashlib.sha256).digest()


def key_name(master: bytes) -> bytes:
    """What a datagram calls this key, and those derived from it."""
    return hashlib.sha256(b"name of " + master).digest()[:_ID]


def seal(name: bytes, key: bytes, sender: str, body: Mapping[str, Any]) -> bytes:
    """A datagram.

    :param name: of the key, as `key_name` says it.
    :param key: the sender's own; a witness uses that of who asked.
    """
    who = sender.encode("utf-8")
    text = json.dumps(body, separators=(",", ":")).encode("utf-8")
    data = _MAGIC + name + bytes((len(who),)) + who + text
    return data + hmac.new(key, data, hashlib.sha256).digest()


def envelope(data: bytes) -> Optional[Tuple[bytes, str]]:
    """The name of the key and the sender that a datagram shows, not proven yet. None: it is none of this protocol."""
    start = len(_MAGIC) + _ID
    if not start + 1 + _MAC < len(data) <= LARGEST or not data.startswith(_MAGIC):
        return None
    end = start + 1 + data[start]
    if data[start] == 0 or end + _MAC >= len(data):
        return None
    try:
        return data[len(_MAGIC) : start], data[start + 1 : end].decode("utf-8")
    except UnicodeDecodeError:
        return None


def open_sealed(data: bytes, key: bytes, site: str, to: str) -> Optional[Body]:
    """What a datagram says, when it was made with this key, for this site and receiver. None: it was not.

    :param data: for which `envelope` found something.
    """
    if not hmac.compare_digest(hmac.new(key, data[:-_MAC], hashlib.sha256).digest(), data[-_MAC:]):
        return None
    start = len(_MAGIC) + _ID
    try:
        body = json.loads(data[start + 1 + data[start] : -_MAC].decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("s") != site or body.get("t") != to:
        return None
    return body if _sound(body) else None


def _sound(body: Body) -> bool:
    """Whether every field is of its kind."""
    if not isinstance(body.get("k"), str) or not isinstance(body.get("h", ""), str):
        return False
    if "n" not in body or "b" not in body:
        return False
    for name in _NUMBERS:
        if type(body.get(name, 0)) is not int or not 0 <= body.get(name, 0) < _MOST:
            return False
    for name in _SECONDS:
        if type(body.get(name, 0)) not in (int, float) or not 0 <= body.get(name, 0) < 1e6:
            return False
    return True


class Keys:
    """The keys that a receiver accepts, the first one being that with which it sends."""

    def __init__(self, masters: Sequence[bytes] = (), own: Sequence[Tuple[bytes, bytes]] = ()) -> None:
        """
        :param masters: the site's keys, of witnesses and the controller.
        :param own: (name, key) of a host that is no witness.
        """
        self._masters = {key_name(master): master for master in masters}
        self._own = dict(own)
        self._derived: Dict[Tuple[bytes, str], bytes] = {}

    def key(self, name: bytes, sender: str) -> Optional[bytes]:
        """The key of a sender under the site's key of this name; None when that is not known here."""
        known = self._own.get(name)
        if known is not None:
            return known
        master = self._masters.get(name)
        if master is None:
            return None
        key = self._derived.get((name, sender))
        if key is None:
            if len(self._derived) > 10000:  # names in datagrams are anybody's choice
                self._derived.clear()
            key = self._derived[name, sender] = derive(master, sender)
        return key

    def sending(self, sender: str) -> Optional[Tuple[bytes, bytes]]:
        """(name, key) with which a sender sends; None without keys."""
        for name in self._own or self._masters:
            key = self.key(name, sender)
            return (name, key) if key is not None else None
        return None
