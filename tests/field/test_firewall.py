# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall lets only ssh in, and one day sshd refuses for a moment: no bus is restarted, and no item moves.

From ClusterLabs/crmsh PR#1024, apache/kvrocks-controller#329 (a node that is taken for dead by one path only). The
rules of the kernel are real, in a network namespace of their own.
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

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(name, path=PATH) for name in ("nft", "unshare", "ip")),
    reason="needs root, nft, unshare and ip",
)


@pytest.mark.parametrize(("verdict", "kind"), [("drop", "unreachable"), ("reject with tcp reset", "refused")])
def test_closed_ports_of_buses_are_neither_a_crash_nor_a_lost_host(verdict: str, kind: str) -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.field.behind_a_firewall", verdict]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, timeout=120, check=False
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine allows no namespace, or no rules in one")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kinds"] == [kind]
    assert found["bus"] == "unknown"
    assert set(found["host"]) == {"suspect"}, "one lost signal, and one that never was fine"
