# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's side of leases: it has the witnesses refuse a host, and knows when nothing of that host can live.

``run/fences.json`` tells runs on the controller, until when each fence certainly stands: they free the claims of a host
that nobody sees only while it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..base import commands
from ..base.files import Stamp, file_stamp, replace_text
from ..core.controller import places
from ..core.host.lease import kernel, messages
from ..core.host.lease.terms import Terms
from ..core.model.sentences import clock
from ..core.model.text import printable
from ..judge.effects import Fence as Order
from .fence import Fence, Talk

POWER_AGAIN_SECONDS = 5.0  # until a power fence that failed is run again
STANDS_SECONDS = 5.0  # for which a proof that a host is off stands, after it was published last
EVERY_SECONDS = 0.1  # between two looks at what is due, while a host is fenced
LATER_SECONDS = 10.0  # after which witnesses that are silent are no longer asked that often
_ADDRESSES = (socket.AF_INET, socket.AF_INET6)


class Fences:
    """Belongs to the asyncio loop that it was made in; does nothing while no host is fenced."""

    def __init__(self, state_dir: Path, say: Callable[[str, str], None], changed: Callable[[str, str], None]) -> None:
        """
        :param say: takes a host and a sentence for the log.
        :param changed: takes a host, and the sentence when nothing of it can live any more, "" when that is over.
        """
        self._file, self._published = state_dir / places.LEASE_FILE, state_dir / places.FENCES_FILE
        self._say, self._changed = say, changed
        self._loop = asyncio.get_running_loop()
        self._stamp: Stamp | None = None
        self._known: Mapping[str, Any] = {}
        self._keys = messages.Keys()
        self._fences: dict[str, Fence] = {}
        self._begun: dict[str, float] = {}  # host -> when
        self._free: dict[str, str] = {}  # host -> the sentence
        self._talk = Talk(time.time_ns())
        self._number: Callable[[], int] = time.time_ns  # of the next fence
        self._sockets: dict[int, socket.socket] = {}  # family -> socket
        self._timer: asyncio.TimerHandle | None = None
        self._written: dict[str, float] = {}
        self._off: dict[str, str] = {}  # host -> the sentence that it is proven to be off
        self._power: dict[str, asyncio.Task[None]] = {}  # host -> its power fence
        with contextlib.suppress(OSError):
            self._published.unlink(missing_ok=True)

    def do(self, order: Order) -> None:
        """Have the witnesses do something about a host. Idempotent."""
        host, known = order.host, self._fences.get(order.host)
        if order.what != "fence" and host in self._power:
            self._power.pop(host).cancel()
            self._off.pop(host, None)
        if order.what == "rest":
            self._fences.pop(host, None)
            self._told(host, "")
            return
        lift = order.what == "lift"
        if known is not None and known.lift == lift:
            return
        self._say(host, "%s: %s" % (order.what, order.why))
        self._read()
        sets = [[name for name, _address, _port in chosen] for chosen in self._known.get("sets") or ()]
        if not sets:
            self._say(host, "it cannot be fenced: %s names no witnesses, deploy again" % self._file)
            return
        terms = Terms(self._known["length"], self._known["margin"], self._known["error"])
        self._fences[host] = Fence(host, self._number(), sets, terms, lift)
        self._begun[host] = kernel.now()
        self._told(host, "")
        if not lift and host in (self._known.get("power") or {}).get("hosts", {}):
            self._power[host] = self._loop.create_task(self._prove_off(host, dict(self._known["power"])))
        self._turn()

    async def _prove_off(self, host: str, power: Mapping[str, Any]) -> None:
        """Run the power fence until it succeeds."""
        while True:
            began = time.time()
            try:
                ended = await commands.run(
                    power["command"], power["hosts"][host], float(power["timeout"]), self._file.parent)
            except OSError as error:
                ended = commands.Ended("it cannot be started: %s" % (error.strerror or error), "")
            if not ended.why:
                break
            said = ": %s" % printable(ended.said.splitlines()[-1]) if ended.said else ""
            self._say(host, "its power fence did not prove that it is off: %s%s" % (ended.why, said))
            await asyncio.sleep(POWER_AGAIN_SECONDS)
        now = time.time()
        self._off[host] = "%s is off, its power fence proved at %s.%d, after %.1f s" % (
            host, clock(now, now, True), now * 10 % 10, now - began)
        self._turn()

    def lead(self, first: int) -> None:
        """This monitor begins to lead: what it says counts above all that others said before, whatever their clocks.

        :param first: number of its first message.
        """
        self._talk, self._number = Talk(first), itertools.count(first).__next__

    def forget(self) -> None:
        """Another monitor cares for the fences from now on."""
        self._fences.clear()
        self._free.clear()
        self._turn()

    def stop(self) -> None:
        for task in self._power.values():
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for made in self._sockets.values():
            self._loop.remove_reader(made.fileno())
            made.close()
        self._sockets.clear()

    def _read(self) -> None:
        """Take in the site's key and witnesses."""
        stamp = file_stamp(self._file)
        if stamp == self._stamp:
            return
        try:
            self._known = json.loads(self._file.read_text(encoding="utf-8"))
            self._keys = messages.Keys([bytes.fromhex(key) for key in self._known["keys"]])
            self._stamp = stamp
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._say("", "%s cannot be read: %r" % (self._file, error))

    def _turn(self) -> None:
        """Ask what is due, tell what follows, and come back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = kernel.now()
        for host, fence in list(self._fences.items()):
            for witness, body in self._talk.due(fence, now, now - self._begun[host] < LATER_SECONDS):
                self._send(witness, body)
            if fence.lift and not fence.missing():
                del self._fences[host]  # every witness answers it again
                continue
            self._told(host, self._sentence(host, fence, now))
        self._publish(now)
        if self._fences:
            self._timer = self._loop.call_later(EVERY_SECONDS, self._turn)

    def _sentence(self, host: str, fence: Fence, now: float) -> str:
        """That nothing of a host can live; "" while that is not known."""
        if host in self._off:
            return self._off[host]
        if not fence.free(now):
            return ""
        ended = time.time() - (now - (fence.free_at(now) or now))
        return "%s is fenced, its lease ended at %s.%d" % (host, clock(ended, time.time(), True), ended * 10 % 10)

    def _told(self, host: str, sentence: str) -> None:
        before = self._free.pop(host, "")
        if sentence:
            self._free[host] = before or sentence
        if bool(before) != bool(sentence):
            self._changed(host, sentence)

    def _publish(self, now: float) -> None:
        standing = {
            host: now // 1 + STANDS_SECONDS if host in self._off else round(self._fences[host].stands_until(now), 3)
            for host in self._free
        }
        if standing == self._written:
            return
        self._written = standing
        try:
            replace_text(self._published, json.dumps({"until": standing}))
        except OSError as error:
            self._say("", "%s cannot be written: %s" % (self._published, error))

    def _send(self, witness: str, body: Mapping[str, Any]) -> None:
        where = next(
            ((address, port) for chosen in reversed(self._known["sets"]) for name, address, port in chosen
             if name == witness), None)  # fmt: skip
        sending = self._keys.sending(messages.MONITOR)
        if where is None or sending is None:
            return
        data = messages.seal(*sending, messages.MONITOR, dict(body, s=self._known["site_id"], t=witness))
        with contextlib.suppress(OSError):  # no way there now: it is asked again
            self._socket(_ADDRESSES[":" in where[0]]).sendto(data, where)

    def _socket(self, family: int) -> socket.socket:
        made = self._sockets.get(family)
        if made is None:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setblocking(False)
            self._sockets[family] = made
            self._loop.add_reader(made.fileno(), self._receive, made)
        return made

    def _receive(self, made: socket.socket) -> None:
        try:
            data = made.recv(messages.LARGEST + 1)
        except OSError:
            return
        shown = messages.envelope(data)
        key = self._keys.key(shown[0], messages.MONITOR) if shown is not None else None
        if shown is None or key is None:
            return
        body = messages.open_sealed(data, key, str(self._known["site_id"]), messages.MONITOR)
        if body is None:
            return
        fence = self._fences.get(str(body.get("h") or ""))
        if self._talk.heard(shown[1], body, fence, kernel.now()):
            for other in self._fences.values():
                other.hurry()
        if self._fences:
            self._turn()
