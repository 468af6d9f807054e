# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster ledger backup`, `restore`, `move` and `muster adopt`: where the ledger is, and when it is lost."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..core.client.commands import FAILED, OK, REFUSED
from ..core.client.person import me
from ..core.controller import adopt as controller_adopt
from ..core.controller import moving
from ..core.controller.ledger import LedgerError
from .by_playbook import Event, play
from .places import Places, UsageError
from .verbs import ended


def backup(options: argparse.Namespace, places: Places) -> int:
    """Copy the ledger.

    :raises UsageError: when the ledger is not on this machine, or cannot be copied.
    """
    try:
        print(controller_adopt.export(str(places.need_state()), options.path or "", options.keep))
    except LedgerError as error:
        raise UsageError(str(error)) from None
    return OK


def move(options: argparse.Namespace, places: Places) -> int:
    """Move the ledger to etcd, or back into the state folder.

    :return: the exit code.
    :raises UsageError: when it is not said where to.
    """
    to: dict[str, Any] = {}
    if not options.to:
        raise UsageError("say where to: --to folder, or --to https://controller_1:2379,https://controller_2:2379,...")
    if options.to != "folder":
        to = {"etcd": options.to.split(","), "ca": options.ca, "cert": options.cert, "key": options.key}
        wrong = [url for url in to["etcd"] if not url.startswith(("http://", "https://"))]
        if wrong:
            raise UsageError("--to %s: must be the word folder (the state folder), or addresses that begin with http://"
                             " or https://" % wrong[0])  # fmt: skip
    try:
        print(moving.move(str(places.need_state()), to))
    except LedgerError as error:
        print("muster: %s" % error, file=sys.stderr)
        return REFUSED
    return OK


def adopt(options: argparse.Namespace, places: Places, exact: bool = False) -> int:
    """Show what the new ledger would hold, ask, and make it.

    :param exact: the backup as it is.
    :return: the exit code.
    """
    asked: dict[str, Any] = {"down": options.confirmed_down or [], "exact": exact, "backup": options.path or "",
                             "who": me()}  # fmt: skip
    code, shown = _played(options, places, asked)
    if code != OK:
        return code
    print("\n".join(shown["lines"]))
    if options.dry_run:
        return OK
    if not options.yes and not _agreed():
        print("nothing was changed", file=sys.stderr)
        return REFUSED
    code, made = _played(options, places, {**asked, "agreed": shown["fingerprint"]})
    if code == OK and made["changed"]:
        print("the ledger is made. Next: muster deploy, which publishes the site; then start the monitor")
    return code


def _agreed() -> bool:
    """Whether a person says so. Without a terminal nobody does."""
    if not sys.stdin.isatty():
        print("this needs a person's yes: run it on a terminal, or give --yes", file=sys.stderr)
        return False
    try:
        return input("make this ledger? Type yes: ").strip() == "yes"
    except EOFError:
        return False


def _played(options: argparse.Namespace, places: Places, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """:return: the exit code, and the result of the step that tells or makes."""
    failed: list[Event] = []
    result: dict[str, Any] = {}
    extra = {"muster_" + name: value for name, value in asked.items() if value}
    for event in play("adopt", places.need_inventory(), extra, timeout=options.timeout):
        if event.kind == "ok" and event.action == "adopt":
            result = event.result
        elif event.kind == "failed":
            failed.append(event)
        elif event.kind == "end":
            code = ended(event, failed)
            if any(step.action == "adopt" for step in failed):
                return REFUSED, result
            return (code if code != OK or result else FAILED), result
    return FAILED, result
