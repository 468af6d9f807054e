# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of people during the faults, through the command line."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass

from tests.integration.local_site import CONSOLES, ROOT, SERVERS
from tests.soak.world import CLOSED, EITHER, OPEN, SERVICES, WINDOWS, World

PATIENCE = 150.0  # s until a request must have been answered


@dataclass
class Request:
    """One command under way."""

    words: list[str]
    about: tuple[str, ...]
    process: subprocess.Popen[str]
    began: float
    answer: str = ""
    code: int | None = None

    @property
    def told(self) -> str:
        return "muster %s -> %s" % (" ".join(self.words), "no answer" if self.code is None else self.code)


class People:
    """Ask one thing at a time; what the answer promised is what the audit expects from then on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.request: Request | None = None

    def choose(self, rng: random.Random) -> list[str]:
        """The words of a random request that makes sense now."""
        world = self._world
        stopped = [name for name in SERVICES if world.wanted[name] != "started"]
        shown = [name for name in WINDOWS if world.shown[name] != CLOSED]
        kinds = ["open", "open", "open", "restart", "restart", "drain", *(["stop"] if len(stopped) < 2 else [])]
        kinds += ["start"] * 6 * len(stopped) + ["close"] * len(shown) + ["undrain"] * 6 * len(world.drained)
        kind = rng.choice(kinds)
        if kind == "open":
            name = rng.choice([name for name in world.showable() if name not in shown] or world.showable())
            return ["open", name.rpartition("_")[2], "--console", rng.choice(CONSOLES), "--reason", "a soak"]
        if kind == "close":
            return ["close", rng.choice(shown).rpartition("_")[2]]
        if kind == "drain" and not world.drained:
            return ["drain", rng.choice(SERVERS), "--reason", "a soak"]
        if kind == "undrain":
            return ["undrain", sorted(world.drained)[0]]
        if kind == "start":
            return ["start", rng.choice(stopped)]
        running = [name for name in SERVICES if name not in stopped]
        return ["stop" if kind == "stop" else "restart", rng.choice(running or stopped), "--reason", "a soak"]

    def ask(self, words: list[str]) -> Request:
        world = self._world
        verb, what = words[0], words[1]
        about: tuple[str, ...] = (what,)
        if verb in ("open", "close"):
            about = ("scen2_hci_" + what,)
            world.shown[about[0]] = EITHER
            if verb == "open":
                world.console.setdefault(about[0], words[3])
        elif verb in ("drain", "undrain"):
            about = SERVICES
        world.busy.update(about)
        process = subprocess.Popen(
            [str(ROOT / "bin" / "muster"), "--timeout", str(int(PATIENCE)), *words], cwd=ROOT, text=True,
            env=world.lab.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.request = Request(words, about, process, time.monotonic())
        return self.request

    def heard(self) -> str:
        """Wait for the answer and take it in; a sentence when there is none, or not what is in the ledger."""
        request, world = self.request, self._world
        self.request = None
        if request is None:
            return ""
        try:
            request.answer = request.process.communicate(timeout=PATIENCE + 30)[0]
        except subprocess.TimeoutExpired:
            request.process.kill()
            request.process.communicate()
            return "nobody answered: %s" % request.told
        request.code = request.process.returncode
        world.busy.difference_update(request.about)
        verb, name = request.words[0], request.about[0]
        # What was refused or failed half way is as the ledger has it; what was promised is promised.
        wanted = world.ledger("wanted").get(name, {}).get("state")
        if verb in ("start", "stop", "restart"):
            asked = "stopped" if verb == "stop" else "started"
            world.wanted[name] = asked if request.code == 0 and verb != "restart" else str(wanted)
        elif verb in ("open", "close"):
            self._windows(request, str(wanted))
        elif request.code == 0:
            host = request.words[1]
            (world.drained.add if verb == "drain" else world.drained.discard)(host)
        else:
            world.drained = {host for host in SERVERS if world.ledger("hosts")[host].get("state") == "drained"}
        return ""

    def _windows(self, request: Request, wanted: str) -> None:
        world, name = self._world, request.about[0]
        if request.words[0] == "close" or wanted != "started":
            if request.code == 0 or wanted != "started":
                world.closed(name)
            return
        if request.code and world.ledger("claims").get(name, {}).get("phase") == "failed":
            # Its services were out of reach. What had begun stays (`abort`); it says to open it again, or to close it.
            world.lab.muster("close", request.words[1])
            world.closed(name)
            return
        record = world.ledger("wanted")[name]
        world.console[name] = str(record.get("host") or request.words[3])
        # It was opened; a fault of this step may have closed it again, as it should.
        world.shown[name] = OPEN if request.code == 0 else EITHER
