# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that only look: their options, and what is loaded to carry one out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .places import Places

Command = Callable[[argparse.Namespace, Places], int]
Add = Callable[[str, Command, str, str], argparse.ArgumentParser]


def status(add: Add) -> None:
    parser = add("status", view("status"), "what runs where, and how well", "status --watch")
    parser.add_argument("--json", action="store_true", help="the whole document, for programs")
    parser.add_argument("--watch", action="store_true", help="stay, and show every change")
    parser.add_argument("--last", action="store_true", help="as the last run saw it: at once, without asking a host")
    parser.add_argument("--fresh", action="store_true", help="observe every host now, even where a monitor runs")
    parser.add_argument(
        "--every", type=seconds, default=10.0, help="--watch: seconds between observations of the hosts (10)"
    )


def plan(add: Add) -> None:
    from ..core.client.options import add_saving

    parser = add("plan", view("plan"), "what reconcile would do now, and why; nothing is done", "plan")
    parser.add_argument("--json", action="store_true", help="the whole plan, for programs")
    parser.add_argument("--fresh", action="store_true", help="observe every host first, even where a monitor runs")
    add_saving(parser)
    parser.add_argument("--from", dest="file", metavar="FILE", help="decide over a captured file; no site is needed")


def why(add: Add) -> None:
    parser = add("why", view("why"), "how one instance is, why, and what happened", "why scen2_srv_02")
    parser.add_argument("instance", metavar="INSTANCE", help="name of the instance, or id of an item")
    parser.add_argument("-n", "--number", type=int, default=12, help="number of events shown (12)")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def explain(add: Add) -> None:
    text = "where the applications of an item run and why, and why each candidate host is suitable or not"
    parser = add("explain", question("explain"), text, "explain 02")
    parser.add_argument("item", metavar="ITEM", help="id of the item, or name of one of its instances")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def what_if(add: Add) -> None:
    text = "what would happen under assumptions; nothing is done"
    parser = add("what-if", question("what_if"), text, "what-if --down server_2 --down server_3")
    for name, metavar, meaning in (
        ("down", "HOST", "the host is dead"),
        ("up", "HOST", "the host came back, with nothing running"),
        ("drain", "HOST", "the host is drained"),
        ("undrain", "HOST", "the host is used again"),
        ("add-item", "ID[:SLOT]", "the site has one more item"),
        ("remove-item", "ID", "the site no longer has the item"),
        ("load", "HOST=PERCENT", "other work takes so much of the host's machine"),
    ):
        parser.add_argument("--" + name, action="append", metavar=metavar, help=meaning + "; may be repeated")
    parser.add_argument("--json", action="store_true", help="the whole answer, for programs")


def events(add: Add) -> None:
    parser = add("events", view("events"), "what happened, who did it, and why", "events --follow")
    parser.add_argument("-n", "--number", type=int, default=30, help="number of newest events shown (30)")
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and show each event as it happens")
    parser.add_argument("--instance", help="only events of this instance")
    parser.add_argument("--verify", action="store_true", help="on the controller: whether the trail was changed")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


def check(add: Add) -> None:
    parser = add("check", view("check"), "validate the site; nothing is changed", "check --hosts -i inventory/local")
    parser.add_argument("--hosts", action="store_true", help="check also whether each host can be deployed to")


def capture(add: Add) -> None:
    text = "write everything that a plan depends on to a file"
    parser = add("capture", write_capture, text, "capture before.yml")
    parser.add_argument("file", nargs="?", metavar="FILE", help="a new file (default: named after site and time)")


def write_capture(options: argparse.Namespace, found: Places) -> int:
    from . import capture

    return capture.write(options.file, found)


def view(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        if name == "status" and found.remote is not None:
            from . import by_api

            return by_api.status(options, found.remote)
        from . import views  # the ledger and its core are only loaded by commands that read them

        return int(getattr(views, name)(options, found))

    return command


def question(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        from . import questions

        return int(getattr(questions, name)(options, found))

    return command


def seconds(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


COMMANDS: dict[str, Callable[[Add], None]] = {
    "status": status, "plan": plan, "why": why, "explain": explain, "what-if": what_if, "events": events,
    "check": check, "capture": capture,
}  # fmt: skip
