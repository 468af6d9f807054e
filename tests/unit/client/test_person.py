# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a command line says it is."""

from __future__ import annotations

import os

import pytest

from monitor.core.client import person


def test_the_name_stands_beside_the_account_and_sudo_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(os.geteuid() + 1))
    monkeypatch.setenv("SUDO_USER", "adam")
    monkeypatch.setenv("MUSTER_PERSON", "Eve")
    assert person.me() == "adam (Eve)"
    monkeypatch.setenv("SUDO_UID", str(os.geteuid()))
    monkeypatch.setenv("LOGNAME", "ops")
    monkeypatch.delenv("MUSTER_PERSON")
    assert person.me() == "ops"


def test_a_name_that_is_no_text_is_shortened_and_made_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_PERSON", os.fsdecode(b"E\xff" + b"e" * 100))
    assert person.said() == "E?" + "e" * 58
