# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster top` and `muster ps --since`: what programs use while one looks, and what they used over the last hours."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import shutil
import sys
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from . import api, terminal
from .commands import BACK, OK, USAGE, say

Json = Dict[str, Any]
EVERY_SECONDS = 2.0
TOP_TEXT = "what programs use, the busiest first, again and again"
SORTED = ("cpu", "memory", "threads", "files", "restarts")
_TOP = ("PROGRAM", "HOST", "CPU", "MEMORY", "THREADS", "FILES", "RESTARTS")
_PAST = ("PROGRAM", "CPU", "AT MOST", "MEMORY", "AT MOST", "PER HOUR", "FILES", "PER HOUR", "RESTARTS")
_MIB = float(1 << 20)
_NO_LETTERS = re.compile(r"\x1b\[[0-9;]*.?|\x1b.?")  # what a key that is no letter sends


def add_top(parser: argparse.ArgumentParser) -> None:
    """Add what `top` takes."""
    parser.add_argument("name", nargs="?", default="", metavar="ITEM", help="id of an item, or name of an instance")
    parser.add_argument("--sort", choices=SORTED, default="cpu", help="by this column (cpu); on a terminal the first"
                        " letter of a column does the same, and q ends")  # fmt: skip
    parser.add_argument("--every", type=_seconds, default=EVERY_SECONDS, metavar="SECONDS",
                        help="between two looks (%g)" % EVERY_SECONDS)  # fmt: skip


def top(options: argparse.Namespace, remote: api.Remote) -> int:
    """Show the table until q or Ctrl-C; once where standard output is no terminal.

    :return: the exit code.
    :raises Refused, Lost, Late: at the first look; later ones wait for the monitor.
    """
    query = {"name": options.name} if options.name else {}
    live = sys.stdout.isatty()
    order = options.sort
    document = remote.get("/programs", options.timeout, **query)
    with _keys(live) as pressed:
        while True:
            size = shutil.get_terminal_size((120, 40))
            lines = top_lines(document, order, size.lines - 2 if live else len(document["programs"]) + 1)
            if live:
                sys.stdout.write(terminal.HOME)
                for line in lines:
                    sys.stdout.write(line[: size.columns])
                    sys.stdout.write(terminal.REST)
                    sys.stdout.write("\n")
                sys.stdout.write(terminal.BELOW)
            else:
                sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
            if not live:
                return OK
            key = pressed(options.every)
            if key == "q":
                return OK
            order = next((column for column in SORTED if key and column[0] == key), order)
            try:
                document = remote.get("/programs", options.timeout, **query)
            except (api.Lost, api.Late) as error:
                document = dict(document, silent={"monitor": str(error)})
                time.sleep(BACK)


def top_lines(document: Mapping[str, Any], order: str, most: int) -> List[str]:
    """The table, the greatest first.

    :param document: of ``/programs``. :param order: one of `SORTED`. :param most: lines.
    """
    running = [one for one in document["programs"] if one.get("pid") is not None]
    running.sort(key=lambda one: (-(one.get(order) or 0), one["instance"], one["program"]))
    rows = [["%s/%s" % (one["instance"], one["program"]), one["host"], _shown(one.get("cpu"), "%.1f %%"),
             _shown(one.get("memory"), "%.1f MiB", _MIB), _shown(one.get("threads")), _shown(one.get("files")),
             _shown(one.get("restarts"))] for one in running]  # fmt: skip
    head = ["%s *" % title if title == order.upper() else title for title in _TOP]
    table = aligned([head, *rows], 2)
    silent = ["%s: %s" % each for each in sorted(document["silent"].items())]
    room = max(1, most - len(silent))
    shown = table[:room]
    if len(table) > room:
        shown = [*table[: room - 1], "%d more below" % (len(table) - room + 1)]
    return shown + silent


def past(options: argparse.Namespace, remote: api.Remote) -> int:
    """Print what programs used since a moment.

    :return: the exit code.
    :raises Refused, Lost, Late:
    """
    if not options.name:
        say("muster: --since is about one item or instance: name it", sys.stderr)
        return USAGE
    query = {"since": options.since, "points": "1" if options.json else "0"}
    document = remote.get("/programs/past", options.timeout, name=options.name, **query)
    if options.json:
        say(json.dumps(document))
        return OK
    rows: List[List[str]] = [list(_PAST)]
    instance = ""
    for program in document["programs"]:
        if program["instance"] != instance:
            instance = program["instance"]
            rows.append([instance])
        rows.append(_past_row(program))
    for line in aligned(rows, 1):
        say(line)
    return OK


def _past_row(program: Mapping[str, Any]) -> List[str]:
    figures, growth = program["figures"], program["growth"]

    def of(column: str, key: str, form: str, by: float = 1.0) -> str:
        return _shown((figures.get(column) or {}).get(key), form, by)

    return [
        "  " + program["program"], of("cpu", "mean", "%.1f %%"), of("cpu", "most", "%.1f %%"),
        of("memory", "last", "%.1f MiB", _MIB), of("memory", "most", "%.1f MiB", _MIB),
        _shown(growth.get("memory"), "%+.2f MiB", _MIB), of("files", "last", "%d"),
        _shown(growth.get("files"), "%+.1f"), "%d" % program["starts"],
    ]  # fmt: skip


def aligned(rows: Sequence[Sequence[str]], left: int) -> List[str]:
    """Rows as lines: the first `left` columns begin below each other, the others end so; one cell is a title."""
    full = [row for row in rows if len(row) > 1]
    wide = [max(len(row[at]) for row in full) for at in range(len(full[0]))] if full else []
    found = []
    for row in rows:
        if len(row) == 1:
            found.append(row[0])
            continue
        cells = [text.ljust(size) if at < left else text.rjust(size) for at, (text, size) in enumerate(zip(row, wide))]
        found.append("  ".join(cells).rstrip())
    return found


def _shown(value: Optional[float], form: str = "%d", by: float = 1.0) -> str:
    return "-" if value is None else form % (value / by)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.5 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be from 0.5 to 3600 s")
    return value


def _key(data: bytes) -> str:
    """The key that counts of those that came at once: q, else the last one. Arrows and the like are none."""
    keys = _NO_LETTERS.sub("", data.decode("ascii", "replace")).lower()
    return "q" if "q" in keys else keys[-1:]


@contextlib.contextmanager
def _keys(live: bool) -> Iterator[Any]:
    """What waits for a key some seconds and returns it, or "": each key counts without Enter meanwhile."""

    def pressed(seconds: float) -> str:
        if not typed:
            time.sleep(seconds)
            return ""
        ready, _unused, _unused = select.select([sys.stdin], [], [], seconds)
        if not ready:
            return ""
        data = os.read(sys.stdin.fileno(), 1024)  # of a text stream, what came with the first key would wait unseen
        if not data:  # the end: it would be ready for ever
            time.sleep(seconds)
        return _key(data)

    typed = live and sys.stdin is not None and sys.stdin.isatty()
    if not typed:
        yield pressed
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin.fileno())
    try:
        tty.setcbreak(sys.stdin.fileno())
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
