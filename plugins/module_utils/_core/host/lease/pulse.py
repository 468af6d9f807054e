# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread of the guard that holds the lease and is the witness: it waits for the network only.

The guard itself writes files and logs, and so does the service manager around it: a disk that stands still for some
seconds stops both. It is no reason to end what the host runs, so the thread holds the lease meanwhile, for `PATIENCE`
at most: a host whose guard never comes back is of no use, and what it runs ends and is started elsewhere.

The kernel ends the guard at the deadline, but not while a disk holds it up, and then what is bound to it goes on: so
the thread kills that shortly before.
"""

from __future__ import annotations

import os
import select
import signal
import threading

from . import exchange, kernel, priority
from . import holder as lease_holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from .settings import Settings

PATIENCE = 30.0  # s for which the lease is held while the guard has no turn
_HURRY = 0.1  # s before the deadline at which what lives is killed
_AGAIN = 0.02  # s until it is done again: something may have been about to start
_LONGEST = 1.0  # s without a turn: the settings may have changed


class Pulse:
    """What the thread and the guard share. Use it under its `lock`, and do nothing that waits while you hold that."""

    def __init__(
        self, settings: Settings, keeper: lease_holder.Keeper, deadline: kernel.Deadline, kill: Callable[[], None]
    ) -> None:
        """:param kill: ends everything that needs the lease, at once, and uses no file for it."""
        now = kernel.now()
        self.lock = threading.Lock()
        self.exchange = exchange.Exchange(settings, now)
        self.off = False  # no lease is needed
        self._keeper, self._deadline, self._kill = keeper, deadline, kill
        self._guarded = now  # when the guard had its last turn
        self._alarm = kernel.Alarm()
        reader, writer = os.pipe()
        self.descriptor = kernel.above(reader)  # readable when the guard should have a turn
        self._waking = kernel.above(writer)
        for end in (reader, writer):
            os.close(end)
        for end in (self.descriptor, self._waking):
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin. Signals go on to whom they are for: the thread has inherited that they are not for it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def guarded(self, now: float) -> None:
        """The guard has a turn."""
        self._guarded = now

    def take(self) -> None:
        """Forget that the guard was woken."""
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            return

    def beat(self, now: float) -> float:
        """One turn, under the lock. :return: when the next one is due."""
        if self.off:
            return now + _LONGEST
        due = self.exchange.turn(now)
        until, keeper = self.exchange.holder.until(), self._keeper
        longer = until is not None and until > max(keeper.deadline, now)
        if keeper.state != lease_holder.HELD:
            if longer or self.exchange.holder.refusing:
                self._wake()
        elif until is not None and longer and now <= self._guarded + PATIENCE:
            self._deadline.set(until)
            keeper.deadline = until
        due = min(due, now + _LONGEST)
        if keeper.state == lease_holder.NONE:
            return due
        last = keeper.deadline - _HURRY
        return min(due, last if last > now else now + _AGAIN)

    def late(self, now: float) -> bool:
        """Whether what lives has to be killed now."""
        return not self.off and self._keeper.state != lease_holder.NONE and now >= self._keeper.deadline - _HURRY

    def _wake(self) -> None:
        try:
            os.write(self._waking, b"1")
        except BlockingIOError:
            return  # it has been woken often enough

    def _run(self) -> None:
        priority.raise_it(lambda _unused: None, lock=False)  # a thread does not inherit it
        poll = select.poll()
        poll.register(self._alarm.descriptor, select.POLLIN)
        known: Optional[int] = None
        while True:
            with self.lock:
                now = kernel.now()
                try:
                    due = self.beat(now)
                except OSError:
                    due = now + _LONGEST  # a timer that cannot be set: the former deadline stands
                late, found = self.late(now), self.exchange.descriptor()
            if late:
                self._kill()
            if found != known:
                for descriptor in _only(known):
                    poll.unregister(descriptor)
                for descriptor in _only(found):
                    poll.register(descriptor, select.POLLIN)
                known = found
            self._alarm.set(max(due, now + 0.001))
            poll.poll()
            self._alarm.take()


def _only(descriptor: Optional[int]) -> List[int]:
    return [] if descriptor is None else [descriptor]
