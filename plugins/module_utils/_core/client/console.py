# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster` as people have it on a console that is another machine than the controller's.

It asks the monitor through the socket that the monitor's line shows there (`host.line`), and nothing else: no
inventory,
no Ansible, no state. Words and exit codes are those of the controller's `muster`. The role monitor installs it.
"""

from __future__ import annotations

import argparse
import grp
import os
import socket
import sys
import threading
import time
from typing import Any, Dict, Mapping, Optional, Sequence, TextIO

from ..host import line
from ..report import story
from . import api, peer

OK, NO, USAGE, LATE = 0, 1, 2, 4  # exit codes
WIDTH = 120  # characters of a line where there is no terminal
PORT = 8770
BACK = 1.0  # s between looks whether a monitor that went away is there again
EPILOG = """\
examples:
  muster status                          what runs where, and how well
  muster open 02                         show item 02 on this console
  muster close 02                        from wherever it is shown
  muster stop scen2_srv_01               stays stopped until somebody starts it
  muster page                            http://127.0.0.1:8770/ is the page of this console meanwhile

exit codes: 0 done, 1 refused or failed, 2 wrong usage, 4 not done in time
environment: MUSTER_HOST (this host's name in the inventory, where the machine is several)
"""


class NoWay(Exception):
    """The monitor cannot be asked from here; the text is one sentence."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code of one command."""
    options = _parser().parse_args(arguments)
    try:
        remote = api.Remote(find(os.environ, line.SHARED))
        return int(options.command(options, remote))
    except (NoWay, api.Lost) as error:
        _tell("muster: %s" % error)
        return NO
    except api.Refused as refused:
        for wrong in refused.errors or [{"message": str(refused)}]:
            _tell(wrong["message"])
        return USAGE if refused.incomplete else NO
    except api.Late as error:
        _tell("muster: %s" % error)
        return LATE
    except KeyboardInterrupt:
        _tell("")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def find(environ: Mapping[str, str], shared: str) -> str:
    """The socket of the host we are on.

    :param shared: folder with one folder per host.
    :raises NoWay: when there is none for us.
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
        raise NoWay("this machine is several hosts: set MUSTER_HOST to one of %s" % ", ".join(hosts))
    folder = os.path.join(shared, hosts[0])
    if not os.access(folder, os.X_OK):
        raise NoWay("only members of the group %s may use muster on %s; log in again after you became one"
                    % (_group(os.stat(folder).st_gid), hosts[0]))
    path = os.path.join(folder, line.SOCKET)
    connection = api.connect(path)
    if connection is None:
        raise NoWay("the monitor has no line to %s now: it is stopped, starting, or cannot reach this machine"
                    % hosts[0])
    connection.close()
    return path


def status(options: argparse.Namespace, remote: api.Remote) -> int:
    _show(options, remote)
    while options.watch:
        try:
            for event, _unused in remote.follow():
                if event == "status":
                    _show(options, remote)
        except (OSError, ValueError, api.Lost):
            pass
        _tell("the monitor does not answer: waiting for it")
        time.sleep(BACK)
    return OK


def _show(options: argparse.Namespace, remote: api.Remote) -> None:
    import shutil

    if options.json:
        _as_json(remote.get("/status", options.timeout))
        return
    width = max(40, min(1000, shutil.get_terminal_size((WIDTH, 40)).columns))
    text = remote.text("/status.txt", options.timeout, width=width)
    if options.watch and sys.stdout.isatty():
        sys.stdout.write("\033[H\033[2J")
    sys.stdout.write(text)
    sys.stdout.flush()


def act(options: argparse.Namespace, remote: api.Remote) -> int:
    """open, close, start, stop, restart."""
    body: Dict[str, Any] = {"kind": options.verb, "instances": getattr(options, "instances", None) or [options.item]}
    for field, value in (("why", options.reason), ("host", getattr(options, "console", "")),
                         ("take", getattr(options, "take", False))):
        if value:
            body[field] = value
    answer = remote.post("/actions", body, options.timeout)
    stream = sys.stdout if answer["ok"] or not answer.get("refused") else sys.stderr
    for sentence in answer["said"]:
        _say(sentence, stream)
    return OK if answer["ok"] else NO


def why(options: argparse.Namespace, remote: api.Remote) -> int:
    document = remote.get("/why/" + api.quoted(options.instance), options.timeout, limit=options.number)
    if options.json:
        _as_json(document)
        return OK
    now, instance = time.time(), document["instance"]
    _say(story.headline(options.instance, instance, now))
    for label, text in story.facts(instance, {"monitor": document}, options.instance, now):
        _say("  %-8s %s" % (label, text))
    actions = [a for a in (document.get("plan") or {}).get("actions", []) if a["instance"] == options.instance]
    following = [document["error"]] if document.get("error") else [story.sentence(action) for action in actions]
    for text in following or ["nothing: it is as wanted"]:
        _say("  %-8s %s" % ("next", text))
    for entry in document["trail"]:
        _say("  " + story.line(entry, now))
    return OK


def events(options: argparse.Namespace, remote: api.Remote) -> int:
    def show(entry: Mapping[str, Any]) -> None:
        if not options.instance or entry.get("instance") == options.instance:
            _say(story.line(entry, time.time(), instance=True))

    query: Dict[str, Any] = {"limit": max(1, min(1000, options.number))}
    if options.instance:
        query["instance"] = options.instance
    found = remote.get("/events", options.timeout, **query)
    for entry in found["events"]:
        show(entry)
    after = int(remote.get("/events", options.timeout, limit=1)["last"]) if options.follow else 0
    while options.follow:
        try:
            for event, entry in remote.follow(after):
                if event == "trail":
                    after = int(entry["id"])
                    show(entry)
        except (OSError, ValueError, api.Lost):
            pass
        time.sleep(BACK)
    return OK


def whoami(options: argparse.Namespace, remote: api.Remote) -> int:
    found = remote.get("/whoami", options.timeout)
    _say("%s on %s%s" % (found["who"], found["host"], "" if found["console"] else ", which shows no items"))
    return OK


def page(options: argparse.Namespace, remote: api.Remote) -> int:
    """Let the browser of this user, and of nobody else, through to the monitor, until this ends."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", options.port))
    except OSError as error:
        raise NoWay("the port %d cannot be had (%s): name another one with --port" % (
            options.port, error.strerror or error)) from None
    made.listen(64)
    _say("http://127.0.0.1:%d/ is the page of this console for you, until you end this with Ctrl-C"
         % made.getsockname()[1])
    while True:
        person = made.accept()[0]
        threading.Thread(target=_let_in, args=(person, remote.path), daemon=True).start()


def _let_in(person: socket.socket, path: str) -> None:
    """Other users of this machine reach its loopback as well, and are not who we are."""
    with person:
        try:
            who = peer.tcp_user(person.getpeername()[:2], person.getsockname()[:2])
            if who != os.getuid():
                person.recv(line.MAX_DATAGRAM_BYTES)
                person.sendall(_answer("403 Forbidden", "this is the page of another user: say `muster page` yourself"))
                return
            monitor = api.connect(path)
            if monitor is None:
                person.recv(line.MAX_DATAGRAM_BYTES)
                person.sendall(_answer("503 Service Unavailable", "the monitor has no line to this machine now"))
                return
            with monitor:
                monitor.settimeout(None)
                line.join(person, monitor)
        except OSError:
            return  # one of them is gone


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

    _say(json.dumps(document, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muster", description="What runs for the controlled items, and what of it is shown on this console.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb")
    commands.required = True

    def add(name: str, command: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".", allow_abbrev=False)
        sub.add_argument("--timeout", type=float, default=300.0, help="seconds until the command gives up (300)")
        sub.set_defaults(command=command)
        return sub

    sub = add("status", status, "what runs where, and how well")
    sub.add_argument("--json", action="store_true", help="the whole document, for programs")
    sub.add_argument("--watch", action="store_true", help="stay and follow what happens")
    sub = add("open", act, "show an item on this console")
    sub.add_argument("item", metavar="ITEM", help="the item's id, or the name of the instance that shows it")
    sub.add_argument("--console", metavar="HOST", help="on another one")
    sub.add_argument("--take", action="store_true", help="from the console that shows it now; needs --reason")
    _reason(sub)
    sub = add("close", act, "close what shows an item, from anywhere")
    sub.add_argument("item", metavar="ITEM", help="the item's id, or the name of the instance that shows it")
    _reason(sub)
    for name, text in (("start", "start instances, where they fit best; clears a failed state"),
                       ("stop", "stop instances; they stay stopped until somebody starts them"),
                       ("restart", "restart instances where they are")):
        sub = add(name, act, text)
        sub.add_argument("instances", nargs="+", metavar="INSTANCE", help="its name, or a pattern like 'scen2_srv_*'")
        _reason(sub)
    sub = add("why", why, "how one instance is, why, and what happened")
    sub.add_argument("instance", metavar="INSTANCE")
    sub.add_argument("-n", "--number", type=int, default=12, help="events shown (12)")
    sub.add_argument("--json", action="store_true", help="the same, for programs")
    sub = add("events", events, "what happened, who did it, and why")
    sub.add_argument("-n", "--number", type=int, default=30, help="newest events shown (30)")
    sub.add_argument("-f", "--follow", action="store_true", help="stay and show what happens")
    sub.add_argument("--instance", help="only of this instance")
    sub = add("page", page, "the page of this console, for your browser and until you end it")
    sub.add_argument("--port", type=int, default=PORT, help="of the loopback address (%d)" % PORT)
    add("whoami", whoami, "whom the monitor takes you for")
    return parser


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", "--why", default="", metavar="TEXT", help="why, for the trail")


def _say(text: str, stream: Optional[TextIO] = None) -> None:
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def _tell(text: str) -> None:
    _say(text, sys.stderr)
