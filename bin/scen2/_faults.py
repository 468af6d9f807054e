# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to order for a program through its item's variables, for tests and demonstrations.

An item of the site: ``{id: "02", faults: {scen2_srv: {internal_data_bus: {start_delay: 5}}}}``. Per program:

- ``start_delay``: seconds until it begins to work
- ``fail``: ``"exit 3"``: it ends with that code and a sentence
- ``mute``: true: it runs and never works: a bus accepts connections and says nothing, a check never ends
- ``ignore_term``: true: SIGTERM does nothing
- ``fork_child``: true: it leaves a child behind, in a session of its own, that ignores SIGTERM
- ``crash_after``: seconds until it kills itself by SIGKILL
"""

import json
import os
import signal
import sys
import time

KNOWN = ("start_delay", "fail", "mute", "ignore_term", "fork_child", "crash_after")


def ordered(program: str, settings: str) -> dict:
    """The faults of one program. Something unknown is refused: a fault that does not happen proves nothing."""
    faults = json.loads(settings)["faults"].get(program) or {}
    for name in faults:
        if name not in KNOWN:
            end("unknown fault %s ordered for %s (known: %s)" % (name, program, ", ".join(KNOWN)), 78)
    return faults


def bring_about(program: str, settings: str) -> None:
    """For a program written in Python: returns when it may go on, or never."""
    faults = ordered(program, settings)
    _begin(program, faults)
    if "crash_after" in faults:
        signal.signal(signal.SIGALRM, lambda *_unused: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, float(faults["crash_after"]))
    if faults.get("mute"):
        while True:
            time.sleep(3600)


def run_bus(program: str, settings: str, command: list) -> None:
    """For a bus: execs it, or stays in front of it when it must ignore SIGTERM or crash."""
    faults = ordered(program, settings)
    _begin(program, faults)
    if faults.get("mute"):
        _accept_and_say_nothing()
    if not faults.get("ignore_term") and "crash_after" not in faults:
        os.execvp(command[0], command)
    child = os.posix_spawnp(command[0], command, os.environ)
    if "crash_after" in faults:
        time.sleep(float(faults["crash_after"]))
        os.kill(child, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    end("the bus behind %s ended (%s)" % (program, os.waitstatus_to_exitcode(status)), 70)


def end(text: str, code: int) -> None:
    os.write(2, (text + "\n").encode())
    os._exit(code)


def _begin(program: str, faults: dict) -> None:
    if faults.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if faults.get("fork_child"):
        ours = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # before there is a child, so that it never listens to it
        if os.fork() == 0:
            os.setsid()
            while True:
                time.sleep(3600)
        signal.signal(signal.SIGTERM, ours)
    time.sleep(float(faults.get("start_delay", 0)))
    if "fail" in faults:
        _word, _unused, code = str(faults["fail"]).rpartition(" ")
        why = "%s cannot start: it was ordered to fail (%s)" % (program, faults["fail"])
        end(why, int(code) if code.isdigit() else 1)


def _accept_and_say_nothing() -> None:
    import socket

    listener = socket.create_server((os.environ["MUSTER_ADDRESS"], int(os.environ["MUSTER_PORT_CLIENT"])), backlog=64)
    kept = []
    while True:
        kept.append(listener.accept())


if __name__ == "__main__":
    with open(os.environ["MUSTER_ETC"] + "/settings.json", encoding="utf-8") as handle:
        run_bus(os.environ["MUSTER_PROGRAM"], handle.read(), sys.argv[1:])
