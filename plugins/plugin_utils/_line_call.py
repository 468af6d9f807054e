# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts that go over the line which the monitor holds anyway, instead of by a command of the run's own connection.

The agent at the other end of that line is up already. An act is handed over as soon as the plan is committed, and its
answer is collected when Ansible comes to the task that acts. Where the monitor, its line or the agent does not take it,
nothing has been done, and the act goes by command. Where that is not certain, it is not sent again: see `_host_call`.
The monitor's side is `monitor.watch.act_door`.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from ..module_utils._core.controller.places import ACTS_SOCKET
from ..module_utils._core.controller.way import host_facts
from ..module_utils._core.model import answers
from ..module_utils._core.model.text import printable

GIVE_SECONDS = 2.0  # that the monitor may take to hand over
LOOK_SECONDS = 5.0  # that an observation may take
_GRACE_SECONDS = 5.0  # beyond the deadline of an act, for its answer
LOST = "lost"  # a key of what became of an act
TOKEN = "token"


def time_left(request: Mapping[str, Any]) -> float:
    """Seconds that a host may take for an act; none are left where another run may have taken its instances over."""
    left = float(request["deadline"])
    if request.get("expires"):
        left = min(left, request["expires"] - time.time())
    return left


def whole(host: Mapping[str, Any], request: Mapping[str, Any], diff: bool) -> dict[str, Any]:
    """The request as the agent takes it, beginning now."""
    head = {"verb": "act", "check": False, "diff": diff, "host": host}
    return {**head, **request, "deadline": time_left(request)}


def acts_of(
    document: Mapping[str, Any],
    site_id: str,
    requests: Mapping[str, Mapping[str, Any]],
    ways: Mapping[str, Mapping[str, str]],
) -> dict[str, tuple[Mapping[str, str], Mapping[str, Any]]]:
    """The acts of a plan for `give`: host -> (how this run reaches it, request)."""
    return {
        name: (ways[name], whole(host_facts(document, site_id, name), request, False))
        for name, request in requests.items()
    }


def may_go(request: Mapping[str, Any]) -> bool:
    """Whether this act may go over a line. What starts a service manager must not: it would live in its session."""
    return not (request.get("config") or request.get("start_service_manager")) and time_left(request) > 0


Acts = Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]]


def give(state_dir: str, version: str, acts: Acts) -> dict[str, Any]:
    """Have acts handed over.

    :param version: of the agent that is to do it.
    :param acts: host -> (how this run reaches it, request).
    :return: host -> ``{"token"}`` for `collect`; or ``{"lost": why}``: the host may have it; others are not in it.
    """
    acts = {host: act for host, act in acts.items() if act[0] and may_go(act[1])}
    if not acts:
        return {}
    call = {"give": {h: {"agent": version, "reached": r, "request": q} for h, (r, q) in acts.items()}}
    sent = False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(GIVE_SECONDS)
            end.connect(os.path.join(state_dir, ACTS_SOCKET))
            data = json.dumps(call, separators=(",", ":")).encode()
            end.sendall(data)  # without an end of line, which only then makes it valid
            sent = True
            end.sendall(b"\n")
            said = _answer(end)
        tokens = said["given"]
        return {h: {TOKEN: str(tokens[h]), "deadline": acts[h][1]["deadline"]} for h in acts if h in tokens}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if not sent:
            return {}
        why = "the monitor did not say whether it handed the act over: %s" % printable(str(error), 200)
        return {host: {LOST: why} for host in acts}


def observe(
    state_dir: str, version: str, way: Mapping[str, str], request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The answer of a host to a request to observe; None where the line brings none."""
    asked = {"verb": "observe", "check": False, "diff": False, "deadline": LOOK_SECONDS, **request}
    name = str(request["host"]["host"])
    token = (give(state_dir, version, {name: (way, asked)}).get(name) or {}).get(TOKEN)
    found = collect(state_dir, token, LOOK_SECONDS) if token else {}
    answer: dict[str, Any] | None = found.get("answer")
    return answer


def collect(state_dir: str, token: str, within: float) -> dict[str, Any]:
    """What became of an act.

    :param within: s.
    :return: ``{"answer"}``, ``{"refused": why}`` or ``{"lost": why}``.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(within + _GRACE_SECONDS)
            end.connect(os.path.join(state_dir, ACTS_SOCKET))
            end.sendall(json.dumps({"collect": token}).encode() + b"\n")
            said = _answer(end)
    except (OSError, ValueError) as error:
        return {LOST: "the monitor did not bring the answer: %s" % printable(str(error), 200)}
    if "answer" in said:
        return {"answer": said["answer"]}
    kind = "refused" if "refused" in said else LOST
    return {kind: printable(str(said.get(kind)), 300)}


def _answer(end: socket.socket) -> dict[str, Any]:
    """:raises ValueError: when it is none."""
    data = b""
    while not data.endswith(b"\n"):
        part = end.recv(1 << 16)
        data += part
        if not part or len(data) > 2 * answers.LARGEST:
            raise ValueError("it ended its answer early" if not part else "its answer is too long")
    said = json.loads(data)
    if not isinstance(said, dict):
        raise ValueError("its answer is no mapping")
    return said
