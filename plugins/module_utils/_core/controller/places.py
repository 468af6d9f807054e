# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the files in the state folder (``muster_state_dir``), each relative to it."""

from __future__ import annotations

SITE_FILE = "site.json"  # what was deployed last: the compiled site and its digests
WATCH_FILE = "watch.json"  # what the monitor watches
SEEN_FILE = "seen.json"  # what the hosts said last
LEASE_FILE = "lease.json"  # the site's key for leases, and its witnesses
LEDGER_FILE = "ledger.db"
WHERE_FILE = "ledger.json"  # where the ledger is, when it is not in this folder
COPY_FILE = "ledger_copy.json"  # of several controllers: the newest copy of a shared ledger
BACKUP_FOLDER = "backup"  # of the ledger
PUBLISH_LOCK = "publish.lock"
LAST_WORDS_FOLDER = "last_words"  # what programs wrote before they failed
ARTIFACTS_FOLDER = "artifacts"  # of ansible-runner

RUN_FOLDER = "run"  # of the monitor; nothing there outlasts a machine
MONITOR_FILE = "run/monitor.json"  # what the monitor sees
MONITOR_LOCK = "run/monitor.lock"
MONITOR_PID = "run/monitor.pid"
FENCES_FILE = "run/fences.json"  # hosts that hold no lease, as the monitor knows
HISTORY_FILE = "run/history.jsonl"  # of verdicts
PLACES_FILE = "run/places.json"  # the last inventory
API_SOCKET = "run/api.sock"  # also below the root of each host
ACTS_SOCKET = "run/acts.sock"  # where runs hand acts to the monitor's lines
DOORS_FOLDER = "run/doors"  # sockets that lines over ssh forward to hosts
