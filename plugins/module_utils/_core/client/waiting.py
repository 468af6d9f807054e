# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees while a request is under way: what has happened so far, and what goes on after Ctrl-C."""

from __future__ import annotations

import sys
import time
from typing import Any, Dict, List, Mapping, Optional

from ..model.asked import subject
from ..model.sentences import duration, listing
from ..report import story
from . import api, terminal

Json = Dict[str, Any]
LIVE_AFTER, LINES_AFTER = 2.0, 10.0  # s, on a terminal and elsewhere: what is done sooner needs no words
APART = 1.0  # s between two looks
MOST = 200  # entries of one look


class Waiting:
    """One request. `began` before it is sent, then `turn` again and again, `end` at last."""

    def __init__(self, remote: api.Remote, body: Mapping[str, Any], stream: Optional[Any] = None) -> None:
        self._remote = remote
        self._subject = subject(body)
        self._stream = stream or sys.stderr
        self._live = bool(self._stream.isatty())
        self._since = time.monotonic()
        self._after: Optional[int] = None
        self._shown = False
        self.happened: Dict[str, str] = {}  # instance or host -> what happened to it last

    def began(self) -> None:
        """Note where the trail ends."""
        self._since = time.monotonic()
        try:
            self._after = int(self._remote.get("/events", limit=1)["last"])
        except (api.Lost, api.Late, api.Refused):
            self._after = None  # the request itself will tell

    def turn(self) -> None:
        """Show what is new."""
        seconds = time.monotonic() - self._since
        if seconds < (LIVE_AFTER if self._live else LINES_AFTER):
            return
        entries = self._news()
        if self._live:
            terminal.overwrite(self._stream, self.line(seconds))
            self._shown = True
            return
        if not self._shown:
            self._stream.write("%s is under way\n" % self._subject)
            self._shown = True
        for entry in entries:
            self._stream.write(story.line(entry, time.time(), instance=True) + "\n")
        self._stream.flush()

    def line(self, seconds: float) -> str:
        """How far it is, in one line."""
        parts = ["%s: %s" % (self._subject, duration(int(seconds)))]
        if self.happened:
            name, what = list(self.happened.items())[-1]
            parts.append("%d acted on, last %s: %s" % (len(self.happened), name, what))
        return "; ".join(parts)

    def end(self) -> None:
        """Take the line away."""
        if self._live and self._shown:
            terminal.overwrite(self._stream, "")
            self._shown = False

    def interrupted(self) -> str:
        """What goes on although nobody waits for it, as a sentence."""
        self._news()
        done = ["%s (%s)" % each for each in self.happened.items()]
        back = "; muster withdraw %s takes it back while it waits" % self._remote.asked
        return "interrupted after %s; the monitor goes on with %s. So far: %s. muster status shows the rest%s" % (
            duration(int(time.monotonic() - self._since)), self._subject, listing(done, most=8) if done else "nothing",
            back if self._remote.asked and not done else "")

    def _news(self) -> List[Json]:
        if self._after is None:
            return []
        try:
            entries: List[Json] = self._remote.get("/events", 5.0, after=self._after, limit=MOST)["events"]
        except (api.Lost, api.Late, api.Refused):
            return []
        for entry in entries:
            self._after = max(self._after, int(entry["id"]))
            name = entry.get("instance") or entry.get("host")
            if name:
                self.happened.pop(name, None)  # the last one comes last
                self.happened[name] = str(entry.get("result") or entry.get("what") or "")
        return entries
