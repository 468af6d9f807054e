# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that several rooms and the monitor share: states, phases, answers, verdicts, causes.

They are on disk and on the wire: in the ledger, in ``watch.json``, in intents and in status documents.
"""

from __future__ import annotations

# What is wanted of an instance. STOPPED is also a verdict of an item.
STARTED = "started"
STOPPED = "stopped"

# Phases of a claim.
FREE = "free"
STARTING = "starting"
RUNNING = "running"
STOPPING = "stopping"
FAILED = "failed"

# States of a host: in its record in the ledger, and in the monitor's own picture, which knows no DRAINED.
UP = "up"
SUSPECT = "suspect"
DOWN = "down"
DRAINED = "drained"

# Answers of a host to an observation.
SEEN = "seen"
NOT_ASKED = "not asked"
UNREACHABLE = "unreachable"

# Verdicts of an item.
OPERATIONAL = "operational"
DEGRADED = "degraded"
NOT_OPERATIONAL = "not operational"
WAITING = "waiting"
UNKNOWN = "unknown"
VERDICTS = (OPERATIONAL, DEGRADED, NOT_OPERATIONAL, WAITING, STOPPED, UNKNOWN)

# Causes of intents, from the monitor to a run.
BUS_CRASH = "bus crash"
BUS_HANG = "bus hang"
PROGRAM_EXIT = "program exit"
GATE_OPEN = "gate open"
HOST_DOWN = "host down"
REQUEST = "request"  # a person's, which came through the monitor
BUS_CAUSES = (BUS_CRASH, BUS_HANG)

# Who is named in ``by`` and ``who`` where no person is.
MONITOR = "monitor"  # its signals about a host
MUSTER = "muster"  # a rule of muster

RECORD_KINDS = (  # of the ledger
    "meta", "wanted", "claims", "hosts", "pauses", "notices", "requests", "rollouts", "moves",
)  # fmt: skip
CURRENT = "current"  # the key of the only rollout that the ledger keeps
SITE = "site"  # the key of a pause of everything; of an item it is `item_key`

WATCH_SCHEMA = 1  # of watch.json


def item_key(item: str) -> str:
    """The key of an item's pause in the ledger."""
    return "item/%s" % item
