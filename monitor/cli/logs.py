# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster logs` without a monitor: a run of the playbook reads them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..core.client.commands import FAILED, OK, UnknownName
from ..core.client.programs import NEWEST, Printer, show_failed
from ..core.controller import last_words
from .by_playbook import Event, play
from .places import Places, UsageError
from .verbs import Progress, ended


def by_run(options: argparse.Namespace, found: Places) -> int:
    """Print the last lines.

    :return: the exit code.
    :raises UsageError: for what only a monitor can do.
    """
    if options.failed:
        return _kept(options, str(found.need_state()))
    if options.follow:
        raise UsageError("no monitor answers, and only a monitor follows logs: leave out --follow")
    extra: dict[str, Any] = {"muster_logs": options.name, "muster_lines": options.lines, "muster_show": False}
    for name in ("since", "until", "grep", "previous"):
        if getattr(options, name):
            extra["muster_" + name] = getattr(options, name)
    progress, failed, lines = Progress(sys.stderr), list[Event](), list[dict[str, Any]]()
    code = FAILED
    for event in play("logs", found.need_inventory(), extra, timeout=options.timeout):
        if event.kind == "ok" and event.action == "logs":
            lines += [line for line in event.result.get("lines") or [] if options.host in (None, line["host"])]
        elif event.kind == "task":
            progress.show(event.name)
        elif event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.kind == "end":
            progress.clear()
            code = ended(event, failed)
    Printer([], options.json).show_named(lines, options.lines)
    return code


def _kept(options: argparse.Namespace, state_dir: str) -> int:
    """Print what is kept of a failure, from the state folder."""
    name = options.failed
    if name == NEWEST:
        known = last_words.listed(state_dir, options.name, 1)
        name = known[0]["id"] if known else ""
    record = last_words.shown(state_dir, name)
    if record is None:
        raise UnknownName("nothing is kept of a failure of %s" % options.name)
    show_failed(record, options)
    return OK
