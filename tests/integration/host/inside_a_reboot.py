# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside of a test machine: ``before`` its reboot items and a host service run, ``after`` it only the latter.

It reboots in the middle of a rollout: of two items that share their units, one has the new configuration.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from monitor.core.host.machine import files as machine_files
from tests.integration.host.host_in_a_folder import Host, program, service_texts, wait_for

KEPT = Path("/var/lib/muster-test-host.json")
FOLDER = "/var/lib/muster-test"


ROLLED = ("two_01", "two_02")


def configured(host: Host, umask: str) -> dict[str, Any]:
    for name in ROLLED:
        host.define(name, [program("bus", 1, umask=umask)], units="two")
    files = host.config_files()
    return {"digest": machine_files.config_digest(files), "files": files, "instances": dict.fromkeys(ROLLED, umask)}


def umask_of(host: Host, name: str) -> str:
    return Path("/proc/%d/status" % host.pids(name)["bus"]).read_text().split("Umask:\t")[1].split("\n", 1)[0]


def main(step: str) -> None:
    host = Host(folder=FOLDER)
    host.define("app_01", [program("bus", 1), program("core", 2)])
    if step == "before":
        host.prepare(services=service_texts("common"))
        assert host.do("start", "app_01", 1)["result"] == "running"
        for name in ROLLED:
            host.do("start", name, 1, digest="0022", config=configured(host, "0022"))
        host.do("restart", "two_01", 2, digest="0077", config=configured(host, "0077"))
        KEPT.write_text(json.dumps([host.facts, host.observe()["incarnation"]]))
        return
    host.facts, before = json.loads(KEPT.read_text())
    wait_for(lambda: "common" in host.observe()["services"], "the host service started with the machine", 30)
    seen = host.observe()
    assert seen["incarnation"] != before, "another incarnation"
    assert seen["instances"]["app_01"]["programs"] == {} and seen["instances"]["app_01"]["claim"] == 1
    assert not [path for kind in ("app", "two") for path in Path("/run/systemd/system").glob("muster-%s*" % kind)]
    for name, digest in zip(ROLLED, ("0077", "0022")):
        assert host.do("start", name, 3, digest=digest, config=configured(host, "0077"))["result"] == "running"
        assert umask_of(host, name) == digest
    host.define("app_01", [program("bus", 1), program("core", 2)])
    assert host.do("start", "app_01", 2)["result"] == "running"
    assert set(host.pids("app_01")) == {"bus", "core"}


if __name__ == "__main__":
    main(sys.argv[1])
