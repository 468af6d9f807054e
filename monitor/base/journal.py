# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of the daemon: one JSON object per line, to standard error or to a file that is rotated by size."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import IO, Any

FILE_BYTES = 5_000_000  # at which a log file becomes FILE.1
REPEATED_AFTER_SECONDS = 600.0  # until a defect that comes up again is written again; it is counted each time


class Journal:
    """Every line has `at` (seconds since 1970), `event` and what belongs to it; `why` is a sentence for people."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.counts: Counter[tuple[str, str]] = Counter()  # lines by event and cause, for the metrics
        self.last = ""  # the last sentence
        self.defect = ""  # the last defect of the monitor itself, a sentence; "" while there was none
        self._written: dict[tuple[str, ...], float] = {}  # defect -> when it was written, monotonic
        self._stream: IO[str] = sys.stderr
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("a", encoding="utf-8", buffering=1)

    def say(self, event: str, why: str = "", **facts: Any) -> None:
        self.counts[event, str(facts.get("cause") or "")] += 1
        self.last = "%s: %s" % (event, why) if why else event
        line: dict[str, Any] = {"at": round(time.time(), 3), "event": event}
        if why:
            line["why"] = why
        line.update(facts)
        try:
            print(json.dumps(line, default=str), file=self._stream, flush=True)
            if self._path is not None and self._stream.tell() > FILE_BYTES:
                self._rotate(self._path)
        except (OSError, ValueError):
            pass  # a full disk or a closed terminal must not stop the supervision

    def failed(self, what: str, error: BaseException) -> None:
        """Count an unexpected error that the monitor survives; write it with its traceback, at most every 10 min."""
        self.defect = "%s failed: %s: %s" % (what, type(error).__name__, error)
        frames = traceback.extract_tb(error.__traceback__)[-1:]
        key = (what, type(error).__name__, *("%s:%s" % (frame.filename, frame.lineno) for frame in frames))
        now = time.monotonic()
        if now - self._written.get(key, -REPEATED_AFTER_SECONDS) < REPEATED_AFTER_SECONDS:
            self.counts["error", ""] += 1
            return
        if len(self._written) >= 100:
            self._written.clear()
        self._written[key] = now
        self.say("error", self.defect, traceback="".join(traceback.format_exception(error)))

    def _rotate(self, path: Path) -> None:
        """Continue in a new file. :raises OSError: if no file can be opened; the old file stays in use."""
        fresh = path.with_name(path.name + ".new")
        stream = fresh.open("w", encoding="utf-8", buffering=1)
        try:
            with contextlib.suppress(FileNotFoundError):  # it was moved away already
                os.replace(path, path.with_name(path.name + ".1"))
            os.replace(fresh, path)
        except OSError:
            stream.close()
            raise
        old, self._stream = self._stream, stream
        with contextlib.suppress(OSError):  # what it still held back is lost
            old.close()
