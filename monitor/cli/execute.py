# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster exec`: a command beside a program that runs, by the monitor or by a run."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from typing import Any

from ..core.client.api import Late, Lost, Refused
from ..core.client.commands import INTERRUPTED, say
from ..core.client.person import me
from ..core.model import execution
from .by_playbook import Event, play
from .places import Places, UsageError
from .verbs import Progress, ended

MORE_SECONDS = 30.0  # beyond the time of the command, until the answer is there
TEXT = "run a command beside a program that runs: in its environment and folder, as its user, within its limits"


def add_exec(parser: argparse.ArgumentParser) -> None:
    """Add what `exec` takes."""
    parser.add_argument("--within", type=int, default=execution.WITHIN, metavar="SECONDS",
                        help="seconds after which it is killed (%d)" % execution.WITHIN)  # fmt: skip
    parser.add_argument("--reason", "--why", dest="why", default="", metavar="TEXT", help="the reason, for the trail")
    parser.add_argument("--json", action="store_true", help="what came of it as JSON, with its outputs in base64")
    parser.add_argument("program", metavar="INSTANCE/PROGRAM", help="also with the id of an item in place of INSTANCE")
    parser.add_argument("words", nargs="*", metavar="-- COMMAND",
                        help="the command and its arguments, which no shell reads")  # fmt: skip
    parser.epilog = (
        "exit code: that of the command; 128 and the number of the signal that ended it; 124 when it took too long, 126"
        "\nwhen it cannot be started, 127 when there is no such program; 125 when muster ran nothing, or does not know."
        "\nexample:\n  muster exec 02/data_processing -- ls -l /proc/self/fd"
    )


def execute(options: argparse.Namespace, found: Places) -> int:
    """Run it and print its outputs.

    :return: its exit code, or 125.
    """
    words = options.words
    if not words:
        raise UsageError("say which command: muster exec %s -- COMMAND" % options.program)
    if not 1 <= options.within <= execution.LONGEST:
        raise UsageError("--within must be from 1 to %d" % execution.LONGEST)
    asked = {"program": options.program, "command": words, "within": options.within, "why": options.why}
    try:
        came = _by_monitor(asked, found) if found.remote is not None else _by_run(asked, options, found)
    except (Refused, Late, Lost) as error:
        came = {"error": str(error)}
    except KeyboardInterrupt:
        print("\nmuster: interrupted; the command goes on for %d s at most" % options.within, file=sys.stderr)
        return INTERRUPTED
    if came.get("error"):
        print("muster: %s" % came["error"], file=sys.stderr)
        return execution.FAILED_CODE
    if options.json:
        say(json.dumps(came, indent=2))
    else:
        _show(came)
    return int(came["code"])


def _by_monitor(asked: dict[str, Any], found: Places) -> dict[str, Any]:
    assert found.remote is not None
    return found.remote.post("/exec", asked, asked["within"] + MORE_SECONDS, patient=True)


def _by_run(asked: dict[str, Any], options: argparse.Namespace, found: Places) -> dict[str, Any]:
    extra = {"muster_" + name: value for name, value in asked.items()}
    extra.update(muster_who=me(), muster_from=os.environ.get("MUSTER_HOST", ""))
    progress, failed, came = Progress(sys.stderr), list[Event](), dict[str, Any]()
    timeout = max(options.timeout, asked["within"] + MORE_SECONDS)
    for event in play("exec", found.need_inventory(), {**found.here(), **extra, "muster_show": False}, timeout=timeout):
        if event.action == "exec" and "came" in event.result:  # a step that failed says it, too
            came = event.result["came"]
        elif event.kind == "task":
            progress.show(event.name)
        elif event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.kind == "end":
            progress.clear()
            if failed or not came:
                ended(event, failed)
    return came or {"error": "nothing was run"}


def _show(came: dict[str, Any]) -> None:
    """Its outputs as they are; on a terminal without what a terminal obeys."""
    for name, stream, left in zip(("out", "err"), (sys.stdout, sys.stderr), came["left_out"], strict=True):
        data = base64.b64decode(came[name])
        stream.flush()
        stream.buffer.write(_harmless(data) if stream.isatty() else data)
        stream.flush()
        if left:
            print("muster: %d bytes more are left out" % left, file=sys.stderr)
    if came.get("why"):
        print("muster: %s" % came["why"], file=sys.stderr)
    if came.get("untold"):
        print("muster: %s" % came["untold"], file=sys.stderr)


def _harmless(data: bytes) -> bytes:
    text = data.decode("utf-8", "backslashreplace")
    shown = (c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text.replace("\r\n", "\n"))
    return "".join(shown).encode("utf-8", "replace")
