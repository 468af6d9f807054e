# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A regular look in a parked run: the monitor has observed the hosts over its lines; this plans over what they said.

Nothing is acted on. Where there is something to do, a reconcile observes again and does it. It happens in a child
process, so that an alert finds the run parked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.control_room.muster.plugins.module_utils._core.report.story import sentence
from ansible_collections.control_room.muster.plugins.plugin_utils import _sentences

LONGEST_SECONDS = 60
MOST_NAMED = 3  # actions in the sentence for people

Json = dict[str, Any]
Call = Callable[[str, Json], Json]  # a verb of the controller, and its request
Reached = Callable[[list[str]], Mapping[str, Mapping[str, str]]]  # hosts -> how this run reaches each


def begin(order: Mapping[str, Any], state_dir: str, version: str, reached: Reached, call: Call) -> None:
    """Look in a child process, which leaves ``{"plan"}`` or ``{"why"}`` at the place that the order names.

    :param order: ``{"look": {"seen": a file with {"hosts", "revision"}, "answer": path}, "term"}``; hosts: as
        `monitor.watch.looks.look` returns them.
    :param version: of this run's agent.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # earlier ones
            pass
    if os.fork():
        return
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST_SECONDS)
        asked = order["look"]
        try:
            answer = _look(asked, int(order.get("term") or 0), state_dir, version, reached, call)
        except (AnsibleError, OSError, ValueError, KeyError, TypeError) as error:
            answer = {"why": str(getattr(error, "message", error))}
        _sentences.write_report(asked["answer"], answer)
    finally:
        os._exit(0)


def _look(asked: Json, term: int, state_dir: str, version: str, reached: Reached, call: Call) -> Json:
    with open(asked["seen"], encoding="utf-8") as handle:
        given = json.load(handle)
    hosts: dict[str, Json] = given["hosts"]
    ways = reached(list(hosts))
    for name, seen in hosts.items():
        if seen["agent"] != version:
            return {"why": "the agent on %s is another version" % name}
        if seen["way"] != ways.get(name):
            return {"why": "the line to %s goes another way than the run" % name}
    observations = {name: seen["observation"] for name, seen in hosts.items()}
    for name in given["without"]:
        observations[name] = {"host": name, "answer": "not asked", "why": "it is left out"}
    plan = call("plan", {
        "state_dir": state_dir, "look": True, "observations": observations, "observed_revision": given["revision"],
        "request": {"kind": "reconcile", "who": "monitor", "why": given["why"]}, "term": term,
    })["plan"]  # fmt: skip
    said = [sentence(action) for action in plan["actions"] if action["action"] != "hold"]
    if said:
        more = " and %d more" % (len(said) - MOST_NAMED) if len(said) > MOST_NAMED else ""
        return {"why": "the regular look found: %s%s" % ("; ".join(said[:MOST_NAMED]), more)}
    call("settle", {"state_dir": state_dir, "plan": plan, "answers": {}, "term": term})
    return {"plan": plan}
