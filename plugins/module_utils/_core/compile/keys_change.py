# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that say what a changed configuration does to what runs."""

from __future__ import annotations

from ..model import change
from .table import Field

RELOAD_SIGNALS = ("HUP", "USR1", "USR2", "WINCH")  # those that end no program that expects them

APPLICATION = (
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
