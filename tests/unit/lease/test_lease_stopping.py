# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order an instance ends with the lease of its host, as its claim says."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.host.lease import stopping
from monitor.core.host.machine import instance_files

PROGRAMS = [
    {"name": "bus", "stop_sequence": 1}, {"name": "core", "stop_sequence": 2}, {"name": "view", "stop_sequence": 2},
]  # fmt: skip


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> str:
    for folder in ("claims", "seen"):
        (tmp_path / "run" / folder).mkdir(parents=True)
    return str(tmp_path)


def claim(root: str, **environment: str) -> stopping.Claim:
    instance_files.write_claim(root, "app_01", 3, {**stopping.line(PROGRAMS), **environment})
    return stopping.read(root, "app_01")


def test_the_greatest_stop_sequence_ends_first(root: str) -> None:
    found = claim(root)
    assert found.last({"bus", "core", "view"}) == ["core", "view"]
    assert found.last({"bus", "core"}) == ["core"]
    assert found.last({"bus"}) == ["bus"]
    assert found.last(set()) == []
    assert found.last({"bus", "a child of somebody"}) == ["a child of somebody"]
    assert not found.kill


def test_programs_may_be_killed_at_once(root: str) -> None:
    assert claim(root, MUSTER_LEASE_LOST="kill").kill


def test_without_a_claim_all_end_together(root: str) -> None:
    assert stopping.read(root, "app_02").last({"bus", "core"}) == ["bus", "core"]


def test_why_it_ended_is_noted_once_and_under_its_epoch_only(root: str) -> None:
    claim(root)
    stopping.remember(root, "app_01")
    assert instance_files.read_seen(root, "app_01") == {}
    instance_files.write_seen(root, "app_01", {"epoch": 2})
    stopping.remember(root, "app_01")
    assert "ended" not in instance_files.read_seen(root, "app_01")
    instance_files.write_seen(root, "app_01", {"epoch": 3, "ended": {"program": "bus"}})
    stopping.remember(root, "app_01")
    assert instance_files.read_seen(root, "app_01")["ended"] == {"program": "bus"}
    instance_files.write_seen(root, "app_01", {"epoch": 3})
    stopping.remember(root, "app_01")
    assert instance_files.read_seen(root, "app_01")["ended"]["program"] == "*lease"
