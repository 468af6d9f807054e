# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that only look: their options, and what is loaded to carry one out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..core.client.commands import add_parts
from ..core.client.parser import seconds
from .places import Places, UsageError

Command = Callable[[argparse.Namespace, Places], int]
Add = Callable[[str, Command, str, str], argparse.ArgumentParser]


def status(add: Add) -> None:
    parser = add("status", view("status"), "what runs where, and how well", "status --watch")
    add_parts(parser)
    parser.add_argument("--json", action="store_true", help="the whole document, for programs")
    parser.add_argument("--watch", action="store_true", help="stay, and show every change")
    parser.add_argument("--last", action="store_true", help="as the last run saw it: at once, without asking a host")
    parser.add_argument("--fresh", action="store_true", help="observe every host now, even where a monitor runs")
    parser.add_argument(
        "--every", type=seconds, default=10.0, help="--watch: seconds between observations of the hosts (10)"
    )


def plan(add: Add) -> None:
    from ..core.client.options import add_saving

    parser = add("plan", view("plan"), "what reconcile would do now, and why; nothing is done", "plan --deploy")
    parser.description = (
        "What reconcile would do now, and why; nothing is done. It looks at the site as it was deployed last; with"
        " --deploy at the inventory as it is now, and shows what a deploy would do."
    )
    parser.add_argument("--deploy", action="store_true", help="what a deploy of the inventory as it is now would do")
    parser.add_argument("--json", action="store_true", help="the whole plan, for programs")
    parser.add_argument("--fresh", action="store_true", help="observe every host first, even where a monitor runs")
    add_saving(parser)
    parser.add_argument("--from", dest="file", metavar="FILE", help="decide over a captured file; no site is needed")


def why(add: Add) -> None:
    from ..core.client.happened import number

    parser = add("why", view("why"), "how one instance is, why, and what happened", "why scen2_srv_02")
    parser.add_argument("instance", metavar="INSTANCE", help="name of the instance, or id of an item")
    parser.add_argument("-n", "--number", type=number, default=12, help="number of events shown (12)")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def explain(add: Add) -> None:
    text = "where the applications of an item run and why, and why each candidate host is suitable or not"
    parser = add("explain", question("explain"), text, "explain 02")
    parser.add_argument("item", metavar="ITEM", help="id of the item, or name of one of its instances")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def what_if(add: Add) -> None:
    from ..core.client.answers import add_assumptions

    text = "what would happen under assumptions; nothing is done"
    parser = add("what-if", question("what_if"), text, "what-if --down server_2 --down server_3")
    add_assumptions(parser)


def events(add: Add) -> None:
    from ..core.client.happened import add_events

    parser = add("events", view("events"), "what happened, who did it, and why", "events --follow")
    add_events(parser)
    parser.add_argument("--verify", action="store_true", help="on the controller: whether the trail was changed")


def alarms(add: Add) -> None:
    text = "what a person has to know of, what to do about it, and who knows"
    parser = add("alarms", _alarms("alarms"), text, "alarms")
    parser.add_argument("--all", action="store_true", help="also what is suppressed by design, and all details")
    parser.add_argument("--rates", action="store_true", help="also how many there are, beside EEMUA 191's figures")
    parser.add_argument("--json", action="store_true", help="the whole list, for programs")


def availability(add: Add) -> None:
    from ..core.client.happened import AVAILABILITY_TEXT, add_availability

    parser = add("availability", _alarms("availability"), AVAILABILITY_TEXT, "availability --over month --csv")
    add_availability(parser)


def handover(add: Add) -> None:
    text = "what one shift tells the next: what is not normal, who holds what back until when, what changed, notes"
    parser = add("handover", _alarms("handover"), text, "handover --since 06:00")
    parser.add_argument("--since", metavar="WHEN", help="8h (ago, the default), 06:00 or '2030-01-31 14:00'")
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def _alarms(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        from . import alarms as room

        return int(getattr(room, name)(options, found))

    return command


def logs(add: Add, name: str = "logs") -> None:
    from ..core.client.programs import TEXTS, add_logs

    add_logs(add(name, show_logs, TEXTS[name], name + " 02 --follow"))


def tail(add: Add) -> None:
    logs(add, "tail")


def show_logs(options: argparse.Namespace, found: Places) -> int:
    if found.remote is not None:
        from ..core.client.programs import logs as by_api

        return by_api(options, found.remote)
    from .logs import by_run

    return by_run(options, found)


def exec_(add: Add) -> None:
    from .execute import TEXT, add_exec

    add_exec(add("exec", _execute, TEXT, "exec 02/data_processing -- ls"))


def _execute(options: argparse.Namespace, found: Places) -> int:
    from .execute import execute

    return execute(options, found)


def ps(add: Add) -> None:
    from ..core.client.programs import TEXTS, add_ps, ps

    add_ps(add("ps", _by_monitor(ps), TEXTS["ps"], "ps 02"))


def top(add: Add) -> None:
    from ..core.client import figures

    figures.add_top(add("top", _by_monitor(figures.top), figures.TOP_TEXT, "top --sort memory"))


def _by_monitor(answer: Callable[[argparse.Namespace, Any], int]) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        if found.remote is None:
            raise UsageError("no monitor answers, and only a monitor asks hosts for this: see muster status")
        return answer(options, found.remote)

    return command


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


def whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


COMMANDS: dict[str, Callable[[Add], None]] = {
    "status": status, "plan": plan, "why": why, "explain": explain, "what-if": what_if, "events": events,
    "alarms": alarms, "availability": availability, "handover": handover, "logs": logs, "tail": tail, "ps": ps,
    "top": top, "exec": exec_, "check": check, "capture": capture,
}  # fmt: skip
