# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether questions for leases and their answers travel, tried before a deploy changes anything.

What is sent is the first question of the protocol itself, between the ports that guards use: who does not know who the
witness is now is answered ``born``, and nothing else is done. A witness whose guard is at work answers by itself. On
one without a guard, a listener of its own answers; it ends when the controller says so, or when nobody speaks to it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import struct
import time

from ..machine import ports
from . import messages, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

    Address = Tuple[str, int]

LISTENS, ANSWERS, OURS, FREE, TAKEN = "listens", "answers", "ours", "free", "taken"
ASKED_SECONDS = 3.0  # for which a host asks
AGAIN_SECONDS = 0.15  # until it asks once more
QUIET_SECONDS = 30.0  # without a word of others, after which a listener ends
LONGEST_SECONDS = 600.0  # for which it lives
_LOCAL_SECONDS = 0.5  # until an answer from the host itself
_WHO, _END = b"who", b"end"  # orders to a listener: who answered you; end
_CREDENTIALS = struct.Struct("3i")  # process, user, group


def ways(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Listen where a guard will, or ask as a guard will.

    :param request: ``host``; ``lease``: see `host.lease.settings`; ``step``: "listen", or "ask" those of ``tried``.
    :return: ``{"port", "why"}``: who has the port; after "ask" also ``silent``: those that did not answer, and
        ``known``: the witnesses that the guard here asks already, where one is at work.
    """
    found = settings.Settings(dict(request["lease"], longest=request["lease"]["length"]))
    root = str(request["host"]["root"])
    return _listen(root, found) if request["step"] == "listen" else _ask(root, found, list(request["tried"]))


def _listen(root: str, found: settings.Settings) -> Dict[str, Any]:
    try:
        made = _bound(found.address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return _not_free(root, found)
        if _guard_answers(found):
            return {"port": ANSWERS}
        room = _ended_listener(found.address)
        if room is None:
            return _not_free(root, found)
        made = room
    with made, _control(found.address) as control:
        _in_background(made, control, found)
    return {"port": LISTENS}


def _ended_listener(address: Address) -> Optional[socket.socket]:
    """The port that a listener of an earlier trial had, which nobody could end; None: it has none."""
    if _told(address, _END) is None:
        return None
    until = time.monotonic() + _LOCAL_SECONDS
    while time.monotonic() < until:
        try:
            return _bound(address)
        except OSError:
            time.sleep(0.01)
    return None


def _ask(root: str, found: settings.Settings, tried: List[str]) -> Dict[str, Any]:
    try:
        made = _bound(found.address)
    except OSError:
        known = _guarded(root, found)
        if known is not None:
            return _beside_a_guard(found, known, tried)
        return _by_listener(root, found, tried)
    with made:
        return dict(_tried(Trial(made, found, tried)), port=FREE)


def _beside_a_guard(found: settings.Settings, known: settings.Settings, tried: List[str]) -> Dict[str, Any]:
    """The guard has the port, and asks the witnesses of the last deploy. Others are asked from another port."""
    same = {name for name, where in found.witnesses.items() if known.witnesses.get(name) == where}
    with _opened(found.address[0]) as made:
        answer = _tried(Trial(made, found, [name for name in tried if name not in same]))
    return dict(answer, port=OURS, known=sorted(same))


def _by_listener(root: str, found: settings.Settings, tried: List[str]) -> Dict[str, Any]:
    """This host is a witness, so a listener has the port: it is asked who answered it."""
    until = time.monotonic() + ASKED_SECONDS
    silent = sorted(tried)
    while silent and time.monotonic() < until:
        answered = _told(found.address, _WHO)
        if answered is None:
            return _not_free(root, found)
        silent = [name for name in silent if name not in answered]
        time.sleep(AGAIN_SECONDS / 3 if silent else 0.0)
    return {"port": LISTENS, "silent": silent}


def _not_free(root: str, found: settings.Settings) -> Dict[str, Any]:
    if _guarded(root, found) is not None:
        return {"port": OURS}
    return {"port": TAKEN, "why": ports.taken_for_datagrams(*found.address)}


def _guarded(root: str, found: settings.Settings) -> Optional[settings.Settings]:
    """The settings of the guard that has the port; None when it is not of muster."""
    try:
        known = settings.read(root)
    except (OSError, ValueError):
        return None
    return known if known is not None and known.address == found.address else None


def _bound(address: Address) -> socket.socket:
    made = _made(address[0])
    try:
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _opened(address: str) -> socket.socket:
    """A socket of this address, at any port."""
    return _bound((address, 0))


def _made(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(AGAIN_SECONDS)
    return made


def _guard_answers(found: settings.Settings) -> bool:
    """Whether the port belongs to a guard that witnesses under this key: it answers this host, too."""
    sending = found.own.sending(found.host)
    if sending is None or _told(found.address, _WHO) is not None:
        return False
    body = {"k": "ask", "n": 1, "b": 0, "s": found.site, "t": found.host}
    until = time.monotonic() + _LOCAL_SECONDS
    with _opened(found.address[0]) as made:
        while time.monotonic() < until:
            try:
                made.sendto(messages.seal(*sending, found.host, body), found.address)
                data = made.recv(messages.LARGEST + 1)
            except OSError:
                continue
            answer = messages.open_sealed(data, sending[1], found.site, found.host) if messages.envelope(data) else None
            if answer is not None and answer["k"] == "born":
                return True
    return False


def _control(address: Address) -> socket.socket:
    """Where a listener takes orders of its host: no firewall is in that way, and the kernel says whose they are."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    made.bind(_control_name(address))
    return made


def _control_name(address: Address) -> str:
    return "\0muster-ways-%s-%d" % address


def _told(address: Address, order: bytes) -> Optional[List[str]]:
    """Give an order to the listener that has this port.

    :return: the witnesses that answered it; None: there is no listener.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        made.settimeout(_LOCAL_SECONDS)
        try:
            made.bind("")  # any name
            made.sendto(order, _control_name(address))
            data, who, _unused = _received(made)
            found = json.loads(data.decode("utf-8")) if _is_ours(who) else None
        except (OSError, ValueError):
            return None
    return [str(name) for name in found] if isinstance(found, list) else None


def _received(made: socket.socket) -> Tuple[bytes, int, Any]:
    """A datagram, the user whose process sent it (-1: not known), and where to."""
    data, more, _flags, sender = made.recvmsg(65536, socket.CMSG_SPACE(_CREDENTIALS.size))
    for level, kind, content in more:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return data, int(_CREDENTIALS.unpack(content[: _CREDENTIALS.size])[1]), sender
    return data, -1, sender


def _is_ours(user: int) -> bool:
    return user in (0, os.geteuid())


class Trial:
    """Asks witnesses until each has answered, and answers those that ask, as a guard and its witness do."""

    def __init__(
        self, made: socket.socket, found: settings.Settings, tried: List[str], control: Optional[socket.socket] = None
    ) -> None:
        self._socket, self._settings, self._control = made, found, control
        self._wanted = [name for name in tried if name in found.witnesses]
        self._birth = int.from_bytes(os.urandom(6), "big") + 1
        self._answered: Set[str] = set()
        self._next = 0.0
        self.heard = time.monotonic()  # when somebody else spoke last
        self.over = False

    def silent(self) -> List[str]:
        return [name for name in self._wanted if name not in self._answered]

    def turn(self) -> None:
        """Ask if it is time, and take in what arrives soon."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + AGAIN_SECONDS
            self._ask()
        sources = [self._socket] + ([self._control] if self._control is not None else [])
        ready = select.select(sources, [], [], max(0.0, self._next - time.monotonic()))[0]
        try:
            if self._socket in ready:
                self._take(*self._socket.recvfrom(messages.LARGEST + 1))
            if self._control is not None and self._control in ready:
                self._obey(self._control)
        except OSError:  # an earlier datagram found nobody
            return

    def _obey(self, control: socket.socket) -> None:
        order, user, sender = _received(control)
        if _is_ours(user) and sender:
            self.heard = time.monotonic()
            self.over = self.over or order == _END
            control.sendto(json.dumps(sorted(self._answered)).encode("utf-8"), sender)

    def _ask(self) -> None:
        sending = self._settings.own.sending(self._settings.host)
        for name in self.silent():
            if sending is not None:
                self._send(*sending, {"k": "ask", "n": 1, "b": 0, "t": name}, self._settings.witnesses[name])

    def _take(self, data: bytes, address: Any) -> None:
        found, shown = self._settings, messages.envelope(data)
        if shown is None:
            return
        name, sender = shown
        own = found.own.key(name, found.host)
        body = messages.open_sealed(data, own, found.site, found.host) if own else None
        if own and body is not None and body["k"] == "born" and sender in found.witnesses:
            self._answered.add(sender)
            return
        key = found.masters.key(name, sender)
        body = messages.open_sealed(data, key, found.site, found.host) if key else None
        if key is None or body is None:
            return
        if sender != found.host:
            self.heard = time.monotonic()
        ends = body["k"] == "end" and sender == messages.MONITOR
        self.over = self.over or ends
        kind = "ended" if ends else "born"
        self._send(name, key, {"k": kind, "n": body["n"], "b": self._birth, "t": sender}, address)

    def _send(self, name: bytes, key: bytes, body: messages.Body, address: Address) -> None:
        data = messages.seal(name, key, self._settings.host, dict(body, s=self._settings.site))
        try:
            self._socket.sendto(data, address)
        except OSError:
            return  # no way there: it stays silent


def _tried(trial: Trial) -> Dict[str, Any]:
    until = time.monotonic() + ASKED_SECONDS
    while trial.silent() and time.monotonic() < until:
        trial.turn()
    return {"silent": trial.silent()}


def serve(trial: Trial) -> None:
    """Be a listener until an order ends it, or nobody speaks to it."""
    until = time.monotonic() + LONGEST_SECONDS
    while not trial.over and time.monotonic() < min(until, trial.heard + QUIET_SECONDS):
        trial.turn()


def _in_background(made: socket.socket, control: socket.socket, found: settings.Settings) -> None:
    """Serve in a process of its own, which keeps nothing open that belongs to who called."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        kept = sorted((made.fileno(), control.fileno()))
        for first, last in zip([2, *kept], [*kept, 4096]):
            os.closerange(first + 1, last)
        serve(Trial(made, found, list(found.witnesses), control))
    finally:
        os._exit(0)
