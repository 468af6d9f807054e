# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host service that ends again and again pauses before it starts, and status says so.

From Supervisor/supervisor#487, #1189. On a host, with both service managers:
`tests/integration/host/test_host_agent_prepare.py`.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from monitor.core.report import status
from tests.integration.local_site import ROOT
from tests.small_site import quiet_host, small_site, small_state

NOW = 1_700_000_000.0


@pytest.fixture(name="var")
def var_fixture(tmp_path: Path) -> Path:
    """The working folder of a service."""
    folder = tmp_path / "var"
    folder.mkdir()
    return folder


def start(folder: Path) -> tuple[float, str]:
    """:return: seconds until the service runs, and what was said."""
    began = time.monotonic()
    done = subprocess.run(
        [str(ROOT / "bin/muster-exec"), "--service", "/bin/echo", "it runs"], cwd=folder, check=True, text=True,
        env={"PATH": "/usr/bin:/bin", "MUSTER_PROGRAM": "bus", "MUSTER_ROOT": str(folder.parent)}, capture_output=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout == "it runs\n"
    return time.monotonic() - began, done.stderr


def test_the_fourth_start_within_minutes_waits_and_says_why(var: Path) -> None:
    assert [start(var)[1] for _unused in range(3)] == [""] * 3
    took, said = start(var)
    assert took > 4.5
    assert said == "muster-exec: bus ended soon after each of its last 3 starts, so it starts in 5 s\n"


@pytest.mark.parametrize("text", [
    "", "x", "08 %d", "3", "3 08", "9999999999999 %d", "3 9999999999999", "-3 %d", "3 $(reboot)", "3\n%d",
    "7 99999999999",
])  # fmt: skip
def test_what_is_no_count_counts_nothing(var: Path, text: str) -> None:
    (var / ".muster-starts-bus").write_text(text.replace("%d", str(int(time.time()))))
    assert start(var)[1] == ""


def test_one_that_ran_for_a_minute_begins_anew(var: Path) -> None:
    (var / ".muster-starts-bus").write_text("8 %d\n" % (time.time() - 61))
    assert start(var)[1] == ""
    assert (var / ".muster-starts-bus").read_text().startswith("0 ")


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_start(var: Path) -> None:
    (var / ".muster-starts-bus").mkdir()
    assert start(var)[1] == ""


def test_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    assert start(tmp_path)[1] == ""
    assert not list(tmp_path.iterdir())


def test_status_shows_the_pause() -> None:
    seen = quiet_host("server_1", services={"common_data_bus": {"pid": 7, "started": NOW - 9, "pause": 30.0}})
    document = status.status_document(small_site(items=1), small_state(), 1, {"server_1": seen}, {}, NOW)
    shown = document["services"]["common_data_bus"]["hosts"]["server_1"]
    assert shown["state"] == "stopped" and "ended soon after each start on server_1" in shown["why"]
    assert "a pause of 30 s" in shown["why"]
