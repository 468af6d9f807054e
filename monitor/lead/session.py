# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps this monitor's lease in etcd and tries to lead, in a thread: what waits for etcd waits there."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from ..core.controller import etcd
from ..core.controller.seat import Seat
from ..judge.leading import Leading, step


def now() -> float:
    """Seconds of the clock that leases are measured with: it also counts while this machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


WARM_AFTER = 10.0  # s; one that is started again does not take the lead from those that hold lines and a parked run
ASIDE_AFTER, ASIDE_AGAIN = 10.0, 60.0  # s of leading until it looks who leads the members of etcd, and between looks


class Session(threading.Thread):
    """Ends with `end`, and then another one leads at once."""

    def __init__(self, seat: Seat, length: float, told: Callable[[Callable[[Leading], None]], None]) -> None:
        """
        :param length: s, of the lease.
        :param told: takes what happened, to be applied to what is known; called in this thread.
        """
        super().__init__(name="lead", daemon=True)
        self._seat, self._length, self._told = seat, length, told
        self._within = length / 2
        self._hurry, self._over = threading.Event(), threading.Event()
        self._aside_due = 0.0

    def hurry(self) -> None:
        """Look at once: the leader may be gone."""
        self._hurry.set()

    def end(self, within: float) -> None:
        self._over.set()
        self._hurry.set()
        self.join(within)

    def run(self) -> None:
        warm_from = now() + WARM_AFTER
        while not self._over.is_set():
            self._seat.warm = now() >= warm_from
            try:
                pause = self._step()
                self._stand_aside()
            except (etcd.EtcdError, KeyError, ValueError, TypeError) as error:
                why = str(error)
                self._told(lambda leading, why=why: leading.failed(why))  # type: ignore[misc]
                pause = self._length / 8
            self._hurry.wait(pause)
            self._hurry.clear()
        with contextlib.suppress(etcd.EtcdError):
            self._seat.leave(self._within)

    def _stand_aside(self) -> None:
        if not self._seat.ours:
            self._aside_due = now() + ASIDE_AFTER
        elif now() >= self._aside_due:
            self._aside_due = now() + ASIDE_AGAIN
            # It may not be allowed to, or not be there: then a loss of this machine is noticed later. Not longer than a
            # pause between two rounds, which keep the lease.
            with contextlib.suppress(etcd.EtcdError, KeyError, TypeError, ValueError):
                self._seat.stand_aside(self._length / 4)

    def _step(self) -> float:
        round_, answer = step(bool(self._seat.lease), now, self._told), None
        while True:
            try:
                verb = round_.send(answer)
            except StopIteration as over:
                return float(over.value)
            answer = getattr(self._seat, verb)(self._within)
