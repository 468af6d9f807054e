# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of resources other than load: what programs take, and what there is."""

from __future__ import annotations

from .table import Field

PROGRAM = (
    Field("expected_memory", "integer", "What it takes of the memory of a host, reserved before it starts. The smaller"
          " of machine and control group counts as the host's memory.", default=0, minimum=0, unit="MiB"),
    Field("resources", "amounts", "What it takes of the `muster_resources` of a host or the `muster_site_resources` of"
          " the site, reserved before it starts: `{gpu: 1}`.", default={}),
)
APPLICATION = (
    Field("learn", "boolean", "The status reports where an instance uses more load or memory than it reserves. Nothing"
          " is decided by it.", default=False),
)
SITE = (
    Field("muster_site_resources", "amounts", "What there is once for the whole site, by name, for `resources` of"
          " programs: `{licence_x: 3}`.", default={}),
)
HOST = (
    Field("muster_resources", "amounts", "What there is on its node, by name, for `resources` of programs: `{gpu: 2}`."
          " Hosts that share a node have them together.", default={}),
)
