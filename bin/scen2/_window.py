# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the windows of a console: their picture of the item's services, and a Tk window when there is a display.

The bus stores no messages for clients that are away: after each gap, and when another server begins to speak, a window
asks for the state again.
"""

import os
import time

import _program
import _service


class Remote:
    """The item's services as seen through the local bus."""

    def __init__(self) -> None:
        self.service = _service.Service()
        self.item = self.service.world.item
        self.reading = {}
        self.statistics = {}
        self.history = []  # [[at, temperature], ...]
        self.speaker = ""  # "scen2_srv_02@server_1 epoch 7"; empty: nobody speaks
        self.on_reading = None  # called after each reading
        self._heard = time.monotonic()
        self.service.follow_config()
        self._config_asked = self.service.bus.on_connect
        self.service.listen("sensors.reading", self._take_reading)
        self.service.listen("results.statistics", self._take_statistics)

    def run(self, window=None, refresh=None) -> None:
        """For ever, or until the window is closed. refresh(): called some times a second."""

        def look() -> None:
            self._notice_silence()
            if refresh is not None:
                refresh()

        if window is None:
            self.service.run(idle=look)
            return

        def pump() -> None:
            self.service.bus.step(0.0)
            look()
            window.after(50, pump)

        pump()
        window.mainloop()

    @property
    def heading(self) -> str:
        return "item %s: %s" % (self.item, self.speaker or "the services are not reachable")

    def _take_reading(self, reading: dict, _reply: str) -> None:
        self._heard = time.monotonic()
        speaker = "%(instance)s@%(host)s epoch %(epoch)s" % reading["source"]
        if speaker != self.speaker:
            _program.log("item %s: services of %s" % (self.item, speaker))
            self.speaker = speaker
            self._config_asked()
            self.service.ask("state.get", self._take_state)
        self.reading = reading
        self.history = [*self.history[-59:], [reading["at"], reading["temperature"]]]
        if self.on_reading is not None:
            self.on_reading()

    def _take_statistics(self, statistics: dict, _reply: str) -> None:
        self.statistics = statistics

    def _take_state(self, state: dict) -> None:
        self.statistics = state["statistics"]
        if state["history"]:
            self.history = state["history"]

    def _notice_silence(self) -> None:
        if time.monotonic() - self._heard > 1.0 + 3 * self.service.config["period"]:
            if self.speaker or not self.reading:
                _program.log("item %s: services not reachable, nothing heard of them" % self.item)
            self.speaker = ""
            self._heard = float("inf")  # said once


def open_window(title: str):
    """A Tk window, or None where there is no display: then the program writes plain text to its log."""
    if not os.environ.get("DISPLAY"):
        return None
    try:
        import tkinter

        window = tkinter.Tk()
    except Exception as error:  # ImportError, or TclError of a module that could not be imported
        _program.log("no window on display %s, plain text instead: %s" % (os.environ["DISPLAY"], error))
        return None
    window.title(title)
    return window
