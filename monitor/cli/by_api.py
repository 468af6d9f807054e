# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands beside a monitor that answers: they ask it, and start no Ansible. Output and exit codes are the same."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ..core.client.api import Refused, Remote

Json = dict[str, Any]
OK, NO, USAGE, LATE = 0, 1, 2, 4  # exit codes
BACK = 1.0  # s between looks whether a monitor that went away is there again


def status(options: argparse.Namespace, remote: Remote) -> int:
    """What runs where; with --watch it is shown anew whenever something changes."""
    document = remote.get("/status", options.timeout)
    code = show_status(document, options)
    while options.watch:
        try:
            for event, news in remote.follow():
                if event == "status" and news["at"] > document["at"]:
                    document = news
                    show_status(document, options)
        except (OSError, ValueError):
            pass
        print("the monitor does not answer: waiting for it", file=sys.stderr)
        time.sleep(BACK)
    return code


def show_status(document: Json, options: argparse.Namespace) -> int:
    """:return: the exit code: `NO` while the monitor cannot run playbooks."""
    import json

    code = NO if (document.get("monitor") or {}).get("no_runs") else OK

    if sys.stdout.isatty() and options.watch and not options.json:
        print("\033[H\033[2J", end="")
    if options.json:
        print(
            json.dumps(document, separators=(",", ":")) if options.watch else json.dumps(document, indent=2), flush=True
        )
        return code
    import shutil

    from ..core.report import status as status_report

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((120, 40)).columns
    print(status_report.render_table(document, width, colour), end="", flush=True)
    return code


def act(options: argparse.Namespace, remote: Remote, verb: str, extra: Mapping[str, Any]) -> int:
    """A request that changes something; `extra` as the playbook would get it. Who asks is told by the socket."""
    body: Json = {"kind": verb.replace("-", "_")}
    for name, value in extra.items():
        field = name.removeprefix("muster_")
        if field not in ("who", "from") and value not in ("", None, False):
            body[field] = value
    try:
        answer = remote.post("/actions", body, options.timeout)
    except Refused as refused:
        for error in refused.errors or [{"message": str(refused)}]:
            print(error["message"], file=sys.stderr)
        return USAGE if refused.incomplete else NO
    stream = sys.stdout if answer["ok"] or not answer.get("refused") else sys.stderr
    for sentence in answer["said"]:
        print(sentence, file=stream, flush=True)
    return OK if answer["ok"] else NO


def follow(remote: Remote, after: int, show: Any) -> None:
    """Show the trail as it grows, for ever; a monitor that went away is waited for."""
    while True:
        try:
            for event, entry in remote.follow(after):
                if event == "trail":
                    after = int(entry["id"])
                    show(entry)
        except (OSError, ValueError):
            pass
        time.sleep(BACK)
