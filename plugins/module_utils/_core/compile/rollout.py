# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``muster_rollout``."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..model.rollout import RolloutSettings
from ..model.site import Site
from .errors import Keys
from .keys_change import ROLLOUT
from .reader import Reader


def read_rollout(reader: Reader, written: Any) -> RolloutSettings:
    """The settings of a site; errors are added to the reader's problems."""
    keys = ("muster_rollout",)
    values = reader.table(ROLLOUT, written, keys, "muster_rollout")
    settings = RolloutSettings(**values)
    _check(reader, settings, values, keys)
    return settings


def read_own(reader: Reader, written: Any, keys: Keys) -> Dict[str, Any]:
    """What an application says otherwise."""
    return dict(reader.table(ROLLOUT, written, keys, "rollout", require=False))


def check_own(reader: Reader, site: Site) -> None:
    """What applications say, together with what the site says."""
    for application in site.applications:
        keys = ("muster_applications", application.name, "rollout")
        _check(reader, site.rollout_of(application), application.rollout, keys)


def _check(reader: Reader, settings: RolloutSettings, written: Mapping[str, Any], keys: Keys) -> None:
    """:param written: the keys that stand at this place."""
    parallel = settings.max_parallel
    if isinstance(parallel, int) and settings.canary > parallel and {"canary", "max_parallel"} & set(written):
        key = "canary" if "canary" in written else "max_parallel"
        if key == "max_parallel" and len(keys) == 1:
            return  # the default of canary is no word of the user's
        why = "%d items go ahead, but only %d may be down at a time (max_parallel)" % (settings.canary, parallel)
        reader.problems.add(keys + (key,), why, written[key])
