# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host at work, and the witness beside it: one socket, one alarm, and what `holder` decides.

It runs inside the process whose death ends what the host runs. That process waits for `descriptors` and calls `turn`
when one of them is readable.
"""

from __future__ import annotations

import os
import socket

from ..alone.launch import Launcher
from ..machine import files
from . import allowed, kernel, messages, settings
from . import holder as lease_holder
from .witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

_AT_ONCE = 200  # datagrams in one turn: the service manager has other work, too
_SOON = 0.05  # s between two looks at what is being stopped
_FIRST = 30.0  # s that what runs has to get a lease where there were none before
_REOPEN = 1.0  # s until a socket that could not be opened is tried again


class Post:
    """The guard and the witness of one host."""

    def __init__(
        self, root: str, lives: Callable[[], bool], stop: Callable[[float], None], say: Callable[[str], None],
        parent: int,
    ) -> None:
        """
        :param lives: whether any process of an instance lives on the host.
        :param stop: end every instance; called again until nothing lives, with the seconds that are left.
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
        now = kernel.now()
        # A number of this life: above those of all earlier ones, as time goes on.
        first = int(now * 1e6)
        self._holder = lease_holder.Holder(found.terms, list(found.witnesses), first)
        # Hosts get their first guard one after the other, and a witness is silent at first.
        new = allowed.is_new(root)
        self._keeper = lease_holder.Keeper(found.terms, now, _FIRST if new else 0.0)
        self._token = os.urandom(8).hex()
        self._witness: Optional[Witness] = None
        self._socket: Optional[socket.socket] = None
        self._next_question = self._next_try = 0.0
        self._allowed = -1.0
        self._off = False
        self._launcher = Launcher(root, say)
        self.dropped: Dict[str, int] = {"foreign": 0, "malformed": 0}
        if found.is_witness:
            self._be_witness()
        self._allow(0.0)
        self.turn()

    def descriptors(self) -> List[int]:
        """What to wait for; may differ after each turn."""
        return [self._alarm.descriptor] + ([self._socket.fileno()] if self._socket is not None else [])

    def turn(self) -> None:
        """Take in what arrived, do what is due, and set the alarm for what comes next."""
        self._alarm.take()
        self._alarm.set(kernel.now() + self._settings.terms.interval)  # whatever fails below
        self._reread()
        now = kernel.now()
        if self._off:
            self._alarm.set(now + _REOPEN)
            return
        if self._socket is None and now >= self._next_try:
            self._open(now)
        self._receive()
        now = kernel.now()
        if now >= self._next_question:
            self._next_question = now + self._settings.terms.interval
            for witness, body in self._holder.questions(now):
                self._ask(witness, body)
        self._keep(now)
        if self._keeper.state == lease_holder.HELD:
            self._launcher.turn(now, self._settings.alone)

    def _keep(self, now: float) -> None:
        """Do what follows from the lease as it is."""
        keeper = self._keeper
        before, keeper.refused = keeper.state, bool(self._holder.refusing)
        step = keeper.step(now, self._holder.until(), keeper.state != lease_holder.HELD and self._lives())
        if step.arm is not None:
            self._deadline.set(step.arm)  # before anything may start under it
        if step.allow is not None:
            try:
                self._allow(step.allow)
            except OSError as error:  # the disk is full: what runs goes on, and nothing starts
                self._say("nothing may start: %s" % error)
        if keeper.state != before:
            self._tell(before, now)
        if step.stop:
            self._stop(max(0.0, keeper.deadline - now))
        due = [self._next_question]
        if keeper.state == lease_holder.HELD:
            due.append(keeper.deadline - keeper.terms.margin)
        elif step.stop or keeper.state == lease_holder.STOPPING:
            due.append(now + _SOON)
        self._alarm.set(max(min(due), now + 0.001))

    def _tell(self, before: str, now: float) -> None:
        state = self._keeper.state
        if state == lease_holder.HELD:
            self._say("this host holds a lease (%s)" % self._session())
        elif state == lease_holder.STOPPING:
            why = "it is fenced" if self._holder.refusing else "no majority of the witnesses answers"
            self._say("the lease ends in %.1f s (%s): every instance is stopped" % (self._keeper.deadline - now, why))
        elif before == lease_holder.STOPPING:
            self._say("the lease is over, and nothing that needed it runs")

    def _session(self) -> str:
        return "%s-%d" % (self._token, self._keeper.sessions)

    def _allow(self, until: float) -> None:
        if until != self._allowed:
            allowed.allow(self._root, until, self._session(), self._parent,
                          self._holder.witnesses)
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
        if self._off and found is not None:
            self._keeper.wait(kernel.now() + _FIRST)
        self._off = found is None
        if found is None:
            self._say("no lease is needed here any more")
            self._keeper.state, self._keeper.deadline, self._allowed = lease_holder.NONE, 0.0, -1.0
            self._deadline.set(0.0)
            files.remove(os.path.join(self._root, allowed.ALLOWED_FILE))
            return
        if found.address != self._settings.address and self._socket is not None:
            self._socket.close()
            self._socket = None
        self._settings = found
        self._holder.terms = self._keeper.terms = found.terms
        self._holder.follow(list(found.witnesses))
        if self._witness is not None:
            self._witness.terms = found.terms
            self._witness.longest = max(self._witness.longest, found.longest, found.terms.length)

    # Datagrams.

    def _open(self, now: float) -> None:
        made = socket.socket(socket.AF_INET6 if ":" in self._settings.address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.bind(self._settings.address)
        except OSError as error:
            made.close()
            if not self._next_try:
                self._say("no lease: %s port %d cannot be used (%s)" % (*self._settings.address, error.strerror))
            self._next_try = now + _REOPEN
            return
        with made:
            self._socket = socket.socket(fileno=kernel.above(made.fileno()))
        self._socket.setblocking(False)

    def _receive(self) -> None:
        for _unused in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                data, sender = self._socket.recvfrom(messages.LARGEST + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an earlier datagram found nobody
            self._take(data, sender)

    def _take(self, data: bytes, address: Any) -> None:
        shown = messages.envelope(data)
        if shown is None:
            self.dropped["malformed"] += 1
            return
        name, sender = shown
        # An answer is under this host's own key, a question under that of who asks.
        own = self._settings.own.key(name, self._settings.host)
        body = messages.open_sealed(data, own, self._settings.site, self._settings.host) if own else None
        if body is not None and body["k"] in ("yes", "no", "born"):
            more = self._holder.heard(sender, body, kernel.now())
            if more is not None:
                self._ask(sender, more)
            return
        key = self._settings.masters.key(name, sender)
        body = messages.open_sealed(data, key, self._settings.site, self._settings.host) if key else None
        if key is None or body is None:
            self.dropped["foreign"] += 1
            return
        answer = self._be_witness().handle(sender, body, sender == messages.MONITOR, kernel.now())
        if answer is not None:
            self._send(name, key, dict(answer, s=self._settings.site, t=sender), address)

    def _be_witness(self) -> Witness:
        if self._witness is None:
            birth = int.from_bytes(os.urandom(6), "big") + 1
            self._witness = Witness(self._settings.terms, kernel.now(), birth, self._settings.longest)
        return self._witness

    def _ask(self, witness: str, body: Mapping[str, Any]) -> None:
        sending = self._settings.own.sending(self._settings.host)
        where = self._settings.witnesses.get(witness)
        if sending is not None and where is not None:
            self._send(*sending, dict(body, s=self._settings.site, t=witness), where)

    def _send(self, name: bytes, key: bytes, body: Mapping[str, Any], address: Tuple[str, int]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(messages.seal(name, key, self._settings.host, body), address)
        except OSError:
            return  # no way there now; it is asked again
