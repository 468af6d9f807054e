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
import socket
import sys
import threading
from typing import Any, Dict, Mapping, Optional, Sequence

from ..host import relay
from ..model.request import KINDS
from ..model.sentences import CANNOT_RUN
from . import api, peer, terminal
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
    codes,
    follow,
    named,
    print_why,
    refusal,
    say,
    watch,
)

WIDTH = 120  # characters of a line where there is no terminal
PORT = 8770
REQUESTS = ("open", "close", "start", "stop", "restart")
EPILOG = """\
examples:
  muster status                          what runs where, and how well
  muster open 02                         open the HCI of item 02 on this console
  muster close 02                        close it, on whichever console shows it
  muster stop 02                         stop the services of item 02 until someone starts them
  muster page                            serve the page of this console at http://127.0.0.1:8770/

%s
environment: MUSTER_HOST (the name of this host in the inventory, where the machine is several hosts)
""" % codes()


class NoWay(Exception):
    """The monitor cannot be reached from here; the text is one sentence.

    :param code: the exit code.
    """

    def __init__(self, sentence: str, code: int = NO_ANSWER) -> None:
        super().__init__(sentence)
        self.code = code


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code of one command."""
    with terminal.guarded():
        return _main(arguments)


def _main(arguments: Optional[Sequence[str]]) -> int:
    options = _parser().parse_args(arguments)
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
    except request_options.Incomplete as error:
        _tell("muster: %s" % error)
        return USAGE
    except KeyboardInterrupt:
        _tell("")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


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

    :return: the exit code: `FAILED` while the monitor cannot run playbooks.
    """

    def show(_document: Any) -> None:
        _show(options, remote)

    code = _show(options, remote)
    if options.watch:
        watch(remote, show)
    return code


def _show(options: argparse.Namespace, remote: api.Remote) -> int:
    import shutil

    if options.json:
        document = remote.get("/status", options.timeout)
        _as_json(document)
        return FAILED if document["monitor"].get("no_runs") else OK
    width = max(40, min(1000, shutil.get_terminal_size((WIDTH, 40)).columns))
    text = remote.text("/status.txt", options.timeout, width=width)
    if options.watch and sys.stdout.isatty():
        sys.stdout.write(terminal.CLEAR)
    sys.stdout.write(text)
    sys.stdout.flush()
    return FAILED if "\n" + CANNOT_RUN in text else OK


def request(options: argparse.Namespace, remote: api.Remote) -> int:
    """Any of `REQUESTS`."""
    body = request_options.request_of(KINDS[options.kind], options).to_json()
    return act(body, remote, options.timeout, options.dry_run, options.save or "", options.approve)


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
    status, error = {"monitor": document}, document.get("error") or ""
    print_why(name, document["instance"], status, document.get("plan"), error, document["trail"])


def events(options: argparse.Namespace, remote: api.Remote) -> int:
    """The trail: what happened, who did it, and why."""
    import time

    from ..report import story

    def show(entry: Mapping[str, Any]) -> None:
        if not options.instance or entry.get("instance") == options.instance:
            say(story.line(entry, time.time(), instance=True))

    query: Dict[str, Any] = {"limit": max(1, min(1000, options.number))}
    if options.instance:
        query["instance"] = options.instance
    for entry in remote.get("/events", options.timeout, **query)["events"]:
        show(entry)
    if options.follow:
        follow(remote, int(remote.get("/events", options.timeout, limit=1)["last"]), show)
    return OK


def whoami(options: argparse.Namespace, remote: api.Remote) -> int:
    found = remote.get("/whoami", options.timeout)
    say("%s on %s%s" % (found["who"], found["host"], "" if found["console"] else ", which shows no items"))
    return OK


def page(options: argparse.Namespace, remote: api.Remote) -> int:
    """Forward the browser of this user, and of no other user, to the monitor, until this command ends."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", options.port))
    except OSError as error:
        raise NoWay("port %d is not available (%s): choose another one with --port" % (
            options.port, error.strerror or error), FAILED) from None
    made.listen(64)
    page = "http://127.0.0.1:%d/" % made.getsockname()[1]
    say(page + " is the page of this console for you, until you end this command with Ctrl-C")
    while True:
        person = made.accept()[0]
        threading.Thread(target=_let_in, args=(person, remote.path), daemon=True).start()


def _let_in(person: socket.socket, path: str) -> None:
    """Forward one connection, if it is of this user: other users of the machine reach its loopback as well."""
    with person:
        try:
            who = peer.tcp_user(person.getpeername()[:2], person.getsockname()[:2])
            if who != os.getuid():
                person.recv(relay.MAX_PART_BYTES)
                person.sendall(_answer("403 Forbidden", "this is the page of another user: run `muster page` yourself"))
                return
            monitor = api.connect(path)
            if monitor is None:
                person.recv(relay.MAX_PART_BYTES)
                person.sendall(_answer("503 Service Unavailable", "the monitor has no line to this machine now"))
                return
            with monitor:
                monitor.settimeout(None)
                relay.join(person, monitor)
        except OSError:
            return  # one end is gone


def _answer(status: str, sentence: str) -> bytes:
    head = "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n"
    return (head % (status, sentence)).encode("utf-8")


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _as_json(document: Any) -> None:
    import json

    say(json.dumps(document, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muster", description="What runs for the controlled items, and which HCIs are open on this console.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb")
    commands.required = True

    def add(name: str, command: Any, text: str, longer: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=longer or text[:1].upper() + text[1:] + ".",
                                  formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        sub.add_argument("--timeout", type=float, default=300.0, help="seconds until the command gives up (300)")
        sub.set_defaults(command=command)
        return sub

    sub = add("status", status, "what runs where, and how well")
    sub.add_argument("--json", action="store_true", help="the whole document, for programs")
    sub.add_argument("--watch", action="store_true", help="stay, and show every change")
    for name in REQUESTS:
        kind = KINDS[name]
        request_options.add_arguments(
            add(name, request, request_options.phrase(kind), request_options.description(kind)), kind)
    sub = add("why", why, "how one instance is, why, and what happened")
    sub.add_argument("instance", metavar="INSTANCE", help="name of the instance, or id of an item")
    sub.add_argument("-n", "--number", type=int, default=12, help="number of events shown (12)")
    sub.add_argument("--json", action="store_true", help="the same, for programs")
    sub = add("events", events, "what happened, who did it, and why")
    sub.add_argument("-n", "--number", type=int, default=30, help="number of newest events shown (30)")
    sub.add_argument("-f", "--follow", action="store_true", help="stay, and show each event as it happens")
    sub.add_argument("--instance", help="only events of this instance")
    sub = add("page", page, "serve the page of this console to your browser, until you end the command")
    sub.add_argument("--port", type=int, default=PORT, help="port of the loopback address (%d)" % PORT)
    add("whoami", whoami, "the user and host that the monitor takes you for")
    return parser


def _tell(text: str) -> None:
    say(text, sys.stderr)
