# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon says: one JSON object per line, to standard error or to a file that is rotated by size."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

LARGEST = 5_000_000  # bytes of a log file before it becomes FILE.1


class Journal:
    """Every line has `at` (seconds since 1970), `event` and what belongs to it; `why` is a sentence for people."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.counts: Counter[tuple[str, str]] = Counter()  # lines by event and cause, for the metrics
        self.last = ""  # the last sentence
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
            if self._path is not None and self._stream.tell() > LARGEST:
                self._stream.close()
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
                self._stream = self._path.open("a", encoding="utf-8", buffering=1)
        except OSError:
            pass  # a full disk or a closed terminal must not stop the supervision
