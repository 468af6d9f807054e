# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publishes in this controller's state folder what any of the controllers commits, in a thread."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.controller import asked, ledgers, publish, shared
from ..core.controller.etcd_ledger import LEAD
from ..core.controller.seat import ANSWER
from ..core.controller.store import LedgerError

SILENCE_SECONDS = 5.0  # without a change, after which it looks whether it missed one
PAUSE_SECONDS = 0.3  # after a failure
WORTH_SAYING = 3  # failures in a row
HEAD = "head"


class Follower(threading.Thread):
    """Ends with `end`."""

    def __init__(
        self,
        state_dir: Path,
        place: Mapping[str, Any],
        *,
        hurry: Callable[[], None],
        requests: Callable[[list[str]], None],
        answered: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        """All are called in this thread.

        :param hurry: nobody leads any more.
        :param requests: takes the ids of all requests that no run has planned.
        :param answered: takes the id of a request that was answered.
        :param say: takes a sentence for the log.
        """
        super().__init__(name="follow", daemon=True)
        self._state_dir, self._place = str(state_dir), dict(place, etcd=list(place["etcd"]))
        self._hurry, self._requests, self._answered, self._say = hurry, requests, answered, say
        self._over = threading.Event()
        self._failures = 0  # in a row
        self._begin = "/muster/%s/" % place["site"]

    def end(self) -> None:
        self._over.set()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with ledgers.in_etcd(self._place, self._state_dir, patience=SILENCE_SECONDS) as ledger:
                    known = 0
                    while not self._over.is_set():
                        known = self._follow(ledger, known)
            except (LedgerError, publish.PublishError, OSError, http.client.HTTPException, ValueError, KeyError) as why:
                self._failed(str(why))
                self._over.wait(PAUSE_SECONDS)

    def _failed(self, why: str) -> None:
        """Say it once; what is over within moments, as when a member ends, is not worth a word."""
        self._failures += 1
        self._place["etcd"].append(self._place["etcd"].pop(0))  # another member
        if self._failures == WORTH_SAYING:
            self._say("what the controllers share cannot be followed: %s" % why)

    def _follow(self, ledger: Any, known: int) -> int:
        """Until nothing happened for a while. :param known: the moment up to which all is published; and returned."""
        for events in ledger.client.watch(self._begin + ANSWER, self._begin + LEAD + "0", SILENCE_SECONDS):
            if self._over.is_set():
                break
            names = [(key[len(self._begin) :], there) for key, there in events]
            if any(name == LEAD and not there for name, there in names):
                self._hurry()
            for name, there in names:
                if name.startswith(ANSWER) and there:
                    self._answered(name[len(ANSWER) :])
            given = any(name.startswith(shared.HELD) for name, _there in names)
            if not names or given or any(name == HEAD for name, _there in names):
                known = self._sync(ledger, 0 if given else known)
        return known

    def _sync(self, ledger: Any, known: int) -> int:
        moment: int = ledger.moment()
        if not moment or moment == known:
            return moment
        state = shared.take(ledger, self._state_dir)
        if state is None:
            return 0
        if self._failures >= WORTH_SAYING:
            self._say("what the controllers share is followed again")
        self._failures = 0
        self._requests(sorted(state[asked.KIND]))
        return moment
