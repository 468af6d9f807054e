# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of the trail: each entry holds a digest of itself and of the entry before it.

Who may write the ledger can write another trail, with a chain that fits. So the last link of every commit also goes to
the system's log, which other accounts keep, and which sites send to other machines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from typing import Any, Iterable, Mapping, NamedTuple, Tuple

SYSTEM_LOG = "/dev/log"
KEY = "chain"
_AUTHPRIV_INFO = 10 * 8 + 6


class Verdict(NamedTuple):
    """What the entries of a trail show."""

    entries: int
    unchained: int  # before the first that has a link: written by an older muster
    first: int  # ids; 0: there is none
    last: int
    head: str  # the link of the last one
    broken: str  # a sentence about the first entry that does not fit; empty: all do


def sealed(entry: Mapping[str, Any], before: str) -> str:
    """An entry as the ledger keeps it.

    :param before: the link of the entry before it; empty for the first one.
    """
    text = _text({name: value for name, value in entry.items() if name != KEY})
    return _text(dict(json.loads(text), **{KEY: _link(before, text)}))


def link_of(text: str) -> str:
    """The link of an entry as the ledger keeps it; empty where it has none."""
    return str(json.loads(text).get(KEY) or "")


def verify(rows: Iterable[Tuple[int, str]]) -> Verdict:
    """Follow the chain.

    :param rows: (id, text) of all entries, by id. The oldest may have been forgotten; the rest is one piece.
    """
    entries = unchained = first = last = 0
    head = broken = ""
    for number, text in rows:
        entries += 1
        entry = json.loads(text)
        link = str(entry.pop(KEY, "") or "")
        if not link and not head and not broken:
            unchained += 1
        elif not broken and head and number != last + 1:
            gap = number - last - 1
            are = "is" if gap == 1 else "are"
            broken = "%d of the entries between %d and %d %s missing" % (gap, last, number, are)
        elif not broken and (head or unchained) and link != _link(head, _text(entry)):
            broken = "entry %d was changed, or what was before it" % number
        first, last, head = first or number, number, link or head
    return Verdict(entries, unchained, first, last, head, broken)


def announce(site: str, number: int, link: str) -> None:
    """Send the last link of a commit to the system's log; where there is none, nothing happens."""
    line = "<%d>muster[%d]: trail of %s: entry %d, chain %s" % (_AUTHPRIV_INFO, os.getpid(), site, number, link)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.setblocking(False)
        log.sendto(line.encode("utf-8", "replace"), SYSTEM_LOG)


def _link(before: str, text: str) -> str:
    return hashlib.sha256((before + "\n" + text).encode("utf-8")).hexdigest()[:32]


def _text(entry: Any) -> str:
    return json.dumps(entry, separators=(",", ":"), allow_nan=False)
