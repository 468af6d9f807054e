# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buses and host services of a host show about the host itself: one of the signals of `monitor.judge.hosts`.

Pure: `now` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .health import Health, Kind
from .hosts import AWAY, Line, Signal

_ENDED = (Kind.GONE, Kind.REFUSED, Kind.UNREACHABLE)


@dataclass(slots=True)
class _Seen:
    """What the buses of one host show."""

    fine: bool = False  # one answered
    lost: bool = False  # one does not
    refused: bool = False  # the machine refused a connection
    takes: bool = False  # something there takes connections, even if it does not answer


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
        seen: dict[str, _Seen] = {}
        for host, health in healths:
            _look(health, lines.get(host), seen.setdefault(host, _Seen()))
        found = {}
        for host, facts in seen.items():
            if facts.fine:
                found[host] = Line(Signal.FINE)
            elif facts.lost:
                known = self._known.get(host)
                since = known.since if known is not None and known.signal in AWAY else now
                signal = Signal.GONE if facts.refused else Signal.LOST
                found[host] = Line(signal, since, "no bus on %s answers any more" % host, cut=not facts.takes)
        self._known = found
        return found


def _look(health: Health, line: Line | None, facts: _Seen) -> None:
    last = health.last
    line_lost = line.since if line is not None and line.signal in AWAY else 0.0
    if last.kind is Kind.ANSWERED:
        facts.fine |= last.at >= line_lost and health.missed == 0 and last.latency > 0
    elif last.kind in _ENDED or health.missed >= min(2, health.failures):
        facts.lost = True
        facts.takes |= last.kind is not Kind.UNREACHABLE
        facts.refused |= last.kind in (Kind.GONE, Kind.REFUSED)
