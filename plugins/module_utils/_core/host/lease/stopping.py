# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an instance ends with the lease of its host: in which order, as its claim says, and what is noted about it."""

from __future__ import annotations

import time

from ..machine import files, instance_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Set

ORDER = "MUSTER_STOPS"  # in a claim: <rank>:<program> for each program, separated by blanks; greatest first
LOST = "MUSTER_LEASE_LOST"  # in a claim: "kill" when no program is asked to end first


class Claim:
    """What a claim says about the end of its instance."""

    def __init__(self, kill: bool, ranks: Mapping[str, int]) -> None:
        self.kill = kill
        self.ranks = ranks  # program -> its stop_sequence

    def last(self, living: Set[str]) -> List[str]:
        """Which of some programs are to end next. One that the claim does not know goes first."""
        greatest = max((self._rank(name) for name in living), default=0.0)
        return sorted(name for name in living if self._rank(name) == greatest)

    def _rank(self, name: str) -> float:
        return float(self.ranks[name]) if name in self.ranks else float("inf")


def line(programs: Iterable[Mapping[str, Any]]) -> Dict[str, str]:
    """The variable of a claim that says in which order programs end.

    :param programs: with ``name`` and ``stop_sequence``.
    """
    return {ORDER: " ".join("%d:%s" % (program["stop_sequence"], program["name"]) for program in programs)}


def read(root: str, instance: str) -> Claim:
    """What the claim of an instance says; without one, all its programs end together."""
    try:
        data = files.read(instance_files.claim_path(root, instance)) or b""
    except OSError:
        data = b""
    ranks: Dict[str, int] = {}
    kill = False
    for text in data.decode("utf-8", "replace").split("\n"):
        name, _unused, value = text.partition("=")
        if name == ORDER:
            for word in value.split():
                rank, _unused, program = word.partition(":")
                if rank.isdigit():
                    ranks[program] = int(rank)
        elif name == LOST:
            kill = value == "kill"
    return Claim(kill, ranks)


def remember(root: str, instance: str) -> None:
    """Write down why an instance ended, so that no run takes it for a stop by somebody. Idempotent."""
    epoch = instance_files.read_claim(root, instance)
    seen = instance_files.read_seen(root, instance)
    if not epoch or seen.get("epoch") != epoch or "ended" in seen:
        return
    ended = {"program": "*lease", "epoch": epoch, "code": None, "at": round(time.time(), 3)}
    instance_files.write_seen(root, instance, dict(seen, ended=ended))
