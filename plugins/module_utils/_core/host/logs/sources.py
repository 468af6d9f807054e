# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request for logs is about: each of its sources as files or as a unit of systemd, and what is wanted."""

from __future__ import annotations

import os
import re

from . import marks, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

_NAME = re.compile(r"[^\x00-\x1f/]+\Z")
OWN = {"supervisord": "log/supervisord.log", "muster": "log/muster.log"}  # logs of the host itself
MOST_LINES = 10000
MOST_SOURCES = 1000
OVER_SECONDS = 0.2  # over which the use of the processor is measured, where a request does not say
MOST_OVER_SECONDS = 5.0


class Wrong(ValueError):
    """The request makes no sense here; the text is one sentence."""


class Source:
    """One log."""

    __slots__ = ("instance", "key", "number", "path", "program", "unit")

    def __init__(
        self, number: int, instance: str, program: str, path: str = "", unit: str = "", key: str = ""
    ) -> None:
        self.number = number  # its position in the request
        self.key = key or str(number)  # in a cursor
        self.instance = instance
        self.program = program
        self.path = path
        self.unit = unit


class Wanted:
    """A request, checked."""

    __slots__ = ("after", "ended", "figures", "follow", "host", "most", "over", "previous", "root", "since",
                 "sources", "until", "word")

    def __init__(self, request: Mapping[str, Any]) -> None:
        """
        :param request: ``host``; ``sources``: ``{"instance", "program", "application", "item"}``, ``{"service"}`` or
            ``{"own"}``, a word of `OWN`; ``lines``: how many of the last; ``since``, ``until``: seconds since 1970;
            ``word``; ``previous``: of the run before the last start; ``follow``; ``after``: the ``cursor`` of an
            answer; ``ended``: instead of all that, see `host.logs.left.gathered`; ``figures``: see
            `host.logs.figures`, ``over``: seconds over which the use of the processor is measured.
        :raises Wrong: when it makes no sense.
        """
        try:
            self.host: Mapping[str, Any] = request["host"]
            self.root = str(self.host["root"])
            self.most = max(0, min(MOST_LINES, int(request.get("lines") or 0)))
            self.since = _moment(request.get("since"))
            self.until = _moment(request.get("until"))
            self.word = str(request.get("word") or "")[:200]
            self.previous = bool(request.get("previous"))
            self.follow = bool(request.get("follow")) and not self.previous
            self.after: Mapping[str, Any] = dict(request.get("after") or {})
            self.figures = bool(request.get("figures"))
            self.over = max(0.0, min(MOST_OVER_SECONDS, float(request.get("over", OVER_SECONDS))))
            self.ended: Mapping[str, Any] = dict(request.get("ended") or {})
            listed = list(request["sources"])
            if not 0 < len(listed) <= MOST_SOURCES:
                raise Wrong("a request for logs names 1 to %d of them" % MOST_SOURCES)
            self.sources = [source for number, entry in enumerate(listed)
                            for source in _with_errors(_source(number, entry, self.host))]
        except Wrong:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise Wrong("this is no request for logs: %r" % error) from None

    def filter(self, since: Optional[float] = None, until: Optional[float] = None) -> text.Filter:
        """What is wanted of a line. :param since, until: narrow it."""
        begins = [at for at in (self.since, since) if at is not None]
        ends = [at for at in (self.until, until) if at is not None]
        return text.Filter(self.word, max(begins) if begins else None, min(ends) if ends else None)

    def marks(self) -> Dict[str, Dict[str, List[marks.Mark]]]:
        """instance -> program -> where its runs begin."""
        return {name: marks.read(self.root, name) for name in {s.instance for s in self.sources if s.instance}}


def _moment(value: Any) -> Optional[float]:
    return None if value is None else float(value)


def _with_errors(source: Source) -> List[Source]:
    """A program's log, and that of its standard error, where that is apart."""
    path = source.path[: -len(".log")] + ".err.log" if source.instance and source.path else ""
    if not path or not os.path.exists(path):
        return [source]
    return [source, Source(source.number, source.instance, source.program, path, key="%de" % source.number)]


def _source(number: int, entry: Mapping[str, Any], host: Mapping[str, Any]) -> Source:
    root, systemd = str(host["root"]), host.get("service_manager") == "systemd"
    if entry.get("own"):
        name = str(entry["own"])
        if name not in OWN or (systemd and name == "supervisord"):
            raise Wrong("%s has no log %s" % (host.get("host"), name[:40]))
        return Source(number, "", name, os.path.join(root, OWN[name]))
    if entry.get("service"):
        name = _safe(entry["service"])
        if systemd:
            return Source(number, "", name, unit="muster-%s.service" % name)
        return Source(number, "", name, marks.log_path(root, name, name))
    instance, program = _safe(entry["instance"]), _safe(entry["program"])
    if not systemd:
        return Source(number, instance, program, marks.log_path(root, instance, program))
    from ..service.systemd.orders import unit_name

    return Source(number, instance, program, unit=unit_name(_safe(entry["application"]), program, str(entry["item"])))


def _safe(name: Any) -> str:
    """:raises Wrong: for a name that could lead out of the folder of the logs."""
    if not isinstance(name, str) or name in (".", "..") or not _NAME.match(name):
        raise Wrong("%r is no name" % (name,))
    return name
