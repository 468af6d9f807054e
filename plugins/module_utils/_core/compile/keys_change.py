# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that say what a changed configuration does to what runs."""

from __future__ import annotations

from ..model import change
from ..model.rollout import RolloutSettings
from .table import Field, table

SITE = (
    Field("muster_rollout", "mapping", "How a changed configuration reaches what runs: how many items at a time, and"
          " when it goes on ([rollouts](rollouts.md)).", default={}),
)  # fmt: skip

ROLLOUT = table(
    "A rollout",
    "muster_rollout, muster_applications.<name>.rollout",
    "Restarts and reloads for a changed configuration go in batches of items. A batch begins when the one before has"
    " been operational for `hold_for`. An application may have keys of its own, which count for its instances."
    " These then roll in batches of their own.",
    (
        Field("canary", "integer", "Items of the first batch; 0: as many as in the others.",
              default=RolloutSettings.canary, minimum=0),
        Field("max_parallel", "share", "Items of each further batch: a number, or a share of the items concerned such"
              " as `25%` (rounded down, at least 1).", default=RolloutSettings.max_parallel, minimum=1),
        Field("hold_for", "number", "How long a batch must be operational before the next one begins.", minimum=0,
              maximum=86400, unit="s", default_doc="`stable_after`"),
        Field("max_failures", "integer", "Instances that may fail before it stops.",
              default=RolloutSettings.max_failures, minimum=0),
        Field("well_within", "number", "How long a batch may take, besides `hold_for`, until it is operational. What is"
              " not by then counts as failed.",
              default=RolloutSettings.well_within, minimum=1, maximum=86400, unit="s"),
        Field("revert", "boolean", "When it has stopped, what failed goes back to the configuration that it ran with.",
              default=RolloutSettings.revert),
    ),
)

RELOAD_SIGNALS = ("HUP", "USR1", "USR2", "WINCH")  # those that end no program that expects them

APPLICATION = (
    Field("rollout", "mapping", "Keys of `muster_rollout` that are others for this application.", default={},
          default_doc="those of the site"),
    Field("on_change", "choice", "What a changed configuration does to an instance that runs: `restart`; `reload` (the"
          " `reload` of its programs, for files only); `when_closed`, `by_hand`: nothing now, its next start takes it;"
          " `nothing`: its programs see for themselves ([rollouts](rollouts.md)).", default="",
          choices=change.ON_CHANGE, default_doc="`restart`; with `start_sequence: 0`: `when_closed`"),
)  # fmt: skip

FILE = (
    Field("on_change", "choice", "As the application's, for this file; not of host services.", default="",
          choices=change.ON_CHANGE, default_doc="the application's"),
)  # fmt: skip

PROGRAM = (
    Field("reload", "reload", "How it takes its configuration while it runs, where `on_change` says `reload`: a signal"
          " (%s), or a command as a list of arguments, run as its user in its environment with `MUSTER_PID`; it must"
          " exit with 0 within `start_timeout`." % ", ".join("`%s`" % name for name in RELOAD_SIGNALS), default="",
          default_doc="not at all"),
)  # fmt: skip
