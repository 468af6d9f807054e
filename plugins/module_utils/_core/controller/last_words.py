# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs wrote last before a failure, kept in the state folder: a file for each failure, the newest ones.

They are read by people who look for the cause, and by no decision. So nothing here fails: a full disk costs the record.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from typing import Any, Dict, List, Mapping, Optional

from ..model.text import for_terminal
from .places import LAST_WORDS_FOLDER

Json = Dict[str, Any]
MOST = 300  # records
MOST_BYTES = 20 << 20  # of all of them
OLDEST_SECONDS = 30 * 86400.0
FACTS = ("id", "at", "instance", "epoch", "host", "program", "how", "core")
_LONGEST = 8000  # characters of a line
_ONCE = 100  # of one instance: one that fails again and again must not displace the others


def keep(state_dir: str, record: Mapping[str, Any]) -> str:
    """Keep a record: ``{"at", "instance", "epoch", "host", "program", "how", "core", "programs": {name: lines}}``.

    :return: its id; "" when it could not be written.
    """
    folder = os.path.join(state_dir, LAST_WORDS_FOLDER)
    name = "%013d-%d-%s" % (int(float(record["at"]) * 1000), int(record["epoch"]), record["instance"])
    if os.sep in name or "\0" in name:
        return ""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, name + ".json")
        new = path + ".new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
            json.dump(record, handle, separators=(",", ":"))
        os.replace(new, path)
        _prune(folder, str(record["instance"]))
    except OSError:
        return ""
    return name


def keep_failed(state_dir: str, run: str, answers: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """Keep what hosts sent with starts that failed. :return: ids."""
    found = []
    for host, answer in answers.items():
        for instance, result in (answer.get("results") or {}).items():
            words = result.get("words")
            if result.get("result") == "failed" and isinstance(words, Mapping):
                failed = result.get("failed") or {}
                record = {"at": float(answer.get("began") or time.time()), "instance": instance, "host": host,
                          "epoch": int(result.get("epoch") or 0), "program": next(iter(failed), ""),
                          "how": result.get("reason") or "", "core": str(words.get("core") or ""),
                          "programs": lines_of(words.get("programs")), "run": run}  # fmt: skip
                found.append(keep(state_dir, record))
    return [name for name in found if name]


def listed(state_dir: str, instance: str = "", most: int = 20) -> List[Json]:
    """The newest records without their lines, the newest first."""
    found: List[Json] = []
    for name in sorted(_names(os.path.join(state_dir, LAST_WORDS_FOLDER)), reverse=True):
        if len(found) == most:
            break
        record = read(state_dir, name) if not instance or name.split("-", 2)[2] == instance else None
        if record is not None:
            found.append({key: record.get(key) for key in FACTS})
    return found


def shown(state_dir: str, name: str) -> Optional[Json]:
    """A record as `/logs` answers: with ``sources``, and ``lines`` in the order of time."""
    record = read(state_dir, name)
    if record is None:
        return None
    sources, lines = [], []
    for program, of_program in record["programs"].items():
        sources.append({"host": record["host"], "instance": record["instance"], "program": program})
        lines += [{"source": len(sources) - 1, "at": line["at"], "text": line["t"]} for line in of_program]
    lines.sort(key=lambda line: line["at"] or 0.0)
    return {**{key: record.get(key) for key in FACTS}, "sources": sources, "lines": lines}


def read(state_dir: str, name: str) -> Optional[Json]:
    """A record with its ``id``; None when there is none."""
    if name not in _names(os.path.join(state_dir, LAST_WORDS_FOLDER)):
        return None
    try:
        with open(os.path.join(state_dir, LAST_WORDS_FOLDER, name + ".json"), encoding="utf-8") as handle:
            record: Json = json.load(handle)
    except (OSError, ValueError):
        return None
    return dict(record, id=name)


def lines_of(programs: Any) -> Json:
    """What a host says that its programs wrote, as far as it is that."""
    if not isinstance(programs, Mapping):
        return {}
    return {
        str(name): [
            {"at": _time(line.get("at")), "t": for_terminal(str(line.get("t"))[:_LONGEST]).replace("\x1b", "?")}
            for line in lines if isinstance(line, Mapping)
        ]
        for name, lines in programs.items() if isinstance(lines, list)
    }


def _time(value: Any) -> Optional[float]:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _names(folder: str) -> List[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name[:-5] for name in names if name.endswith(".json") and name[:13].isdigit() and name.count("-") > 1]


def _prune(folder: str, instance: str) -> None:
    names = sorted(_names(folder), reverse=True)
    size = count = own = 0
    oldest = (time.time() - OLDEST_SECONDS) * 1000
    for name in names:
        path = os.path.join(folder, name + ".json")
        with contextlib.suppress(OSError):
            own += name.split("-", 2)[2] == instance
            count += 1
            size += os.stat(path).st_size
            if count > MOST or size > MOST_BYTES or int(name[:13]) < oldest or own > _ONCE:
                os.unlink(path)
