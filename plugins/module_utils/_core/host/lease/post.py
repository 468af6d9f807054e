# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host at work: what it does about the lease that it holds, or does not.

It runs inside the process whose death ends what the host runs. That process waits for `descriptors` and calls `turn`
when one of them is readable. What must not wait for that process, or for a disk, is in the thread of `pulse`.
"""

from __future__ import annotations

import os

from ..alone.launch import Launcher
from ..machine import files
from . import allowed, kernel, pulse, settings
from . import holder as lease_holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Sequence

_SOON = 0.05  # s between two looks at what is being stopped
_SELDOM = 1.0  # s between two looks for settings where no lease is needed
_FIRST = 30.0  # s that what runs has to get a lease where there were none before


class Post:
    """The guard and the witness of one host."""

    def __init__(
        self, root: str, lives: Callable[[], bool], stop: Callable[[float], None], kill: Callable[[], None],
        say: Callable[[str], None], parent: int,
    ) -> None:
        """
        :param lives: whether any process of an instance lives on the host.
        :param stop: end every instance; called again until nothing lives, with the seconds that are left.
        :param kill: end every instance at once, from another thread, without any file.
        :param say: takes a sentence for the log.
        :param parent: whose children programs are; 0: not known.
        :raises OSError: when the system lacks what this needs.
        :raises ValueError: when the settings are damaged, or missing.
        """
        found = settings.read(root)
        if found is None:
            raise ValueError("%s has no settings for leases" % root)
        self._root, self._lives, self._stop, self._say, self._parent = root, lives, stop, say, parent
        self._stamp = settings.stamp(root)
        self._settings: settings.Settings = found
        self._deadline = kernel.Deadline()
        self._alarm = kernel.Alarm()
        # Hosts get their first guard one after the other, and a witness is silent at first.
        new = allowed.is_new(root)
        self._keeper = lease_holder.Keeper(found.terms, kernel.now(), _FIRST if new else 0.0)
        self._token = os.urandom(8).hex()
        self._allowed = -1.0
        self._problem = ""  # why there is no socket, as it was told last
        self._launcher = Launcher(root, say)
        self._pulse = pulse.Pulse(found, self._keeper, self._deadline, kill)
        self._allow(0.0)
        self._pulse.start()
        self.turn()

    def descriptors(self) -> List[int]:
        """What to wait for; the same for as long as this lives."""
        return [self._alarm.descriptor, self._pulse.descriptor]

    def turn(self) -> None:
        """Do what is due, and set the alarm for what comes next."""
        self._alarm.take()
        self._pulse.take()
        self._alarm.set(kernel.now() + self._settings.terms.interval)  # whatever fails below
        self._reread()
        if self._pulse.off:
            self._alarm.set(kernel.now() + _SELDOM)
            return
        keeper = self._keeper
        lives = keeper.state != lease_holder.HELD and self._lives()
        with self._pulse.lock:
            now = kernel.now()
            self._pulse.guarded(now)
            holder, before = self._pulse.exchange.holder, keeper.state
            keeper.refused = bool(holder.refusing)
            step = keeper.step(now, holder.until(), lives)
            if step.arm is not None:
                self._deadline.set(step.arm)  # before anything may start under it
            witnesses, problem, deadline = holder.witnesses, self._pulse.exchange.problem, keeper.deadline
        left = deadline - now
        if keeper.state == lease_holder.HELD:
            self._try_to_allow(deadline - keeper.terms.margin, witnesses)
        elif step.allow is not None:
            self._try_to_allow(step.allow, witnesses)
        if keeper.state != before:
            self._tell(before, left)
        if problem != self._problem:
            self._problem = problem
            if problem:
                self._say(problem)
        if step.stop:
            self._stop(max(0.0, left))
        elif keeper.state == lease_holder.HELD:
            self._launcher.turn(now, self._settings.alone)
        due = now + keeper.terms.interval
        if keeper.state == lease_holder.HELD:
            due = min(due, deadline - keeper.terms.margin)
        elif step.stop or keeper.state == lease_holder.STOPPING:
            due = now + _SOON
        self._alarm.set(max(due, now + 0.001))

    def _tell(self, before: str, left: float) -> None:
        state = self._keeper.state
        if state == lease_holder.HELD:
            self._say("this host holds a lease (%s)" % self._session())
        elif state == lease_holder.STOPPING:
            why = "it is fenced" if self._keeper.refused else "no majority of the witnesses answers"
            self._say("the lease ends in %.1f s (%s): every instance is stopped" % (left, why))
        elif before == lease_holder.STOPPING:
            self._say("the lease is over, and nothing that needed it runs")

    def _session(self) -> str:
        return "%s-%d" % (self._token, self._keeper.sessions)

    def _try_to_allow(self, until: float, witnesses: Sequence[str]) -> None:
        try:
            self._allow(until, witnesses)
        except OSError as error:  # the disk is full: what runs goes on, and nothing starts
            self._say("nothing may start: %s" % error)

    def _allow(self, until: float, witnesses: Sequence[str] = ()) -> None:
        if until != self._allowed:
            allowed.allow(self._root, until, self._session(), self._parent, witnesses)
            self._allowed = until

    def _reread(self) -> None:
        """Take in settings that a deploy changed."""
        stamp = settings.stamp(self._root)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = settings.read(self._root)
        except (OSError, ValueError) as error:
            self._say(str(error))
            return
        with self._pulse.lock:
            if found is None:
                self._pulse.off = True
                self._pulse.exchange.close()
                self._keeper.state, self._keeper.deadline = lease_holder.NONE, 0.0
                self._deadline.set(0.0)
            else:
                if self._pulse.off:
                    self._keeper.wait(kernel.now() + _FIRST)
                self._pulse.off = False
                self._keeper.terms = found.terms
                self._pulse.exchange.follow(found)
        if found is None:
            self._say("no lease is needed here any more")
            self._allowed = -1.0
            files.remove(os.path.join(self._root, allowed.ALLOWED_FILE))
        else:
            self._settings = found
