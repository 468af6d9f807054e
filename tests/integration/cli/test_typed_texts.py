# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks use text that people type, at the command line or through the API, as text and never as a template."""

from __future__ import annotations

import asyncio
from pathlib import Path

from monitor.cli.by_playbook import play
from monitor.runs.runs import Runs

LOCAL = str(Path(__file__).resolve().parents[3] / "inventory" / "local")


def typed(folder: Path) -> tuple[Path, dict[str, str]]:
    """(what a template would make, variables): retire looks at the host's name first, and refuses this one."""
    mark = folder / "mark"
    return mark, {"muster_host": "{{ lookup('pipe', 'touch %s') }}" % mark}


def test_at_the_command_line(tmp_path: Path) -> None:
    mark, variables = typed(tmp_path)
    events = list(play("retire", [LOCAL], variables, timeout=60.0))
    assert any("say -e muster_host=NAME" in event.text for event in events), events
    assert not mark.exists()


def test_through_the_monitor(tmp_path: Path) -> None:
    mark, variables = typed(tmp_path)

    async def work() -> str:
        runs = Runs(tmp_path, [LOCAL])
        job = runs.begin("retire", variables, 60.0)
        outcome = await job.done
        assert outcome.code, outcome
        return (job.folder / "stdout").read_text()

    assert "say -e muster_host=NAME" in asyncio.run(work())
    assert not mark.exists()
