# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by services and windows of scen2: JSON messages on the internal bus, and a loop that does work on time.

Subjects on an internal bus (one bus per item, so the item is not part of them):

- ``sensors.reading`` {"at", "temperature", "cpu", "memory", "source"}: each period
- ``results.statistics`` {"at", "temperature", "mean", "min", "max", "count", "alarm", "source"}: after each reading
- ``state.get`` -> {"statistics", "history": [[at, temperature], ...], "source"}: for who joins late or again
- ``config.get`` -> {"config", "source"}; ``config.set`` {"name", "value"} -> {"config"} or {"error"}
- ``config.changed`` {"config", "source"}

`source` is {"instance", "host", "epoch"} of who says it. Times are seconds since 1970.
"""

import json
import os
import time

import _bus
import _program


def pack(message: dict) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


class Service:
    """A program on its item's internal bus."""

    def __init__(self) -> None:
        self.world = _program.begin()
        self.settings = json.loads(self.world.settings)
        self.config = dict(self.settings["config"])
        world = self.world
        unique = "%s-%s-%d" % (_bus.token(world.program), _bus.token(world.host), os.getpid())
        self.bus = _bus.Bus([(world.address, world.port)], unique, _program.log)
        self.unique = unique
        self.config_source = {}

    def listen(self, subject: str, handler) -> None:
        """handler(message: dict, reply: str); a message that it does not understand is logged and left."""
        self.bus.subscribe(subject, _guarded(subject, handler))

    def say(self, subject: str, message: dict) -> bool:
        return self.bus.publish(subject, pack({**message, "source": self.world.source}))

    def ask(self, subject: str, handler, message: dict | None = None) -> None:
        """handler(answer: dict) when there is one."""
        self.bus.request(subject, pack(message or {}), _guarded(subject, lambda answer, _reply: handler(answer)))

    def follow_config(self) -> None:
        """Keep `config` as config_manager has it."""

        def take(message: dict, _reply: str = "") -> None:
            if message["config"].keys() != self.config.keys() or not message["config"]["period"] > 0:
                raise ValueError("not the settings of an item")
            self.config = message["config"]
            self.config_source = message["source"]

        self.listen("config.changed", take)
        self.bus.on_connect = lambda: self.ask("config.get", take)

    def run(self, work=None, idle=None) -> None:
        """Handle messages for ever; call work() every `config["period"]` s and idle() at least every 0.2 s."""
        due = time.monotonic()
        while True:
            wait = 0.2
            if work is not None:
                now = time.monotonic()
                if now >= due:
                    work()
                    due = max(due + self.config["period"], now)
                wait = min(wait, max(0.001, due - time.monotonic()))
            self.bus.step(wait)
            if idle is not None:
                idle()


def _guarded(subject: str, handler):
    """Call a handler; a message that it cannot handle is logged, and the program continues."""

    def take(payload: bytes, reply: str) -> None:
        try:
            handler(json.loads(payload or b"{}"), reply)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            _program.log("%s: message not understood: %s: %s" % (subject, type(error).__name__, error))

    return take
