# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts of booted hosts that need leases: an audit from outside sees no instance on two of them, ever."""

from __future__ import annotations

import time

import pytest

from tests.lab.cuts import cut_again_and_again

KINDS = ["pulled in", "two servers and a console", "stands still", "controller", "power"]


@pytest.mark.long
@pytest.mark.parametrize("manager", ["systemd", "supervisor"])
def test_no_cut_shows_two_copies(manager: str) -> None:
    said: list[str] = []
    found = cut_again_and_again(manager, "witnesses", len(KINDS), 1, time.monotonic() + 400, KINDS, said.append)
    assert found["count"] == 0, (said, found["twice"])
    assert len(found["cuts"]) == len(KINDS) and found["samples"] > 100, said


@pytest.mark.long
def test_the_audit_sees_two_copies_where_nothing_excludes_them() -> None:
    said: list[str] = []
    found = cut_again_and_again("supervisor", "none", 1, 1, time.monotonic() + 300, ["pulled out"], said.append)
    assert found["count"], said
