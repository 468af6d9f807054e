# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of the ledger: a ledger on real SQLite files, records for it, a process that uses it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.controller import ledger

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(name="ledger")
def ledger_fixture(tmp_path: Path) -> Iterator[ledger.Ledger]:
    with ledger.Ledger(str(tmp_path / "state" / "ledger.db"), patience=5.0) as made:
        made.create("scenario_2", "scenario_2-c0ffee")
        yield made


def claim(epoch: int, host: str = "server_1") -> dict[str, object]:
    return {"host": host, "epoch": epoch, "phase": "running"}


def line(what: str, **more: object) -> dict[str, object]:
    return {"at": 1000.0, "who": "eve", "from": "controller", "what": what, "why": "a test", "result": "ok", **more}


def script(text: str, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that imports the ledger; it says a line when it is where the test wants it."""
    head = "import sys, time, sqlite3\nfrom monitor.core.controller import ledger_files\n"
    head += "from monitor.core.controller.ledger import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + text, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
