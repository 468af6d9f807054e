# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small parts of a site: files, ports, hooks, settings, what follows a spent budget."""

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


@dataclass(frozen=True)
class Settings:
    """Site-wide numbers. Times in seconds."""

    start_timeout: float = 60.0  # one instance's whole staged start
    run_timeout: float = 120.0  # an actor's deadline; past it another run takes over
    stable_after: float = 10.0
    failure_budget: int = 5
    failure_window: float = 600.0
    observe_interval: float = 60.0
    host_interval: float = 1.0  # between two questions to a host's service manager
    host_down_after: float = 2.0  # of silence, on two independent signals
    artifacts: int = 50  # ansible-runner artefacts kept
    artifacts_size: int = 200  # MiB that they may take together
    trail_days: int = 365
    api: bool = True  # whether the monitor answers requests
    api_address: str = "127.0.0.1"  # loopback; where it listens besides its Unix sockets
    api_port: int = 0  # 0: Unix sockets only


@dataclass(frozen=True)
class Need:
    """So many of these programs must run."""

    any: int
    of: Tuple[str, ...]
