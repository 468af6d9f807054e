# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster logs` and `muster ps`: their options, what they ask the monitor, and what they print.

Both command lines use it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..model.sentences import clock, duration
from . import api
from .commands import BACK, OK, UNKNOWN, read_by_somebody, say
from .figures import aligned, past

Json = Dict[str, Any]
LINES = 200
NEWEST = "newest"
TEXTS = {
    "logs": "what programs wrote, of an item, an instance or a host", "tail": "the same as logs",
    "ps": "what the programs of an item use now",
}  # fmt: skip
_COLUMNS = ("PROGRAM", "STATE", "SINCE", "PID", "CPU", "MEMORY", "THREADS", "FILES", "RESTARTS", "ENDED")
_COLOURS = ("\033[33m", "\033[35m", "\033[32m")
_DIM, _END = "\033[2m", "\033[0m"
SOURCE = ("host", "instance", "program")
_VALUES = ("host", "since", "until", "grep")


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add what `logs` takes."""
    parser.add_argument("name", metavar="NAME[/PROGRAM]",
                        help="an instance, an item (all its programs), a host service, a host, or monitor")
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and show each line as it is written")
    parser.add_argument("-n", "--lines", type=_whole, default=LINES, help="number of newest lines shown (%d)" % LINES)
    parser.add_argument("--since", metavar="WHEN", help="only after this moment: 10m (ago), 14:00, '2030-01-31 14:00'")
    parser.add_argument("--until", metavar="WHEN", help="only before this moment")
    parser.add_argument("--grep", metavar="WORD", help="only lines with this word; small letters: capitals too")
    parser.add_argument("--previous", action="store_true", help="the run before the last start of each program")
    parser.add_argument("--failed", nargs="?", const=NEWEST, metavar="ID",
                        help="what was kept when an instance failed: its last failure, or the one of this id")
    parser.add_argument("--host", help="only on this host")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


def query(options: argparse.Namespace) -> Json:
    """The parameters of the API."""
    found: Json = {"lines": options.lines}
    found.update((name, getattr(options, name)) for name in _VALUES if getattr(options, name))
    program = options.name.partition("/")[2]
    if program:
        found["program"] = program
    return found


def logs(options: argparse.Namespace, remote: api.Remote) -> int:
    """Print what the monitor answers.

    :return: the exit code.
    :raises Refused, Lost, Late:
    """
    if options.failed:
        name = options.failed
        if name == NEWEST:
            known = remote.get("/last-words", options.timeout, instance=options.name, limit=1)["last_words"]
            if not known:
                say("nothing is kept of a failure of %s" % options.name, sys.stderr)
                return UNKNOWN
            name = known[0]["id"]
        show_failed(remote.get("/last-words/" + api.quoted(name), options.timeout), options)
        return OK
    path = "/logs/" + api.quoted(options.name.partition("/")[0])
    if options.follow and not options.previous:
        return _follow(path, options, remote)
    asked = query(options)
    if options.previous:
        asked["previous"] = 1
    answer = remote.get(path, options.timeout, **asked)
    Printer(answer["sources"], options.json).show(answer["lines"])
    return OK


def show_failed(record: Json, options: argparse.Namespace) -> None:
    """Print what was kept of a failure."""
    lines = [line for line in record["lines"] if not options.grep or options.grep in line["text"]]
    if not options.json:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["at"]))
        say("%s: %s of %s on %s, epoch %s: %s" % (
            when, record["program"] or "the start", record["instance"], record["host"], record["epoch"],
            record["how"]))
        if record["core"]:
            say("core file: %s on %s" % (record["core"], record["host"]))
    Printer(record["sources"], options.json).show(lines[-options.lines :] if options.lines else [])


def _follow(path: str, options: argparse.Namespace, remote: api.Remote) -> int:
    """Print lines until the command is ended; go on where it was when the monitor is away for a while."""
    last, printer, asked = "", Printer([], options.json), query(options)
    told: Optional[str] = None
    while True:
        try:
            for event, ident, document in remote.stream(path + "/stream", asked, last):
                read_by_somebody()
                told = None
                last = ident or last
                if event == "sources":
                    printer.sources = document
                elif event == "lines":
                    printer.show(document)
                elif event == "over":
                    say("muster: %s: %s" % (document["host"], document["why"]), sys.stderr)
        except api.Busy as error:
            told = _tell(str(error), told)
        except (OSError, ValueError, api.Lost):
            told = _tell("the monitor does not answer: waiting for it", told)
        if last:
            asked["lines"] = 0
        time.sleep(BACK)


def _tell(why: str, told: Optional[str]) -> str:
    if why != told:
        say("muster: " + why, sys.stderr)
    return why


class Printer:
    """Prints lines, each with the name of its program where there are several."""

    def __init__(self, sources: List[Mapping[str, str]], as_json: bool) -> None:
        self.sources = sources
        self._json = as_json
        self._labelled: Optional[List[Mapping[str, str]]] = None  # the sources of which `_labels` are
        self._labels: List[str] = []
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def show(self, lines: Iterable[Mapping[str, Any]]) -> None:
        out = [self._as_json(line) if self._json else self.line(line) for line in lines]
        if out:
            say("\n".join(out))

    def line(self, line: Mapping[str, Any]) -> str:
        """As people read it."""
        if self._labelled is not self.sources:
            self._labelled, self._labels = self.sources, labels_of(self.sources)
        source = line["source"]
        label, begin, end = self._labels[source], "", ""
        if self._colour:
            begin, end = _COLOURS[source % len(_COLOURS)], _END
        wide = max(len(label) for label in self._labels)
        return ("%s%-*s |%s " % (begin, wide, label, end) if label else "") + self._words(line)

    def _as_json(self, line: Mapping[str, Any]) -> str:
        named = {key: value for key, value in line.items() if key != "source"}
        return json.dumps(dict(self.sources[line["source"]], **named))

    def show_named(self, lines: Sequence[Mapping[str, Any]], most: int) -> None:
        """Lines of several hosts that name their sources themselves."""
        self.sources, numbered = numbered_by_source(lines)
        self.show(numbered[-most:] if most else [])

    def _words(self, line: Mapping[str, Any]) -> str:
        if "note" in line:
            words = "(muster: %s)" % line["note"]
            return _DIM + words + _END if self._colour else words
        text: str = line["text"]
        return text + " ... (%d bytes more)" % line["cut"] if line.get("cut") else text


def as_text(lines: Sequence[Mapping[str, Any]]) -> List[str]:
    """Lines that name their sources, for people."""
    sources, numbered = numbered_by_source(lines)
    printer = Printer(sources, False)
    return [printer.line(line) for line in numbered]


def numbered_by_source(lines: Sequence[Mapping[str, Any]]) -> Tuple[List[Mapping[str, str]], List[Json]]:
    """The sources that lines name, and the lines in the order of time, with the numbers of those instead."""
    sources: List[Mapping[str, str]] = []
    numbers: Dict[Tuple[str, ...], int] = {}
    found = []
    for line in sorted(lines, key=lambda one: one["at"] or 0.0):
        source = {key: str(line[key]) for key in SOURCE}
        number = numbers.setdefault(tuple(source.values()), len(sources))
        if number == len(sources):
            sources.append(source)
        found.append(dict({key: value for key, value in line.items() if key not in SOURCE}, source=number))
    return sources, found


def labels_of(sources: List[Mapping[str, str]]) -> List[str]:
    """What tells each source from the others: nothing where there is one."""
    if len(sources) < 2:
        return ["" for _unused in sources]
    several = {key: len({source[key] for source in sources}) > 1 for key in SOURCE}
    found = []
    for source in sources:
        words = [source[key] for key in ("instance", "program") if several[key] and source[key]]
        label = "/".join(words or [source["program"]])
        found.append(label)
    if len(set(found)) < len(found):
        found = ["%s %s" % (source["host"], label) for source, label in zip(sources, found)]
    return found


def _whole(text: str) -> int:
    value = int(text) if text.isdigit() else -1
    if not 0 <= value <= 10000:
        raise argparse.ArgumentTypeError("must be a whole number from 0 to 10000")
    return value


def add_ps(parser: argparse.ArgumentParser) -> None:
    """Add what `ps` takes."""
    parser.add_argument("name", nargs="?", default="", metavar="ITEM", help="id of an item, or name of an instance")
    parser.add_argument("--since", metavar="WHEN", help="what they used since then instead, and how fast it grows: 2h")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def ps(options: argparse.Namespace, remote: api.Remote) -> int:
    """Print a table, a row for each program.

    :return: the exit code.
    :raises Refused, Lost, Late:
    """
    if options.since:
        return past(options, remote)
    query = {"name": options.name} if options.name else {}
    document = remote.get("/programs", options.timeout, **query)
    if options.json:
        say(json.dumps(document, indent=2))
        return OK
    instance = ""
    rows = [list(_COLUMNS)]
    for program in document["programs"]:
        if program["instance"] != instance:
            instance = program["instance"]
            rows.append(["%s on %s" % (instance, program["host"])])
        rows.append(_row(program, time.time()))
        if program.get("given"):
            rows.append(["    with %s" % program["given"]])
    for line in aligned(rows, len(_COLUMNS)):
        say(line)
    for host, why in sorted(document["silent"].items()):
        say("muster: %s: %s" % (host, why), sys.stderr)
    return OK


def _row(program: Mapping[str, Any], now: float) -> List[str]:
    def shown(key: str, form: str = "%d", by: float = 1.0) -> str:
        value = program.get(key)
        return "-" if value is None else form % (value / by)

    since = program.get("since")
    return [
        "  " + program["program"], program["state"],
        "-" if not since else "%s (%s)" % (clock(since, now, seconds=True), duration(max(0, int(now - since)))),
        shown("pid"), shown("cpu", "%.1f %%"), shown("memory", "%.1f MiB", 1 << 20), shown("threads"), shown("files"),
        shown("restarts"), program.get("how") or "-",
    ]  # fmt: skip
