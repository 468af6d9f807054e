# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster`: arguments, help, exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

from ..core.client import api as remote
from ..core.model.sentences import did_you_mean
from . import by_sudo, maintenance
from . import places as places_module
from .by_api import LATE, NO, USAGE
from .places import Places, UsageError

EPILOG = """\
examples:
  muster status                              what runs where, and how well
  muster open 02 --console console_3         show item 02 on console_3
  muster stop scen2_srv_01                   stays stopped until somebody starts it
  muster start 'scen2_srv_*' --reason "maintenance is over"
  muster drain server_2 --dry-run            what would move to other servers, and what cannot
  muster pause 02 --why 'new fan' --until 2h nothing automatic touches item 02 until then
  muster reset scen2_srv_02                  failed too often, and repaired now: it starts again
  muster why scen2_srv_02                    how it is, why, and what happened
  muster events --follow                     everything that happens, as it happens
  muster explain 02                          where it is and why, and what each host has to say
  muster what-if --down server_2             what would happen then; nothing is touched
  muster -i inventory/example plan           what reconcile would do now, and why

exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 4 not done in time
beside a monitor that answers, commands ask it; else they run the playbooks
environment: MUSTER_INVENTORY, MUSTER_STATE_DIR, MUSTER_HOST (the console of who asks), MUSTER_HOST_ROOT (the folder of
the host we are on: its monitor is asked from there), NO_COLOR
by sudo for another user it is about this installation's site (/etc/muster/state), without -i and --state-dir
"""

Command = Callable[[argparse.Namespace, Places], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if by_sudo.for_another(os.environ, os.geteuid()):
            by_sudo.enter(options)
        found = places_module.find(options.inventory or [], options.state_dir or "", os.environ)
        found = found._replace(remote=_remote(options, found))
        return int(options.command(options, found))
    except UsageError as error:
        print("muster: %s" % error, file=sys.stderr)
        return USAGE
    except remote.Late as error:
        print("muster: %s" % error, file=sys.stderr)
        return LATE
    except (remote.Lost, remote.Refused) as error:
        print("muster: %s" % error, file=sys.stderr)
        return NO
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        from ..runs.playbooks import NoAnsible  # not for commands that need none

        if not isinstance(error, NoAnsible):
            raise
        print("muster: %s" % error, file=sys.stderr)
        return USAGE


def _remote(options: argparse.Namespace, found: Places) -> remote.Remote | None:
    """The monitor that answers. With an inventory of its own a command is about that one's site only."""
    offline = getattr(options, "fresh", False) or getattr(options, "file", None)
    if options.verb in ("deploy", "check", "capture") or offline:
        return None
    here = {} if options.inventory or options.state_dir else os.environ
    if not here and found.state_dir is None:
        return None
    return remote.find(found.state_dir, here)


def change(options: argparse.Namespace, found: Places) -> int:
    from . import verbs

    return verbs.change(options, found)


class _Parser(argparse.ArgumentParser):
    """Names the nearest command to one that does not exist."""

    commands: Collection[str] = ()

    def error(self, message: str) -> NoReturn:
        typed = re.search(r"invalid choice: '([^']*)'", message)
        near = did_you_mean(typed[1], self.commands) if typed else ""
        if typed and near:
            message = "there is no command %s%s (muster --help shows all)" % (typed[1], near)
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="muster",
        description="Applications per controlled item: where they run, how they are, and what is wanted of them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _common(parser, None)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="verb", required=True, parser_class=argparse.ArgumentParser
    )
    parser.commands = commands.choices

    def add(name: str, command: Command, text: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=text[:1].upper() + text[1:] + ".",
            epilog="example:\n  muster %s" % example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _common(sub, argparse.SUPPRESS)
        sub.set_defaults(command=command)
        return sub

    status = add("status", _view("status"), "what runs where, and how well", "status --watch")
    status.add_argument("--json", action="store_true", help="the whole document, for programs")
    status.add_argument("--watch", action="store_true", help="stay and follow what happens")
    status.add_argument("--last", action="store_true", help="as the last run saw it: at once, no host is asked")
    status.add_argument("--fresh", action="store_true", help="look at every host now, also beside a monitor")
    status.add_argument("--every", type=_seconds, default=10.0, help="--watch: seconds between looks at the hosts (10)")
    plan = add("plan", _view("plan"), "what reconcile would do now, and why; nothing is done", "plan")
    plan.add_argument("--json", action="store_true", help="the whole plan, for programs")
    plan.add_argument("--fresh", action="store_true", help="look at every host first, also beside a monitor")
    plan.add_argument("--from", dest="file", metavar="FILE", help="decide over a captured file: no site is needed")
    capture = add("capture", _capture, "write all that a plan depends on to a file", "capture before.yml")
    capture.add_argument("file", nargs="?", metavar="FILE", help="new (default: named after the site and the time)")
    for name, text in (
        ("start", "start instances, where they fit best; clears a failed state"),
        ("stop", "stop instances; they stay stopped until somebody starts them"),
        ("restart", "restart instances where they are"),
    ):
        sub = add(name, change, text, "%s scen2_srv_01" % name)
        sub.add_argument("instances", nargs="+", metavar="INSTANCE", help="its name, or a pattern like 'scen2_srv_*'")
        _reason(sub)
    show = add("open", change, "show an item on a console", "open 02 --console console_3")
    show.add_argument("item", metavar="ITEM", help="the item's id, or the name of the instance that shows it")
    show.add_argument("--console", metavar="HOST", help="where (default: MUSTER_HOST)")
    show.add_argument("--take", action="store_true", help="from the console that shows it now; needs --reason")
    _reason(show)
    close = add("close", change, "close what shows an item, from anywhere", "close 02")
    close.add_argument("item", metavar="ITEM", help="the item's id, or the name of the instance that shows it")
    _reason(close)
    for name, text in (
        ("drain", "move what runs on a host to other hosts, and use it no more"),
        ("undrain", "use a drained host again"),
    ):
        sub = add(name, change, text, "%s server_2" % name)
        sub.add_argument("host", metavar="HOST")
        _reason(sub)
        if name == "drain":
            maintenance.add_drain_options(sub)
    maintenance.add_commands(add, change, _reason)
    host = add("host", change, "say what became of a host", "host confirm-down server_2 --reason 'it burnt'")
    host.add_argument(
        "what", choices=["confirm-down"], help="confirm-down: nothing of it lives any more, what it held may move"
    )
    host.add_argument("host", metavar="HOST")
    _reason(host)
    why = add("why", _view("why"), "how one instance is, why, and what happened", "why scen2_srv_02")
    why.add_argument("instance", metavar="INSTANCE")
    why.add_argument("-n", "--number", type=int, default=12, help="events shown (12)")
    why.add_argument("--json", action="store_true", help="the same, for programs")
    explain = add(
        "explain", _question("explain"), "where an item's applications are and why; every candidate host", "explain 02"
    )
    explain.add_argument("item", metavar="ITEM", help="the item's id, or the name of one of its instances")
    explain.add_argument("--json", action="store_true", help="the same, for programs")
    what_if = add(
        "what-if",
        _question("what_if"),
        "what would happen if; nothing is touched",
        "what-if --down server_2 --down server_3",
    )
    _assumptions(what_if)
    events = add("events", _view("events"), "what happened, who did it, and why", "events --follow")
    events.add_argument("-n", "--number", type=int, default=30, help="newest events shown (30)")
    events.add_argument("-f", "--follow", action="store_true", help="stay and show what happens")
    events.add_argument("--instance", help="only of this instance")
    events.add_argument("--json", action="store_true", help="one JSON object per line")
    _reason(add("reconcile", change, "repair whatever differs from what is wanted", "reconcile"))
    _reason(add("deploy", change, "prepare the hosts and bring everything to what is wanted", "deploy"))
    check = add("check", _view("check"), "validate the site; nothing is changed", "check --hosts -i inventory/local")
    check.add_argument("--hosts", action="store_true", help="look, too, whether each host can be deployed to")
    return parser


def _assumptions(what_if: argparse.ArgumentParser) -> None:
    for name, metavar, text in (
        ("down", "HOST", "it is dead"),
        ("up", "HOST", "it came back, with nothing running"),
        ("drain", "HOST", "it is drained"),
        ("undrain", "HOST", "it is used again"),
        ("add-item", "ID[:SLOT]", "the site has this item, too"),
        ("remove-item", "ID", "the site does not have this item any more"),
        ("load", "HOST=PERCENT", "so much other work is on its machine"),
    ):
        what_if.add_argument("--" + name, action="append", metavar=metavar, help=text + "; may be repeated")
    what_if.add_argument("--json", action="store_true", help="the whole answer, for programs")


def _common(parser: argparse.ArgumentParser, default: object) -> None:
    """Options that may stand before or behind the command."""
    parser.add_argument(
        "-i",
        "--inventory",
        action="append",
        default=default,
        help="default: MUSTER_INVENTORY, else the last one used",
    )
    parser.add_argument("--state-dir", default=default, help="the site's state folder, where this is the controller")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=300.0 if default is None else default,
        help="seconds until the command gives up (300)",
    )


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", "--why", default="", metavar="TEXT", help="why, for the trail")


def _seconds(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


def _capture(options: argparse.Namespace, found: Places) -> int:
    from . import capture

    return capture.write(options.file, found)


def _view(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        if name == "status" and found.remote is not None:
            from . import by_api

            return by_api.status(options, found.remote)
        from . import views  # the ledger and its core are only loaded by commands that read them

        return int(getattr(views, name)(options, found))

    return command


def _question(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        from . import questions

        return int(getattr(questions, name)(options, found))

    return command
