# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and how a bus is probed, as typed data.

Pure: `parse` reads it from an entry of the watch list. Kinds of probes and their settings are those of `model.probe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.model.probe import COMPOSED, Probe, probe_from_json

_PLAIN = Probe("")  # for every probe without other settings than _USUAL
_USUAL = frozenset(("type", "port", "interval", "timeout", "failures"))
_WITH_WHOSE = ("process", "exec")


@dataclass(frozen=True, slots=True)
class Whose:
    """The owner of a bus: the values in the environment of its processes, and the host they run on."""

    site_id: str
    host: str
    instance: str
    epoch: int  # 0: of a host service, which has none
    program: str
    item: str = ""
    root: str = ""  # the host's folder
    connection: str = ""  # Ansible's connection plugin


_Lazy = Callable[[], Whose]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a bus is probed. Times in seconds."""

    address: str
    port: int  # 0: none
    probe: str  # a module of monitor.probes, or one of COMPOSED
    interval: float
    timeout: float
    failures: int
    how: Probe = _PLAIN  # its other settings
    whose: Whose | None = None
    probes: tuple[Target, ...] = ()

    def leaves(self) -> Iterator[Target]:
        """The probes that ask something themselves, in the order of the site."""
        if self.probe not in COMPOSED:
            yield self
        for part in self.probes:
            yield from part.leaves()


def parse(asked: Mapping[str, Any], address: str, whose: _Lazy) -> Target | None:
    """From ``{"probe": {...}, "port": number, "ports": {name: number}}``; None when there is no probe.

    :param whose: called only for the kinds of probes that need it.

    :raises KeyError, TypeError, ValueError: when it cannot be read.
    """
    probe = asked.get("probe")
    if not probe:
        return None
    return _target(probe, int(asked.get("port") or 0), asked.get("ports") or {}, address, whose)


def _target(probe: Mapping[str, Any], port: int, ports: Mapping[str, Any], address: str, whose: _Lazy) -> Target:
    written = probe.get("probes")
    parts: tuple[Target, ...] = ()
    if written:
        parts = tuple(_target(part, int(ports.get(part.get("port")) or 0), ports, address, whose) for part in written)
    kind = str(probe["type"])
    return Target(
        address=address,
        port=port,
        probe=kind,
        interval=float(probe.get("interval", Probe.interval)),
        timeout=float(probe.get("timeout", Probe.timeout)),
        failures=int(probe.get("failures", Probe.failures)),
        how=_PLAIN if probe.keys() <= _USUAL else probe_from_json(probe),
        whose=whose() if kind in _WITH_WHOSE else None,
        probes=parts,
    )
