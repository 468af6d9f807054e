# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with items, and what of that only was the end of their host."""

from __future__ import annotations

import math
from typing import Any, Iterator, List, Mapping, NamedTuple

from ..model.words import MUSTER, RUNNING, STOPPED
from .picture import SETTLES, Picture


class Failure(NamedTuple):
    """What went wrong with an instance of an item."""

    at: float  # s since 1970
    host: str
    why: str
    window: bool  # of its HCI, not of its services
    told: bool = False  # the alarm about its host says it
    over: float = math.inf  # when its instance ran again, as far as it does


def failures(picture: Picture, item: str) -> List[Failure]:
    """What went wrong with an item lately, the oldest first.

    Not yet what may turn out to be the end of its host: what went with that has no alarm of its own.
    """
    return sorted(failure for failure in _failures(picture, item) if _settled(picture, failure))


def settling(picture: Picture) -> bool:
    """Whether there is something that counts in a moment, although nothing changes."""
    return any(not _settled(picture, failure) for item in picture.items for failure in _failures(picture, item))


def _failures(picture: Picture, item: str) -> Iterator[Failure]:
    for _unused, part in picture.of_item.get(item, ()):
        over = float(part.get("since") or 0.0) if part["phase"] == RUNNING else math.inf
        for at, host, why in part.get("charged") or ():
            its = _went_with_its_host(picture, item, str(host), float(at))
            yield Failure(float(at), str(host), str(why), bool(part.get("on_request")), its, over)
    yield from _closed(picture, item)


def _settled(picture: Picture, failure: Failure) -> bool:
    clear = picture.silent.get(failure.host, "") in ("", *picture.told)
    return failure.told or (clear and not 0.0 <= picture.now - failure.at < SETTLES)


def went_with(picture: Picture, item: str, key: str) -> bool:
    """Whether a service of an item failed a moment before its host was in doubt.

    :param key: of the alarm about the host.
    """
    doubt = picture.since.get(key, picture.now)
    return any(doubt - SETTLES <= one.at < doubt and not one.window and _about(picture, key, one.host)
               for one in _failures(picture, item))  # fmt: skip


def _about(picture: Picture, key: str, host: str) -> bool:
    """Whether an alarm is about the machine of a host."""
    what, _unused, first = key.partition(":")
    return what == "host" and picture.machine(first) == picture.machine(host)


def _closed(picture: Picture, item: str) -> Iterator[Failure]:
    """What closed its windows, other than a host that went down."""
    for _unused, part in picture.windows(item):
        wanted = part.get("wanted") or {}
        if (wanted.get("state"), wanted.get("by")) != (STOPPED, MUSTER) or wanted.get("cause") or not wanted.get("why"):
            continue
        why = str(wanted["why"])
        yield Failure(float(wanted.get("at") or 0.0), _host_of(why, part), why, True,
                      _went_with_its_console(picture, item, why))  # fmt: skip


def _went_with_its_host(picture: Picture, item: str, host: str, at: float) -> bool:
    """Whether a service failed when its host went, or a moment before, and there is an alarm about that host."""
    key = picture.silent.get(host, "") or picture.memory.under.get(item, "")
    its = host in picture.silent or _about(picture, key, host)
    if its and key in picture.told and at >= picture.since.get(key, picture.now) - SETTLES:
        return True
    known = picture.took(host, item, at)
    return known and (picture.back[host].told or item in picture.fallen.get(host, ()))


def _went_with_its_console(picture: Picture, item: str, why: str) -> bool:
    """Whether a window was closed by what the alarm was about that its item was under a moment ago."""
    key = picture.memory.under.get(item, "")
    if key not in picture.told or not key.startswith("host:"):
        return key in picture.told
    named = {word.strip(":;,") for word in why.split()} & set(picture.hosts)
    return any(_about(picture, key, host) for host in named)


def _host_of(why: str, part: Mapping[str, Any]) -> str:
    words = why.split(" on ", 1)
    return words[1].split(" ", 1)[0].rstrip(":;,") if len(words) > 1 else str(part.get("host") or "its console")
