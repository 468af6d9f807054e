# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in the journal of a host that systemd runs, by journalctl. Needs root, as systemd itself does there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess

from . import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

_PATIENCE_SECONDS = 10.0
_SEARCHED = 200000  # entries that are looked through for a word, at most
_READ_BYTES = 64 << 10
# systemd's own words about a unit, and what systemd-coredump says of it, are part of its log.
_ABOUT = (("_SYSTEMD_UNIT",), ("UNIT", "_PID=1"), ("COREDUMP_UNIT", "_UID=0"))
_FIELDS = "MESSAGE,_SYSTEMD_UNIT,UNIT,COREDUMP_UNIT"


def command(units: Iterable[str], *more: str) -> List[str]:
    """journalctl for these units."""
    words = ["journalctl", "--quiet", "--no-pager", "--all", "--output=json", "--output-fields=" + _FIELDS, *more]
    first = True
    for unit in units:
        for field, *also in _ABOUT:
            words += [] if first else ["+"]
            words += ["%s=%s" % (field, unit), *also]
            first = False
    return words


def sync() -> None:
    """Have journald write what it was sent: the last lines of a program may be on their way."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["journalctl", "--quiet", "--sync"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS, check=False)


def last_lines(
    units: Mapping[str, int], most: int, wanted: text.Filter
) -> Tuple[List[Dict[str, Any]], str]:
    """The last lines of these units, the oldest first, and the cursor of the newest one.

    :param units: unit -> the source that its lines are of.
    :raises OSError: when journalctl cannot be run.
    """
    more = ["--reverse"]
    if wanted.since is not None:
        more.append("--since=@%.6f" % wanted.since)
    if wanted.until is not None:
        more.append("--until=@%.6f" % wanted.until)
    bounded = ["timeout", "--signal=KILL", "%g" % _PATIENCE_SECONDS, *command(units, *more)]
    process = subprocess.Popen(bounded, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: List[Dict[str, Any]] = []
    cursor = ""
    try:
        for number, data in enumerate(process.stdout or ()):
            made = entry(data, units)
            if made is None:
                continue
            if not cursor:
                cursor = made[1]
            if wanted.takes(made[0]["t"], made[0]["at"]):
                found.append(made[0])
            if len(found) >= most:
                break
            if number >= _SEARCHED:
                says = "only the last %d entries were looked through" % _SEARCHED
                found.append(text.note(made[0]["s"], made[0]["at"], says))
                break
    finally:
        process.terminate()  # timeout passes it on
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    found.reverse()
    return (found[-most:] if most else []), cursor


def entry(data: bytes, units: Mapping[str, int]) -> Optional[Tuple[Dict[str, Any], str]]:
    """A line as it travels, and its cursor; None for what is none."""
    try:
        fields = json.loads(data.decode("utf-8", "replace"))
        at = int(fields["__REALTIME_TIMESTAMP"]) / 1e6
        message = fields.get("MESSAGE")
        source = next(units[fields[name]] for name, *_unused in _ABOUT if fields.get(name) in units)
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    if isinstance(message, list):
        raw = bytes(byte for byte in message if isinstance(byte, int) and 0 <= byte < 256)
    else:
        raw = str(message or "").encode("utf-8", "surrogatepass")
    made = text.line(source, at, raw.replace(b"\n", b"\\n"))
    return made, str(fields.get("__CURSOR") or "")


class Follower:
    """journalctl that goes on. Its output is read as far as it is there."""

    def __init__(self, units: Mapping[str, int], cursor: str, since: float) -> None:
        """:param cursor: what it follows; empty: what comes after `since`, seconds since 1970.
        :raises OSError: when journalctl cannot be run."""
        self._units = units
        self.cursor = cursor
        self._after = cursor  # that entry itself comes first, and is left out
        # Not --after-cursor: together with units, several versions leave out the entry that follows.
        where = "--cursor=" + cursor if cursor else "--since=@%.6f" % since
        self._process = subprocess.Popen(command(units, "--follow", "--no-tail", where), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self._process.stdout is None:
            raise OSError("journalctl was started without a pipe")
        self.descriptor = self._process.stdout.fileno()
        os.set_blocking(self.descriptor, False)
        self._held = b""

    def lines(self) -> List[Dict[str, Any]]:
        """What is new, as it travels.

        :raises OSError: when journalctl has ended.
        """
        try:
            data = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(5, "journalctl ended")
        *whole, self._held = (self._held + data).split(b"\n")
        found: List[Dict[str, Any]] = []
        for line in whole:
            made = entry(line, self._units)
            if made is not None:
                self.cursor = made[1] or self.cursor
                if self._after and made[1] == self._after:
                    found.clear()
                    continue
                found.append(made[0])
        if found:
            self._after = ""
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
