# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When probes ask: on a common grid, each in a slot of its own."""

from __future__ import annotations

import zlib

GRID_SECONDS = 0.1  # all questions are asked at multiples of it


def slot_of(name: str) -> float:
    """Which part of its interval a probe asks in, 0 to 1: the same for the same name."""
    return zlib.crc32(name.encode()) % 997 / 997.0


def next_turn(now: float, slot: float, step: float) -> float:
    turn = round(((now - slot * step) // step + 1 + slot) * step / GRID_SECONDS) * GRID_SECONDS
    return turn if turn > now else turn + step
