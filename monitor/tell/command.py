# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the command of a hook, and tells the journal what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base import commands
from ..base.journal import Journal
from ..core.model.parts import NOTIFY
from ..core.model.site import Hook

ROOT = Path(__file__).resolve().parents[2]


async def run(
    hook: Hook, document: Mapping[str, Any], folder: Path, journal: Journal, facts: Mapping[str, Any]
) -> bool:
    """Run it to its end; what it prints goes to the journal. :return: whether it did its work."""
    command, own = list(hook.command), {}
    if command[0] == NOTIFY:
        command[:1] = [sys.executable, "-m", "monitor.tell.notify"]
        own["PYTHONPATH"] = str(ROOT)
    try:
        ended = await commands.run(command, document, hook.timeout, folder, own)
    except OSError as error:
        journal.say("hook failed", "it cannot be started: %s" % (error.strerror or error), **facts)
        return False
    more = {**facts, "output": ended.said} if ended.said else dict(facts)
    if ended.why:
        journal.say("hook failed", ended.why, **more)
        return False
    journal.say("hook", **more)
    return True
