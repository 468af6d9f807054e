# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster` for people on a console that is another machine than the controller.

It asks the monitor through the socket that the monitor's line provides there (`host.line`), and nothing else: no
inventory, no Ansible, no state. Words and exit codes are those of the controller's `muster`, whose requests and output
it shares (`client.options`, `client.commands`). The role monitor installs it.
"""

from __future__ import annotations

import argparse
import grp
import os
import sys
from typing import Any, Dict, Mapping, Optional, Sequence

from ..host import relay
from ..model.request import KINDS
from ..model.sentences import CANNOT_RUN
from ..model.version import VERSION
from ..report import rollouts
from . import answers, api, complete, figures, forward, happened, programs, terminal, verbs, withdraw
from . import options as request_options
from .commands import (
    FAILED,
    NO_ANSWER,
    OK,
    REFUSED,
    UNKNOWN,
    USAGE,
    UnknownName,
    act,
    add_parts,
    chosen,
    codes,
    follow,
    named,
    print_why,
    refusal,
    say,
    watch,
)
from .forward import NoWay
from .parser import Parser, seconds

WIDTH = 120  # characters of a line where there is no terminal
EPILOG = """\
examples:
  muster status                          what runs where, and how well
  muster open 02                         open the HCI of item 02 on this console
  muster close 02                        close it, on whichever console shows it
  muster logs 02 --follow                what its programs write, as they write it
  muster stop 02                         stop the services of item 02 until someone starts them
  muster explain 02                      where item 02 runs and why, and what speaks against each other host
  muster drain server_2 --dry-run        what would move to other hosts, and what cannot
  muster page                            serve the page of this console at http://127.0.0.1:8770/

%s
environment: MUSTER_HOST (the name of this host in the inventory, where the machine is several hosts), MUSTER_PERSON
(your name beside an account that several people share)
""" % codes()


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code of one command."""
    return terminal.guarded(lambda: _main(arguments))


def _main(arguments: Optional[Sequence[str]]) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:2] == ["complete", "--"]:
        return _complete(given[2:])
    options = _parser().parse_args(given)
    if options.verb == "completion":  # needs no monitor
        sys.stdout.write(complete.SCRIPTS[options.shell])
        return OK
    try:
        remote = api.Remote(find(os.environ, relay.SHARED))
        return int(options.command(options, remote))
    except UnknownName as error:
        _tell("muster: %s" % error)
        return UNKNOWN
    except NoWay as error:
        _tell("muster: %s" % error)
        return error.code
    except (api.Lost, api.Late) as error:
        _tell("muster: %s" % error)
        return NO_ANSWER
    except api.Refused as refused:
        return refusal(refused)
    except (request_options.Incomplete, answers.NoAssumption) as error:
        _tell("muster: %s" % error)
        return USAGE
    except KeyboardInterrupt:
        _tell("")
        return 130


def _complete(words: Sequence[str]) -> int:
    """Print what a shell may complete."""
    try:
        status: Mapping[str, Any] = api.Remote(find(os.environ, relay.SHARED)).get("/status", 2.0)
    except (NoWay, api.Lost, api.Late, api.Refused):
        status = {}
    for word in complete.candidates(_parser(), words, status):
        say(word)
    return OK


def find(environ: Mapping[str, str], shared: str) -> str:
    """The path of the socket of this host.

    :param shared: folder with one folder per host.
    :raises NoWay: when there is none, or this user may not use it.
    """
    try:
        hosts = sorted(os.listdir(shared))
    except OSError:
        hosts = []
    if environ.get("MUSTER_HOST"):
        hosts = [name for name in hosts if name == environ["MUSTER_HOST"]]
    if not hosts:
        raise NoWay("there is no way to the monitor for people on this machine: its inventory names no"
                    " muster_console_group, or the playbook controller was not run since")
    if len(hosts) > 1:
        raise NoWay("this machine is several hosts: set MUSTER_HOST to one of %s" % ", ".join(hosts), USAGE)
    folder = os.path.join(shared, hosts[0])
    if not os.access(folder, os.X_OK):
        raise NoWay("only members of the group %s may use muster on %s; log in again after you became one"
                    % (_group(os.stat(folder).st_gid), hosts[0]), REFUSED)
    path = os.path.join(folder, relay.SOCKET)
    connection = api.connect(path)
    if connection is None:
        raise NoWay("the monitor has no line to %s now: it is stopped, starting, or cannot reach this machine"
                    % hosts[0])
    connection.close()
    return path


def status(options: argparse.Namespace, remote: api.Remote) -> int:
    """What runs where, as a table made by the monitor.

    :return: the exit code: `FAILED` while the monitor cannot run playbooks, `NOT_NORMAL` where that is asked.
    """

    def show(_document: Any) -> None:
        _show(options, remote)

    code = _show(options, remote)
    if options.watch:
        watch(remote, show)
    return code


def _show(options: argparse.Namespace, remote: api.Remote) -> int:
    import shutil

    width = max(40, min(1000, shutil.get_terminal_size((WIDTH, 40)).columns))
    code, ask = OK, {"width": str(width)}
    if options.json or options.items or options.not_normal:
        document, code = chosen(remote.get("/status", options.timeout), options)
        if options.json:
            _as_json(document)
            return code
        ask.update(items=",".join(options.items), not_normal=str(int(options.not_normal)))
    text = remote.text("/status.txt", options.timeout, **ask)
    if options.watch and sys.stdout.isatty():
        sys.stdout.write(terminal.CLEAR)
    sys.stdout.write(text)
    sys.stdout.flush()
    return FAILED if "\n" + CANNOT_RUN in text else code


def request(options: argparse.Namespace, remote: api.Remote) -> int:
    """What the monitor carries out."""
    body = request_options.request_of(KINDS[options.kind], options).to_json()
    return act(body, remote, options.timeout, options.dry_run, getattr(options, "save", None) or "",
               getattr(options, "approve", False))


def why(options: argparse.Namespace, remote: api.Remote) -> int:
    """One instance, or each of an item: how it is, why, what would be done next, and what happened."""
    for number, name in enumerate(named(options.instance, remote.get("/status", options.timeout))):
        if number and not options.json:
            say("")
        _why(name, options, remote)
    return OK


def _why(name: str, options: argparse.Namespace, remote: api.Remote) -> None:
    document = remote.get("/why/" + api.quoted(name), options.timeout, limit=options.number)
    if options.json:
        _as_json(document)
        return
    status = {"monitor": document, "last_words": document.get("last_words")}
    error = document.get("error") or ""
    print_why(name, document["instance"], status, document.get("plan"), error, document["trail"])


def events(options: argparse.Namespace, remote: api.Remote) -> int:
    """The trail: what happened, who did it, and why."""
    if happened.filtered(options) and not options.follow:
        return happened.events(options, remote)

    def show(entry: Mapping[str, Any]) -> None:
        if not options.instance or entry.get("instance") == options.instance:
            happened.show([dict(entry, kind="trail")], options.json)

    query: Dict[str, Any] = {"limit": options.number}
    if options.instance:
        query["instance"] = options.instance
    for entry in remote.get("/events", options.timeout, **query)["events"]:
        show(entry)
    if options.follow:
        follow(remote, int(remote.get("/events", options.timeout, limit=1)["last"]), show)
    return OK


def plan(options: argparse.Namespace, remote: api.Remote) -> int:
    """What a reconcile would do now, and why."""
    lacking = request_options.approves_nothing(options)
    if lacking:
        raise request_options.Incomplete(lacking)
    if options.save:
        return act({"kind": "reconcile"}, remote, options.timeout, True, options.save, options.approve)
    if options.json:
        _as_json(remote.get("/plan", options.timeout))
    else:
        say(remote.text("/plan.txt", options.timeout).rstrip("\n"))
    return OK


def rollout(options: argparse.Namespace, remote: api.Remote) -> int:
    """How far the rollout is."""
    document = remote.get("/status", options.timeout).get("rollout")
    if options.json:
        _as_json(document)
        return OK
    for line in rollouts.lines(document, all_of_it=True):
        say(line)
    return OK


def explain(options: argparse.Namespace, remote: api.Remote) -> int:
    """Where the applications of an item run and why, and what speaks against each other host."""
    document = remote.get("/explain/" + api.quoted(options.item), options.timeout)
    if options.json:
        _as_json(document)
    else:
        answers.print_explanation(document)
    return OK


def what_if(options: argparse.Namespace, remote: api.Remote) -> int:
    """What would happen under assumptions."""
    document = remote.post("/what-if", answers.assumptions(options), options.timeout)
    if options.json:
        _as_json(document)
    else:
        answers.print_what_if(document)
    return answers.what_if_code(document)


def whoami(options: argparse.Namespace, remote: api.Remote) -> int:
    found = remote.get("/whoami", options.timeout)
    say("%s on %s%s" % (found["who"], found["host"], "" if found["console"] else ", which shows no items"))
    return OK


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _as_json(document: Any) -> None:
    import json

    say(json.dumps(document, indent=2))


def _parser() -> Parser:
    parser = Parser(
        prog="muster", description="What runs for the controlled items, and which HCIs are open on this console.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb")
    commands.required = True

    def common(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--timeout", type=seconds, default=300.0, help="seconds until the command gives up (300)")

    def add(name: str, command: Any, text: str, example: str = "") -> argparse.ArgumentParser:
        epilog = "example:\n  muster %s" % example if example else None
        sub = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".", epilog=epilog,
                                  formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        common(sub)
        sub.set_defaults(command=command)
        return sub

    sub = add("status", status, "what runs where, and how well")
    add_parts(sub)
    sub.add_argument("--json", action="store_true", help="the whole document, for programs")
    sub.add_argument("--watch", action="store_true", help="stay, and show every change")
    sub = add("plan", plan, "what reconcile would do now, and why; nothing is done")
    sub.add_argument("--json", action="store_true", help="the whole plan, for programs")
    request_options.add_saving(sub)
    verbs.Verbs(add, common, request, rollout).add(verbs.by_console())
    withdraw.add_withdraw(add("withdraw", withdraw.withdraw, withdraw.TEXT, withdraw.EXAMPLE))
    sub = add("explain", explain, "where the applications of an item run and why, and why not elsewhere", "explain 02")
    sub.add_argument("item", metavar="ITEM", help="id of the item, or name of one of its instances")
    sub.add_argument("--json", action="store_true", help="the same, for programs")
    sub = add("what-if", what_if, "what would happen under assumptions; nothing is done", "what-if --down server_2")
    answers.add_assumptions(sub)
    sub = add("why", why, "how one instance is, why, and what happened")
    sub.add_argument("instance", metavar="INSTANCE", help="name of the instance, or id of an item")
    sub.add_argument("-n", "--number", type=happened.number, default=12, help="number of events shown (12)")
    sub.add_argument("--json", action="store_true", help="the same, for programs")
    sub = add("events", events, "what happened, who did it, and why")
    happened.add_events(sub)
    sub = add("alarms", answers.text_of("/alarms"), "what a person has to know of, what to do about it, and who knows")
    sub.add_argument("--json", action="store_true", help="the whole list, for programs")
    sub = add("handover", answers.text_of("/handover"), "what one shift tells the next", "handover --since 06:00")
    sub.add_argument("--since", metavar="WHEN", help="8h (ago, the default), 06:00 or '2030-01-31 14:00'")
    sub.add_argument("--json", action="store_true", help="the same, for programs")
    happened.add_availability(add("availability", happened.availability, happened.AVAILABILITY_TEXT))
    for name in ("logs", "tail"):
        programs.add_logs(add(name, programs.logs, programs.TEXTS[name]))
    programs.add_ps(add("ps", programs.ps, programs.TEXTS["ps"]))
    figures.add_top(add("top", figures.top, figures.TOP_TEXT))
    sub = add("page", forward.page, "serve the page of this console to your browser, until you end the command")
    sub.add_argument("--port", type=int, default=forward.PORT, help="port of the loopback address (%d)" % forward.PORT)
    sub = add("completion", None, "what makes a shell complete commands, items, instances and hosts")
    sub.add_argument("shell", choices=sorted(complete.SCRIPTS), help='now: eval "$(muster completion bash)"')
    parser.add_argument("--version", action="version", version="muster %s" % VERSION)
    add("whoami", whoami, "the user and host that the monitor takes you for")
    return parser


def _tell(text: str) -> None:
    say(text, sys.stderr)
