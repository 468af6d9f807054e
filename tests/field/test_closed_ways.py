# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade switches leases on where a firewall drops their datagrams: it is refused, and nothing stops.

From hashicorp/serf#216 ("most support requests are for blocked UDP traffic") and hashicorp/memberlist#37. The rules of
the kernel are real, in a network namespace of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(shutil.which(name, path=PATH) for name in ("nft", "unshare", "ip")),
        reason="needs root, nft, unshare and ip",
    ),
]


def test_an_upgrade_behind_a_closed_port_is_refused_and_stops_nothing() -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.field.closed_ways"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, timeout=400, check=False
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine allows no namespace, or no rules in one")
    assert done.returncode == 0, done.stderr
    first, checked, refused, without, opened, later = json.loads(done.stdout.splitlines()[-1])
    assert first["rc"] == 0 and first["settings"] == []
    for told in (checked, refused):
        assert told["rc"] != 0
        assert "no answer from the witness server_2" in told["said"] and "port 26990" in told["said"]
        assert "the controller gets no answer from the witness server_2" in told["said"]
        assert "nothing was changed" in told["said"] and "exclusion: none" in told["said"]
        assert told["settings"] == [], "no host was touched"
    assert without["rc"] == 0 and without["settings"] == []
    assert opened["rc"] == 0 and len(opened["settings"]) == 4, opened["said"]
    assert later["rc"] == 0 and "Listen where leases" not in later["said"], "what was open once is not tried again"
    assert all(step["programs"] == first["programs"] for step in (checked, refused, without, opened, later))
