# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures by name. Each is a function of `Options` and `Report`; its first line of documentation is its title."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.figures import Report
from tests.benchmarks.measures import (
    bring_up,
    configure,
    crash,
    document,
    followers,
    host_loss,
    idle,
    intents,
    many_buses,
    page,
    placement,
    rollout,
    surface,
)
from tests.benchmarks.options import Options

MEASURES: dict[str, Callable[[Options, Report], None]] = {
    "placement": placement.measure,
    "configure": configure.measure,
    "bus-crash": crash.measure_dummies,
    "bus-crash-scen2": crash.measure_scen2,
    "hci-crash": crash.measure_windows,
    "host-loss": host_loss.measure,
    "document": document.measure,
    "status": surface.measure_status,
    "open": surface.measure_open,
    "open-page": page.measure,
    "intents": intents.measure,
    "burst": surface.measure_burst,
    "many-buses": many_buses.measure,
    "followers": followers.measure,
    "rollout": rollout.measure,
    "bring-up": bring_up.measure,
    "idle": idle.measure,
}
