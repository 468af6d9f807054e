# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are there and do nothing: what is asked for waits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.integration.local_site import SiteLab, wait_for


@contextlib.contextmanager
def frozen_runs(lab: SiteLab) -> Iterator[None]:
    """Stop the monitor's runs while the body runs; one of them is parked."""

    def parked() -> bool:
        return bool(json.loads((lab.state / "run" / "monitor.json").read_text())["standby"] == "parked")

    wait_for(parked, "a parked run", lab.monitor_log)
    runs = _runs(lab)
    assert runs
    for pid in runs:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in runs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _runs(lab: SiteLab) -> set[int]:
    mark, found = str(lab.state / "artifacts").encode(), set[int]()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if b"ansible-playbook" in words and mark in words:
                found.add(int(entry.name))
    return found
