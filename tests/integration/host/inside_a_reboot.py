# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside of a test machine: ``before`` its reboot an item and a host service run, ``after`` it only the latter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.integration.host.host_in_a_folder import Host, program, service_texts, wait_for

KEPT = Path("/var/lib/muster-test-host.json")
FOLDER = "/var/lib/muster-test"


def main(step: str) -> None:
    host = Host(folder=FOLDER)
    host.define("app_01", [program("bus", 1), program("core", 2)])
    if step == "before":
        host.prepare(services=service_texts("common"))
        assert host.do("start", "app_01", 1)["result"] == "running"
        KEPT.write_text(json.dumps([host.facts, host.observe()["incarnation"]]))
        return
    host.facts, before = json.loads(KEPT.read_text())
    wait_for(lambda: "common" in host.observe()["services"], "the host service started with the machine", 30)
    seen = host.observe()
    assert seen["incarnation"] != before, "another incarnation"
    assert seen["instances"]["app_01"]["programs"] == {} and seen["instances"]["app_01"]["claim"] == 1
    assert not list(Path("/run/systemd/system").glob("muster-app*"))
    assert host.do("start", "app_01", 2)["result"] == "running"
    assert set(host.pids("app_01")) == {"bus", "core"}


if __name__ == "__main__":
    main(sys.argv[1])
