# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small parts of a site: files, ports, hooks, what follows a spent budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Tuple


@dataclass(frozen=True)
class ConfigFile:
    """A file rendered per item (or per host service) from a Jinja template."""

    name: str  # below etc/available/<instance>/
    template: str  # looked up beside the inventory, the playbook, then in the collection
    mode: str = "0640"


@dataclass(frozen=True)
class Ports:
    """TCP ports of an instance: ``base + slot * stride + offset``."""

    base: int
    stride: int
    offsets: Mapping[str, int]

    def of(self, slot: int) -> Dict[str, int]:
        """Name of a port -> its number."""
        return {name: self.base + slot * self.stride + offset for name, offset in self.offsets.items()}


@dataclass(frozen=True)
class Hook:
    """A command that the monitor runs when the verdict of an item has changed. Times in seconds."""

    command: Tuple[str, ...]  # arguments as a list; the first one is an absolute path
    on: Tuple[str, ...] = ("all",)  # the verdicts it wants to hear of
    debounce: float = 5.0  # how long a verdict must last before the command runs
    timeout: float = 30.0  # how long the command may take


@dataclass(frozen=True)
class AfterBudget:
    """What becomes of a service whose failure budget is spent."""

    retry: float  # s between two more tries
