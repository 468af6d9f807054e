# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes: one module per kind of bus, each with a class `Probe` that takes a name, a `Target` and a report callback.

A new kind is one new file here; its name is the `type` of the probe in the site. `monitor.watch.probes._held` has what
all probes over TCP share.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Protocol

from ...judge.health import Result
from ...judge.target import Target

Report = Callable[[Result], None]


class ProbeError(ValueError):
    """No probe of that type; the text is one sentence."""


class Asking(Protocol):
    """A probe at work."""

    def start(self) -> None: ...

    def nudge(self) -> None:
        """Ask now instead of at the next turn."""

    def stop(self) -> None: ...


def make(name: str, target: Target, report: Report) -> Asking:
    """:raises ProbeError: when there is no probe of the target's type."""
    if not target.probe.isidentifier() or target.probe.startswith("_"):
        raise ProbeError("%s: %r is not the name of a probe" % (name, target.probe))
    try:
        module = importlib.import_module("monitor.watch.probes." + target.probe)
    except ModuleNotFoundError:
        raise ProbeError("%s: there is no probe %r in this monitor" % (name, target.probe)) from None
    probe: Asking = module.Probe(name, target, report)
    return probe
