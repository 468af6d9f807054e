# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test that is killed leaves nothing behind: no process, no port, no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.local_site import ROOT, wait_for
from tests.leftovers import ours

DEPLOYS = """
from tests.integration.local_site import SiteLab
site = SiteLab(63)
print(site.folder, flush=True)
site.good("deploy")
site.machine("freeze", "server_1")
print("deployed", flush=True)
input()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_killed_test_takes_its_site_along(how: signal.Signals) -> None:
    test = subprocess.Popen(
        [sys.executable, "-c", DEPLOYS], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert test.stdout is not None
    folder = test.stdout.readline().strip()
    assert test.stdout.readline() == "deployed\n"
    assert len(ours(folder)) > 20, "three servers with an item each, and more"
    os.killpg(test.pid, how)
    test.wait(10)
    wait_for(lambda: not ours(folder) and not Path(folder).exists(), "nothing of it left", lambda: ours(folder))
