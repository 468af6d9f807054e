# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on how often something happens, or how much of something is used. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """Filled by `rate` each second up to `most`; taking may overdraw it."""

    rate: float
    most: float
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.most

    def wait(self, now: float) -> float:
        """Seconds until something may be taken; 0 when it may be now."""
        self.level = min(self.most, self.level + self.rate * max(0.0, now - self.at))
        self.at = now
        return 0.0 if self.level > 0 else (1e-3 - self.level) / self.rate

    def take(self, amount: float, now: float) -> None:
        self.wait(now)
        self.level -= amount
