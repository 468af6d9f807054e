# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that says without end costs its own task only: from an attack on the running demo (C H3).

Ansible keeps what a command says in memory, all of it, before any limit of muster's can look at it.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from tests.integration.local_site import ROOT

IN_A_TASK = """
import resource, subprocess, sys
sys.path.insert(0, sys.argv[1])
import _bounded
before = resource.getrlimit(resource.RLIMIT_AS)
try:
    with _bounded.memory(sys.argv[2], 64 << 20):
        said = subprocess.run(["head", "-c", "300000000", "/dev/zero"], stdout=subprocess.PIPE).stdout
    print(len(said))
except MemoryError:
    print("too much")
assert resource.getrlimit(resource.RLIMIT_AS) == before
print(len(bytes(300000000)))
"""


def said(transport: str) -> list[str]:
    command = [sys.executable, "-c", IN_A_TASK, str(ROOT / "plugins/plugin_utils"), transport]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split("\n")


def test_a_flood_ends_the_call_and_nothing_else() -> None:
    assert said("ssh")[:2] == ["too much", "300000000"]


@pytest.mark.parametrize("transport", ["local", "machine", "docker"])
def test_what_a_connection_starts_on_this_machine_inherits_no_bound(transport: str) -> None:
    assert said(transport)[:2] == ["300000000", "300000000"]
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
