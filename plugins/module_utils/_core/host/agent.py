# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of a host: one request in, one answer out.

Installed as ``<root>/lib/<hash>/muster_host``, or sent with the request where it is not installed yet. `main` reads a
JSON request from standard input and writes one line ``MUSTER:<json>``; Ansible's modules of the same names call
`handle`. Each verb imports only what it needs: the agent's start is a good part of the time that a restart takes.
"""

from __future__ import annotations

import json
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional

UMASK = 0o022
HIDING = 0o050  # bits of an umask that keep a group out: the modes of folders and files say who may read them
PREFIX = "MUSTER:"


def handle(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Carry out a request.

    :param request: ``{"verb": "observe" | "prepare" | "act" | "acted" | "exec" | "log" | "ways" | "keep" | "people"
        | "remove", "host": {...}, "check", "diff"}``, rest as the verb's own function describes it; with ``agent`` (see
        `host.install`), it is installed first.
    :return: the verb's answer, or ``{"error": sentence}``.
    """
    began = time.monotonic()
    verb = request.get("verb")
    try:
        if verb in ("act", "acted", "prepare", "exec"):
            from .machine import ownership

            problem = ownership.others(request["host"]["root"])
            if problem:
                return {"error": problem}
        if verb == "observe":
            from . import observe

            install_agent(request)
            seen = observe.observe(request["host"], request.get("only"), request.get("load", True))
            if request.get("evidence"):
                from . import evidence

                seen["evidence"] = evidence.gather(request["host"]["root"])
            return seen
        if verb == "act":
            from .act import act

            install_agent(request)
            return act.act(request, began)
        if verb == "prepare":
            from . import prepare

            return prepare.prepare(request)
        if verb == "acted":
            from . import handed

            return handed.result(request["host"]["root"], str(request["token"]), float(request["within"]))
        if verb == "exec":
            from .inside import execute

            install_agent(request)
            return execute.execute(request)
        if verb == "log":
            from .logs import history
            from .machine import ownership

            return ownership.as_owner(request["host"]["root"], lambda: history.once(request))
        if verb == "keep":
            from . import ledger_copies
            from .machine import ownership

            return ownership.as_owner(request["host"]["root"], lambda: ledger_copies.keep(request))
        if verb == "ways":
            from .lease import ways

            return ways.ways(request)
        if verb == "people":
            from . import people

            return people.people(request)
        if verb == "remove":
            from . import remove
            from .machine import ownership

            remove.load()
            answer = ownership.as_owner(request["host"]["root"], lambda: remove.remove(request))
            remove.last(request, answer)
            return answer
    except OSError as error:
        where = " (%s)" % error.filename if error.filename else ""
        return {"error": "%s%s, while it was asked to %s" % (error.strerror or error, where, verb)}
    return {"error": "the agent knows no verb %r" % verb}


def install_agent(request: Mapping[str, Any]) -> bool:
    """Install the agent that a request brings, on a host that was prepared before; other hosts are left alone.

    :return: whether it was installed. Errors of the file system are ignored: the next call is slower without it.
    """
    import os

    root = request["host"]["root"]
    if not request.get("agent") or request.get("check") or not os.path.exists(root + "/etc/host.json"):
        return False
    from . import install
    from .machine import ownership

    if ownership.others(root):
        return False
    try:
        return install.install(root, request["agent"])
    except OSError:
        return False


def listen(root: str, allowed: Optional[Callable[[Mapping[str, Any]], Dict[str, Any]]] = None) -> None:
    """Be the host's end of the monitor's line (see `host.line`), for an account that may run only the installed agent.

    :param root: the only folder that the monitor may name.
    :param allowed: checks a request of that account, see `host.handed`; without it, none is taken.
    """
    from . import line

    line.main(root, carry_out, allowed)


def carry_out(request: Mapping[str, Any]) -> Dict[str, Any]:
    """As `handle`, in a process that is there for this request only."""
    import os
    import signal

    before = os.umask(UMASK)
    if not before & HIDING:
        os.umask(before)
    if request.get("verb") != "observe":  # an act that was begun is completed, even when its caller is gone
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
    return handle(request)


def main(request: Optional[Mapping[str, Any]] = None) -> None:
    """Carry out one request and write the answer to standard output.

    :param request: read from standard input when it is None.
    """
    import sys

    if request is None:
        request = json.loads(sys.stdin.buffer.readline())
    answer = json.dumps(carry_out(request), separators=(",", ":"))
    sys.stdout.write("\n%s%s\n" % (PREFIX, answer))
    sys.stdout.flush()
