# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster`: arguments, help, exit codes.

The commands that change something are made of the table in `model.request`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..core.client import api as remote
from ..core.client import terminal
from ..core.client.commands import NO_ANSWER, OK, REFUSED, UNKNOWN, USAGE, UnknownName, code, codes
from ..core.client.parser import Parser, seconds
from ..core.model.version import VERSION
from . import by_sudo, looks
from . import places as places_module
from .looks import Add, Command
from .places import Places, UsageError

EPILOG = """\
examples:
  muster status                              what runs where, and how well
  muster open 02 --console console_3         open the HCI of item 02 on console_3
  muster stop 02                             stop the services of item 02 until someone starts them
  muster start 'scen2_srv_*' --reason "maintenance is over"
  muster drain server_2 --dry-run            what would move to other hosts, and what cannot
  muster pause 02 --why 'new fan' --until 2h no automatic actions for item 02 for two hours
  muster reset scen2_srv_02                  clear its failures: it starts again
  muster why scen2_srv_02                    how it is, why, and what happened
  muster events --follow                     every event, as it happens
  muster logs 02 --follow                    what the programs of item 02 write, as they write it
  muster explain 02                          where item 02 runs and why, and what speaks against each other host
  muster what-if --down server_2             what would happen then; nothing is done
  muster -i inventory/example plan           what reconcile would do now, and why

%s
Where a monitor runs, it carries commands out; elsewhere they run the playbooks.
environment: MUSTER_INVENTORY, MUSTER_STATE_DIR, MUSTER_HOST (the console of the caller), MUSTER_HOST_ROOT (the folder
of this host: commands ask the monitor through it), MUSTER_PERSON (your name beside an account that several people
share), NO_COLOR
Through sudo for another user, commands are about this installation's site (/etc/muster/state): -i and --state-dir are
refused.
""" % codes()

# Commands that no monitor carries out.
ALONE = ("deploy", "check", "capture", "ledger", "adopt", "completion", "manual")
GOES_ON = "what hosts or the monitor have begun goes on: muster status tells, and reconcile finishes it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: of the command line; by default those of this process.
    :return: the exit code.
    """
    return terminal.guarded(lambda: _main(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: Sequence[str]) -> int:
    if arguments[:2] == ["complete", "--"]:
        from .completing import complete  # a shell asks, not a person

        return complete(_parser(""), arguments[2:])
    options = _parsed(arguments)
    try:
        if by_sudo.for_another(os.environ, os.geteuid()):
            by_sudo.enter(options)
        found = places_module.find(options.inventory or [], options.state_dir or "", os.environ)
        found = found._replace(remote=_remote(options, found))
        return _carried_out(options, found)
    except (UsageError, UnknownName) as error:
        print("muster: %s" % error, file=sys.stderr)
        return UNKNOWN if isinstance(error, UnknownName) else USAGE
    except (remote.Late, remote.Lost) as error:
        print("muster: %s" % error, file=sys.stderr)
        return NO_ANSWER
    except remote.Refused as error:
        print("muster: %s" % error, file=sys.stderr)
        return code(error)
    except KeyboardInterrupt:
        begun = options.command is _change and not options.dry_run
        print("\nmuster: interrupted" + ("; " + GOES_ON if begun else ""), file=sys.stderr)
        return 130
    except PermissionError as error:
        print("muster: %s may not be used by this user: the owner of the site may" % error.filename, file=sys.stderr)
        return REFUSED
    except Exception as error:
        from ..runs.playbooks import NoAnsible  # not for commands that need none

        if not isinstance(error, NoAnsible):
            raise
        print("muster: %s" % error, file=sys.stderr)
        return USAGE


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What is behind the `--` of `exec` is a command of its own."""
    parser = _parser(arguments[0] if arguments else "")
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    if next((word for word in arguments[:end] if word in parser.commands), "") != "exec":
        return parser.parse_args(arguments)
    options = parser.parse_args(arguments[:end])
    options.words = [*options.words, *arguments[end + 1 :]]
    return options


def _carried_out(options: argparse.Namespace, found: Places) -> int:
    """Carry the command out, without the monitor when that does not take it: too much is asked of it, or it hangs."""
    try:
        return int(options.command(options, found))
    except (remote.Busy, remote.Silent) as error:
        if not (found.inventory or found.state_dir):
            raise
        print("muster: %s; the command goes on without the monitor" % error, file=sys.stderr)
        return int(options.command(options, found._replace(remote=None)))


def _remote(options: argparse.Namespace, found: Places) -> remote.Remote | None:
    """The monitor that answers. With an inventory given, a command is about that inventory's site only."""
    away = options.verb == "plan" and (options.file or options.deploy)
    if options.verb in ALONE or away or getattr(options, "fresh", False):
        return None
    here = {} if options.inventory or options.state_dir else os.environ
    if not here and found.state_dir is None:
        return None
    return remote.find(found.state_dir, here)


def _parser(first: str) -> Parser:
    """The parser of a command line.

    :param first: its first word. When that is a command that only looks, the parser knows only this one: the others
        cost several milliseconds.
    """
    parser = Parser(
        prog="muster",
        description="Applications per controlled item: where they run, how well, and what is wanted of them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _common(parser, None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb", required=True)
    parser.add_argument("--version", action="version", version="muster %s" % VERSION)

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

    look = looks.COMMANDS
    views = {
        **{name: look[name] for name in ("status", "plan", "why", "explain", "what-if", "events")},
        **{name: look[name] for name in ("alarms", "availability", "handover", "logs", "tail", "ps", "top", "exec")},
        "withdraw": _withdraw, "rotate-key": _rotate_key, "check": look["check"], "capture": look["capture"],
        "ledger": _ledger, "adopt": _adopt, "demo": _demo, "completion": _completion, "manual": _manual,
    }  # fmt: skip
    if first in views:
        views[first](add)
        return parser
    views.pop("status")(add)
    views.pop("plan")(add)
    _requests(add)
    for view in views.values():
        view(add)
    return parser


def _requests(add: Add) -> None:
    """The commands that change something."""
    from ..core.client.verbs import Verbs, by_command

    def common(parser: argparse.ArgumentParser) -> None:
        _common(parser, argparse.SUPPRESS)

    Verbs(add, common, _change, looks.view("rollout")).add(by_command())


def _withdraw(add: Add) -> None:
    from ..core.client.withdraw import EXAMPLE, TEXT, add_withdraw

    def withdraw(options: argparse.Namespace, found: Places) -> int:
        from . import withdraw as by_state

        return by_state.withdraw(options, found)

    add_withdraw(add("withdraw", withdraw, TEXT, EXAMPLE))


_WOULD_ROTATE = "every host would get another key for its leases, and use it before the old one is dropped"
_ROTATED = "every host has another key for its leases, and the old one is no longer valid"


def _rotate_key(add: Add) -> None:
    rotate = add("rotate-key", _rotate, "give the site another key for its leases, without a pause", "rotate-key")
    rotate.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _rotate(options: argparse.Namespace, places: Places) -> int:
    from .verbs import run

    code = run(options, places, "rotate_key", {})
    if code == OK:
        print(_WOULD_ROTATE if options.dry_run else _ROTATED)
    return code


def _ledger(add: Add) -> None:
    text = "copy the ledger (backup), put a copy in the place of one that is lost (restore), or move it (move)"
    ledger = add("ledger", _lost("ledger"), text, "ledger backup /mnt/backup")
    ledger.add_argument("what", choices=["backup", "restore", "move"])
    ledger.add_argument("path", nargs="?", metavar="PATH", help="backup: the folder that gets the copy; restore: a"
                        " copy, or a folder with copies (default: backup/ of the state folder)")  # fmt: skip
    ledger.add_argument("--keep", type=looks.whole, default=3, metavar="N", help="backup: how many copies stay there"
                        " (default: 3)")  # fmt: skip
    ledger.add_argument("--to", metavar="WHERE", help="move: the word folder, or addresses of etcd's members, by"
                        " commas")  # fmt: skip
    for name in ("ca", "cert", "key"):
        ledger.add_argument("--" + name, metavar="FILE", default="", help="move: for members with https")
    _agreement(ledger)


def _adopt(add: Add) -> None:
    text = "make a new ledger for a living site, from a backup and what its hosts show; nothing is started or stopped"
    adopt = add("adopt", _lost("adopt"), text, "adopt --backup /mnt/backup")
    adopt.add_argument("--backup", dest="path", metavar="PATH", help="a copy of the lost ledger, or a folder of them")
    _agreement(adopt)


def _agreement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirmed-down", action="append", metavar="HOST",
                        help="you have seen that this host is switched off; may be repeated")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show only what the ledger would hold")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _lost(name: str) -> Command:
    def command(options: argparse.Namespace, found: Places) -> int:
        from . import lost

        if name == "ledger" and options.what == "backup":
            return lost.backup(options, found)
        if name == "ledger" and options.what == "move":
            return lost.move(options, found)
        return lost.adopt(options, found, exact=name == "ledger")

    return command


def _demo(add: Add) -> None:
    text = "three servers, three consoles and three items on this machine, with a monitor"
    demo = add("demo", _run_demo, text, "demo")
    demo.add_argument("what", nargs="?", choices=["stop"], help="take everything of it away again")


def _run_demo(options: argparse.Namespace, _found: Places) -> int:
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bin", "demo")
    os.execv(os.path.normpath(program), ["demo", *([options.what] if options.what else [])])


def _completion(add: Add) -> None:
    from .completing import add_completion

    add_completion(add)


def _manual(add: Add) -> None:
    def manual(_options: argparse.Namespace, _found: Places) -> int:
        from ..core.client.manual import page

        sys.stdout.write(page(_parser("")))
        return OK

    add("manual", manual, "this help as a manual page", "manual | man -l -")


def _common(parser: argparse.ArgumentParser, default: object) -> None:
    """Options that may precede or follow the command."""
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
        type=seconds,
        default=300.0 if default is None else default,
        help="seconds until the command gives up (300)",
    )


def _change(options: argparse.Namespace, found: Places) -> int:
    from . import verbs

    return verbs.change(options, found)
