# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made of, from the decision to the hosts and back to the ledger."""

from __future__ import annotations

START = "start"
STOP = "stop"
RESTART = "restart"  # in place, under a new epoch
CONTINUE = "continue"  # the deferred part of a start
REPAIR = "repair"  # programs of an instance that runs
CONFIGURE = "configure"  # a host's configuration folder
REVIVE = "revive"  # a host's service manager
FREE_CLAIM = "free"  # only the ledger changes
HOLD = "hold"  # nothing is done, and why
REFUSE = "refuse"  # nothing of the whole request is done, and why

ACTS = (START, STOP, RESTART, CONTINUE, REPAIR)  # what a host does to one instance
