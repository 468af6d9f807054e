# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault of the soak is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.soak.world import World


@dataclass(frozen=True)
class Hit:
    """A fault that was made; `heal`, if any, is called after `seconds`."""

    what: str
    heal: Callable[[], None] | None = None
    seconds: float = 0.0
    causes: int = 1  # alarms that it may lead to: one each
    told: bool = True  # whether an alarm has to tell of it where it reaches services
    always: bool = False  # also where it reaches none


Kind = Callable[[World, random.Random], Hit]
