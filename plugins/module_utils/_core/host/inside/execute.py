# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's verb ``exec``: run a command beside a program that runs here."""

from __future__ import annotations

import base64

from ..machine import procs, starts
from . import command
from .surroundings import Foreign, Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping

MOST_SECONDS = 600.0


def execute(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Run it, and tell what came of it.

    :param request: ``host``; ``instance``, ``program``, ``epoch``: what runs; ``command``: its arguments as a list;
        ``within``: s after which it is killed.
    :return: ``{"code", "why", "out", "err", "left_out": [of out, of err], "took"}``, the outputs in base64; or
        ``{"error": sentence}``: nothing was run.
    """
    host, instance, program = request["host"], str(request["instance"]), str(request["program"])
    words = [str(word) for word in request["command"]]
    if not words or not words[0] or any("\0" in word for word in words):
        return {"error": "a command is a list of arguments, the first of which names a program"}
    record = starts.read(host["root"], instance)
    pid, started = record.programs.get(program, (0, 0))
    if record.epoch != int(request["epoch"]) or not pid or not procs.alive(pid, started):
        return {"error": "%s of %s does not run on %s, so nothing can be run beside it" % (
            program, instance, host["host"])}
    try:
        around = Surroundings(pid)
        if around.environment.get("MUSTER_INSTANCE") != instance:
            raise Foreign("it has written over its environment, which nobody can read any more")
    except Foreign as error:
        return {"error": "nothing can be run beside %s of %s: %s" % (program, instance, error)}
    environment = dict(around.environment, MUSTER_PID=str(pid))
    within = max(0.1, min(MOST_SECONDS, float(request["within"])))
    came = command.run(words, environment, around.enter, within)
    outputs = [came.pop("out"), came.pop("err")]
    texts = dict(zip(("out", "err"), (base64.b64encode(one.data).decode("ascii") for one in outputs)))
    return {**came, **texts, "took": round(came["took"], 3), "left_out": [one.left_out for one in outputs]}
