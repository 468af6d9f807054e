# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell when a window stands still: its program runs, and the person in front of it looks at an old picture.

A child process of the monitor's line asks the windows of this host's programs again and again (`machine.screen`), and
sends an event to each socket ``run/listeners/*.sock`` when one falls silent or answers again. It asks only programs
whose ``MUSTER_WINDOW`` says how many seconds they may be silent, it never acts, and a window that never answered is
never called silent: there are toolkits that do not answer.

The variables of a process tell which program a window belongs to. They are a label and may be forged; nothing follows
from them but a sentence in the status.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time

from .machine import procs, screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

    class Key(NamedTuple):
        """A program of an instance, as it was started."""

        instance: str
        epoch: int
        program: str

else:
    from collections import namedtuple

    Key = namedtuple("Key", "instance epoch program")

SHORTEST_SECONDS = 1.0  # that a window may be silent
SLACK_SECONDS = 0.1  # that a round may take beside its waiting
PAUSE_SECONDS = 5.0  # between tries of a screen that cannot be asked, and looks for programs that are to be asked
ANSWER, SILENT = "answers", "silent"
_SECONDS = re.compile(r"\d{1,5}(?:\.\d{1,3})?\Z")


class Silences:
    """Which programs have a window that stands still. Pure: the clock comes from outside."""

    def __init__(self) -> None:
        self._heard: Dict[Tuple[Key, int], float] = {}  # window of a program -> when it answered last
        self._silent: Dict[Key, float] = {}  # since when

    def note(
        self, windows: Mapping[int, Key], answered: Iterable[int], limits: Mapping[Key, float], now: float,
        late: float = 0.0,
    ) -> List[Tuple[Key, str, float]]:
        """Take in one round of questions.

        :param windows: those that were asked, by their number. :param answered: those of them that answered.
        :param limits: s that a window of a program may be silent.
        :param now: s of a clock that stands while the machine sleeps.
        :param late: s by which this round is late itself, on a machine that has no time: those are nobody's silence.
        :return: what has changed: (program, `ANSWER` or `SILENT`, since when).
        """
        answers = set(answered)
        shown = {(key, number) for number, key in windows.items()}
        self._heard = {one: min(now, at + late) for one, at in self._heard.items() if one in shown}
        for number in answers & set(windows):
            self._heard[windows[number], number] = now
        silent: Dict[Key, float] = {}
        for (key, _number), at in self._heard.items():
            if now - at >= max(SHORTEST_SECONDS, limits.get(key, 0.0)) and key in limits:
                silent[key] = min(at, silent.get(key, at))
        changes = [(key, SILENT, since) for key, since in silent.items() if key not in self._silent]
        changes += [(key, ANSWER, now) for key in self._silent if key not in silent]
        self._silent = {key: self._silent.get(key, since) for key, since in silent.items()}
        return changes


def watch(root: str, parent: int) -> None:
    """Ask until the parent is gone.

    :param parent: process id of the line.
    """
    silences = Silences()
    shown: Optional[screen.Screen] = None
    host: Dict[str, str] = {}
    read = -PAUSE_SECONDS
    due = float("inf")  # until when the next round is to be over
    while os.getppid() == parent:
        began = time.monotonic()
        if began - read >= PAUSE_SECONDS:
            host, read = screen_of(root), began
        limits: Dict[Key, float] = {}
        try:
            if shown is None and host:
                shown = screen.Screen(host["display"], host["authority"])
            owners = _owners(shown.windows(), host, limits) if shown is not None else {}
            pause = max(SHORTEST_SECONDS, min(limits.values())) / 3 if limits else PAUSE_SECONDS
            answered = shown.ask(owners, pause) if shown is not None and owners else set()
        except screen.NoScreen:
            if shown is not None:
                shown.close()
            shown, owners, answered, pause = None, {}, set(), PAUSE_SECONDS
        now = time.monotonic()
        for key, state, since in silences.note(owners, answered, limits, now, max(0.0, now - due)):
            _tell(root, key, state, time.time() - (now - since))
        due = began + 2 * pause + SLACK_SECONDS
        time.sleep(max(0.0, pause - (now - began)))


def screen_of(root: str) -> Dict[str, str]:
    """The screen that a host's programs show their windows on: {site, host, display, authority}; {} without one.

    From the files that muster wrote (``muster_display``), not from a program: who opens what is named there is root.
    """
    try:
        with open(root + "/etc/host.json", encoding="utf-8") as handle:
            marker = json.load(handle)
        with open(root + "/etc/display", encoding="utf-8") as handle:
            shown = dict(line.rstrip("\n").partition("=")[::2] for line in handle)
        return {"site": str(marker["site_id"]), "host": str(marker["host"]), "display": shown["DISPLAY"],
                "authority": shown.get("XAUTHORITY", "")}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _owners(windows: Iterable[screen.Window], host: Mapping[str, str], limits: Dict[Key, float]) -> Dict[int, Key]:
    """Window -> program, for the programs that are to be asked.

    :param limits: gets how many s each of them may be silent.
    """
    known: Dict[int, Optional[Key]] = {}
    found: Dict[int, Key] = {}
    for window in windows:
        if window.pid not in known:
            known[window.pid] = _program(window.pid, host, limits)
        key = known[window.pid]
        if key is not None:
            found[window.number] = key
    return found


def _program(pid: int, host: Mapping[str, str], limits: Dict[Key, float]) -> Optional[Key]:
    label = procs.environment(pid) if pid > 0 else {}
    seconds = _SECONDS.match(label.get("MUSTER_WINDOW", ""))
    if not seconds or (label.get("MUSTER_SITE"), label.get("MUSTER_HOST")) != (host["site"], host["host"]):
        return None
    epoch = procs.number(label.get("MUSTER_EPOCH", ""))
    key = Key(label.get("MUSTER_INSTANCE", ""), epoch, label.get("MUSTER_PROGRAM", ""))
    limits[key] = float(seconds.group())
    return key


def _tell(root: str, key: Key, state: str, since: float) -> None:
    """Send an event to the monitor's line, and to every other listener."""
    event = {"event": "window", "instance": key.instance, "epoch": key.epoch, "program": key.program, "state": state,
             "since": round(since, 3)}  # fmt: skip
    folder = root + "/run/listeners"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.endswith(".sock"):
                try:
                    made.sendto(json.dumps(event).encode("utf-8"), "%s/%s" % (folder, name))
                except OSError:
                    continue
