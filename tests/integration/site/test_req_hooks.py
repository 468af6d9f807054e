# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command is called when an item's verdict changes, by the monitor of a real site."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.local_site import site_lab, wait_for

SCRIPT = """\
import json, sys
change = json.load(sys.stdin)
with open(sys.argv[1], "a", encoding="utf-8") as handle:
    handle.write(json.dumps(change) + "\\n")
"""


def told(path: Path) -> list[tuple[str, str]]:
    try:
        changes = [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [(change["item"], change["verdict"]) for change in changes]


@pytest.mark.long
def test_a_hook_hears_of_an_item_that_fails_and_of_its_return() -> None:
    with site_lab(46, consoles=["console_1"], muster_items=["01"]) as lab:
        folder, there = lab.shared()
        (folder / "hook.py").write_text(SCRIPT)
        out = folder / "told"
        command = [sys.executable, there + "/hook.py", there + "/told"]
        lab.set(muster_hooks=[{"on": ["not operational", "operational"], "command": command, "debounce": 0}])
        lab.good("deploy")
        lab.start_monitor()
        before = len(told(out))
        pid = lab.program("scen2_srv_01", "config_manager")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: ("01", "not operational") in told(out)[before:], "the hook gets the failure", lab.monitor_log)
        assert lab.muster("restart", "scen2_srv_01").rc == 0
        wait_for(lambda: told(out)[-1] == ("01", "operational"), "the hook gets the recovery", lab.monitor_log)
