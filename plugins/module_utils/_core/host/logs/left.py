# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs left when they ended: their last lines under an epoch, how they ended, and a core file."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import os
import re
import time

from . import files, journal, text, times
from .sources import Wanted, Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

    from . import marks
    from .sources import Source

LINES = 100  # of each program
MOST_BYTES = 64 << 10  # of all lines of one instance
_SUPERVISORD = re.compile(rb"(?:exited|stopped): (\S+) \((.*?)(?:; (?:not )?expected)?\)\s*\Z")
_LOOKED_AT_BYTES = 32 << 10
_NEAR_SECONDS = 3.0
_CORE_SECONDS = 60.0  # that the kernel may take to write a core file
_COREDUMPS = "/var/lib/systemd/coredump"


def of_epoch(wanted: Wanted, source: Source, known: Sequence[marks.Mark], epoch: int) -> List[Dict[str, Any]]:
    """The last lines that a program wrote under an epoch.

    :param known: where its runs begin, see `host.logs.marks`.
    """
    first = next((mark for mark in known if mark.epoch == epoch), None)
    after = next((mark for mark in known if mark.epoch > epoch), None)
    if source.unit:
        limits = wanted.filter(first.at if first else None, after.at if after else None)
        return journal.last_lines({source.unit: source.number}, LINES, limits)[0]
    there = files.parts(source.path)
    begin = files.located(there, (first.inode, first.offset), first.at) if first and first.inode else 0
    end: Optional[int] = there[-1].start + there[-1].size if there else 0
    if after:
        end = files.located(there, (after.inode, after.offset), after.at) if after.inode else 0
    if end is None:
        return []
    ended = after.at if after else math.inf
    return files.last_lines(source.number, there, begin or 0, end, LINES, wanted.filter(), ended=ended)[0]


def shortened(lines: Dict[str, List[Dict[str, Any]]]) -> Dict[str, List[Dict[str, Any]]]:
    """The same lines, without the oldest ones where they are too many."""
    each = MOST_BYTES // max(1, len(lines))
    found = {}
    for program, of_program in lines.items():
        kept: List[Dict[str, Any]] = []
        left = each
        for line in reversed(of_program):
            left -= len(line.get("t") or "") + 40
            if left < 0:
                break
            kept.append(line)
        found[program] = kept[::-1]
    return found


def how(root: str, program: str, at: float) -> str:
    """How a program ended, in supervisord's words; "" where they do not say.

    :param at: about when, seconds since 1970.
    """
    known = files.parts(root + "/log/supervisord.log")
    if not known:
        return ""
    top = known[-1].start + known[-1].size
    for line in reversed(files.between(known, max(0, top - _LOOKED_AT_BYTES), top).split(b"\n")):
        found = _SUPERVISORD.search(line)
        if found and found.group(1).decode("utf-8", "replace") == program:
            written = times.written(line, time.time())
            if written is not None and abs(written - at) <= _NEAR_SECONDS:
                return text.shown(found.group(2))[0]
    return ""


def core_file(folders: Sequence[str], pid: int, at: float, pattern: str = "") -> str:
    """The core file that a process left; "" when there is none.

    :param folders: where the process may have worked.
    :param pattern: as the kernel has it.
    """
    if not pattern:
        with contextlib.suppress(OSError), open("/proc/sys/kernel/core_pattern", encoding="utf-8") as handle:
            pattern = handle.read().strip()
    if pattern.startswith("|"):
        places, name = ([_COREDUMPS], "core.*.%d.*" % pid) if "coredump" in pattern else ([], "")
    else:
        above, name = os.path.split(pattern or "core")
        places = [above] if pattern.startswith("/") else [os.path.join(folder, above) for folder in folders]
        name = re.sub("%.", "*", name.replace("%p", str(pid)).replace("%P", str(pid)))
    for place in places:
        with contextlib.suppress(OSError):
            for entry in sorted(os.scandir(place), key=lambda one: one.name):
                fits = fnmatch.fnmatch(entry.name, name) or entry.name == "%s.%d" % (name, pid)
                facts = entry.stat(follow_symlinks=False)
                if fits and at - _NEAR_SECONDS <= facts.st_mtime <= at + _CORE_SECONDS:
                    return entry.path
    return ""


def of_start(host: Mapping[str, Any], request: Mapping[str, Any]) -> Dict[str, Any]:
    """As `gathered`, of a start that failed.

    :param request: see `host.act.instance.InstanceJob`.
    """
    instance = request["instance"]
    application, item = _names(host["root"], instance)
    listed = [{"instance": instance, "program": program["name"], "application": application, "item": item}
              for program in request["programs"]]
    try:
        return gathered(Wanted({"host": host, "sources": listed}), {"epoch": request["epoch"]})
    except (Wrong, OSError):
        return {}


def _names(root: str, instance: str) -> Tuple[str, str]:
    """(application, item) of an instance, as systemd's units have them."""
    with contextlib.suppress(OSError), open("%s/etc/available/%s.run" % (root, instance), encoding="utf-8") as handle:
        words = handle.readline().split()
        if len(words) == 3:
            return words[1], words[2]
    return "", ""


def gathered(wanted: Wanted, ended: Mapping[str, Any]) -> Dict[str, Any]:
    """What the programs of a request left under an epoch.

    :param ended: ``{"epoch", "program", "pid", "at"}`` of the one that ended.
    :return: ``{"programs": {name: lines}, "how", "core"}``.
    """
    epoch, at = int(ended["epoch"]), float(ended.get("at") or time.time())
    marks_of = wanted.marks()
    if any(source.unit for source in wanted.sources):
        journal.sync()
    lines: Dict[str, List[Dict[str, Any]]] = {}
    for source in wanted.sources:
        if source.key == str(source.number):
            known = marks_of.get(source.instance, {}).get(source.program, ())
            lines[source.program] = of_epoch(wanted, source, known, epoch)
        else:
            there = files.parts(source.path)
            top = there[-1].start + there[-1].size if there else 0
            errors = files.last_lines(source.number, there, 0, top, LINES, wanted.filter())[0]
            lines[source.program] = sorted([*lines[source.program], *errors], key=lambda line: line["at"] or 0.0)
    program, instance = str(ended.get("program") or ""), wanted.sources[0].instance
    return {
        "programs": shortened(lines),
        "how": how(wanted.root, program, at) if wanted.sources[0].path else "",
        "core": core_file(["%s/var/%s" % (wanted.root, instance)], int(ended.get("pid") or 0), at),
    }
