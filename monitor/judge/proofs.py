# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ended by itself is restarted once its host has answered after that: what dies together is judged together.

When a host stands still or loses its power, its programs may be gone seconds before its line is known to be. A run sent
for them goes to a host that takes no connection, comes back late, and is missing when the host is believed down. So the
line is asked at once. An answer takes milliseconds; without one, the verdict on the host decides.

Where several end at about the same time, all of them go into one run: a second one would have to start first.

Pure: `now` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.model.words import BUS_CRASH, PROGRAM_EXIT
from .effects import Effect, Question, Wake
from .hosts import Hosts
from .watch_list import Watch
from .wishes import Wish

TOGETHER_SECONDS = 0.02  # after the last of several crashes, within which another one joins them
LONGEST_SECONDS = 0.1  # that the first of them waits for others
_ENDED = (BUS_CRASH, PROGRAM_EXIT)
_Key = tuple[str, int]  # instance, epoch


class Proofs:
    """Remembers which crashes wait for a word of their host; one per monitor."""

    def __init__(self) -> None:
        self._since: dict[_Key, float] = {}  # when each was wished for first
        self._released: set[_Key] = set()  # those that did not have to wait any longer
        self._waited: set[str] = set()  # hosts that were asked, and have not answered since
        self.due: float | None = None  # when what is gathered goes

    def sift(self, wishes: Iterable[Wish], watch: Watch, hosts: Hosts, now: float) -> tuple[list[Wish], list[Effect]]:
        """:return: the wishes that need no proof or have it; and hosts to ask."""
        ready: list[Wish] = []
        proven: dict[_Key, Wish] = {}
        waited: set[str] = set()
        since: dict[_Key, float] = {}
        for wish in wishes:
            entry = watch.instances.get(wish.instance)
            if entry is None or wish.cause not in _ENDED or wish.only_reported:
                ready.append(wish)
                continue
            key = (wish.instance, wish.epoch)
            since[key] = self._since.get(key, now)
            if key in self._released or hosts.answers_since(entry.host, since[key]):
                proven[key] = wish
            else:
                waited.add(entry.host)
        self._released &= set(proven)
        new = [since[key] for key in proven if key not in self._released]
        self.due = min(max(new) + TOGETHER_SECONDS, min(new) + LONGEST_SECONDS) if len(new) > 1 else None
        if self.due is None or now >= self.due:
            self._released, self.due = set(proven), None
        ready += [wish for key, wish in proven.items() if key in self._released]
        asked: list[Effect] = [Question(host) for host in sorted(waited - self._waited)]
        self._since, self._waited = since, waited
        return ready, asked

    def heard(self, host: str) -> list[Effect]:
        """A host answered on its line as before."""
        return [Wake()] if host in self._waited else []
