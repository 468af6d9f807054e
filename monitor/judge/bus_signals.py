# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buses and host services of a host show about the host itself: one of the signals of `monitor.judge.hosts`.

Pure: `now` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .health import Health, Kind
from .hosts import AWAY, Line, Signal

_ENDED = (Kind.GONE, Kind.REFUSED, Kind.UNREACHABLE)


class BusSignals:
    """Remembers since when the buses of each host are silent; one per monitor."""

    def __init__(self) -> None:
        self._known: dict[str, Line] = {}

    def judge(
        self, healths: Iterable[tuple[str, Health]], lines: Mapping[str, Line], now: float
    ) -> Mapping[str, Line]:
        """host -> what its buses show together: one that answers speaks for its host.

        They are lost since that was noticed first: a bus that missed some answers may still count as healthy, and its
        health began long ago. A host of which they say nothing is missing.

        :param healths: (host, health) of every bus and host service that should be there.
        :param lines: host -> its line; an answer from before the line was lost proves nothing.
        """
        fine: set[str] = set()  # hosts where one answered
        lost: dict[str, Signal] = {}  # hosts where one does not -> GONE if its machine refused a connection
        takes: set[str] = set()  # hosts where something takes connections, even if it does not answer
        for host, health in healths:
            last = health.last
            if last.kind is Kind.ANSWERED:
                if health.missed == 0 and last.latency > 0 and last.at >= _lost_since(lines.get(host)):
                    fine.add(host)
            elif last.kind in _ENDED or health.missed >= min(2, health.failures):
                refused = last.kind in (Kind.GONE, Kind.REFUSED) or lost.get(host) is Signal.GONE
                lost[host] = Signal.GONE if refused else Signal.LOST
                if last.kind is not Kind.UNREACHABLE:
                    takes.add(host)
        found = {host: Line(Signal.FINE) for host in fine}
        for host, signal in lost.items():
            if host not in fine:
                known = self._known.get(host)
                since = known.since if known is not None and known.signal in AWAY else now
                found[host] = Line(signal, since, "no bus on %s answers any more" % host, cut=host not in takes)
        self._known = found
        return found


def _lost_since(line: Line | None) -> float:
    return line.since if line is not None and line.signal in AWAY else 0.0
