# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of every program of scen2: its identity (MUSTER_*), settings, ordered faults, a log line."""

import os
import sys
import time

_NO_FAULTS = '{"faults": {},'  # how settings.json begins then


class World:
    """What muster tells a program. `settings` is the text of settings.json."""

    def __init__(self) -> None:
        environ = os.environ
        try:
            self.instance = environ["MUSTER_INSTANCE"]
            self.program = environ["MUSTER_PROGRAM"]
            self.item = environ["MUSTER_ITEM"]
            self.host = environ["MUSTER_HOST"]
            self.epoch = int(environ["MUSTER_EPOCH"])
            self.address = environ["MUSTER_ADDRESS"]
            self.port = int(environ["MUSTER_PORT_CLIENT"])
            self.etc = environ["MUSTER_ETC"]
        except KeyError as missing:
            fail("%s is not set: this program is started by muster" % missing.args[0], 78)
        self.slot = int(environ.get("MUSTER_SLOT", "0"))
        try:
            with open(self.etc + "/settings.json", encoding="utf-8") as handle:
                self.settings = handle.read()
        except OSError as error:
            fail("%s cannot be read: %s" % (error.filename, error.strerror), 78)

    def text_setting(self, name: str) -> str:
        """A plain string among the settings, without the cost of importing json (8 ms); empty when there is none."""
        return self.settings.partition('"%s": "' % name)[2].partition('"')[0]

    @property
    def source(self) -> dict:
        """Who says it, for messages on the bus."""
        return {"instance": self.instance, "host": self.host, "epoch": self.epoch}


def begin() -> World:
    """The world, after the faults ordered for this program were brought about."""
    world = World()
    if not world.settings.startswith(_NO_FAULTS):
        import _faults

        _faults.bring_about(world.program, world.settings)
    return world


def log(text: str) -> None:
    os.write(1, ("%s %s\n" % (time.strftime("%H:%M:%S"), text)).encode())


def fail(text: str, code: int) -> None:
    """End with a sentence: the last line on standard error is the reason that people are shown."""
    os.write(2, (text + "\n").encode())
    sys.exit(code)


class Complaint:
    """Says why a check still waits: a sentence when it changes, at most one a second."""

    def __init__(self) -> None:
        self._last = ""
        self._at = time.monotonic()  # the first second is nothing to complain about

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if text != self._last and now - self._at >= 1.0:
            self._last, self._at = text, now
            os.write(2, (text + "\n").encode())
