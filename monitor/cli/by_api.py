# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster status` where a monitor runs: the command asks the monitor and starts no Ansible."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ..core.client import terminal
from ..core.client.api import Remote
from ..core.client.commands import chosen, watch

Json = dict[str, Any]


def status(options: argparse.Namespace, remote: Remote) -> int:
    """Print what runs where; with `--watch` again after every change.

    :return: the exit code.
    """
    document = remote.get("/status", options.timeout)
    code = show_status(document, options)

    def show(news: Json) -> None:
        nonlocal document
        if news["at"] > document["at"]:
            document = news
            show_status(document, options)

    if options.watch:
        watch(remote, show)
    return code


def show_status(document: Json, options: argparse.Namespace) -> int:
    """Print a status document, or what of it is asked for, as a table or as JSON.

    :return: the exit code: `FAILED` while the monitor cannot run playbooks, `NOT_NORMAL` where that is asked.
    """
    import json

    document, code = chosen(document, options)

    if sys.stdout.isatty() and options.watch and not options.json:
        print(terminal.CLEAR, end="")
    if options.json:
        print(
            json.dumps(document, separators=(",", ":")) if options.watch else json.dumps(document, indent=2), flush=True
        )
        return code
    import shutil

    from ..core.report import status_text

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((120, 40)).columns
    print(status_text.render_table(document, width, colour), end="", flush=True)
    return code
