# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the benchmarks, shared by all measures."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks import peer
from tests.benchmarks.figures import Report


@dataclass
class Options:
    """`quick` is for trying the harness: few runs, small sizes, figures that mean little."""

    quick: bool = False
    with_peer: bool = True
    runs: int = 0  # 0: each measure's own number
    items: tuple[int, ...] = ()  # 0: each measure's own sizes

    def count(self, usual: int, quick: int) -> int:
        return self.runs or (quick if self.quick else usual)

    def sizes(self, usual: tuple[int, ...], quick: tuple[int, ...]) -> tuple[int, ...]:
        return self.items or (quick if self.quick else usual)

    def peer_runs_here(self, report: Report) -> bool:
        """False with a sentence in the report when Supvisors cannot be run here, silently when it is not wanted."""
        if not self.with_peer:
            return False
        why = peer.available()
        if why:
            report.skip(why)
        return not why
