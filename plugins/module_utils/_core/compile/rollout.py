# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``muster_rollout``."""

from __future__ import annotations

from typing import Any

from ..model.rollout import RolloutSettings
from .keys_change import ROLLOUT
from .reader import Reader


def read_rollout(reader: Reader, written: Any) -> RolloutSettings:
    """The settings of a site; errors are added to the reader's problems."""
    keys = ("muster_rollout",)
    values = reader.table(ROLLOUT, written, keys, "muster_rollout")
    settings = RolloutSettings(**values)
    parallel = settings.max_parallel
    if isinstance(parallel, int) and settings.canary > parallel and "canary" in values:
        why = "%d items go ahead, but only %d may be down at a time (max_parallel)" % (settings.canary, parallel)
        reader.problems.add(keys + ("canary",), why, settings.canary)
    return settings
