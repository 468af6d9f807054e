# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m monitor`: watch the buses of a site, and have playbook runs repair what fails."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .base.journal import Journal
from .daemon import AlreadyRunning, serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m monitor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--state-dir", type=Path, required=True, help="the site's muster_state_dir on this controller")
    parser.add_argument(
        "-i", "--inventory", action="append", required=True, help="inventory for the runs; may be repeated"
    )
    parser.add_argument("--log", type=Path, help="file for the JSON log, rotated by size (default: standard error)")
    parser.add_argument("--no-standby", action="store_true", help="only watch; do not keep a run ready, start no run")
    parser.add_argument(
        "--patience", type=float, default=10.0, help="seconds to wait for a run at work before it stops (10)"
    )
    options = parser.parse_args()
    if not options.state_dir.is_dir():
        parser.error("%s is not a folder: deploy the site first" % options.state_dir)
    if options.state_dir.stat().st_uid != os.geteuid():
        parser.error("%s belongs to another user; only its owner may run the monitor" % options.state_dir)
    journal = Journal(options.log)
    try:
        serve(
            options.state_dir.resolve(),
            options.inventory,
            journal,
            standby=not options.no_standby,
            patience=options.patience,
        )
    except AlreadyRunning as error:
        journal.say("refused", str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
