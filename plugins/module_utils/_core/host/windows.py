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
    from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Set, Tuple

    class Asked(Protocol):
        """What is asked: a `screen.Screen`."""

        def ping(self, numbers: Iterable[int]) -> None: ...

        def wait(self, seconds: float) -> None: ...

        def answered(self) -> Set[int]: ...

    class Key(NamedTuple):
        """A program of an instance, as it was started."""

        instance: str
        epoch: int
        program: str

else:
    from collections import namedtuple

    Key = namedtuple("Key", "instance epoch program")

SHORTEST_SECONDS = 1.0  # that a window may be silent
SLACK_SECONDS = 0.1  # that a wait may take beyond what it was meant to
PAUSE_SECONDS = 5.0  # between tries of a screen that cannot be asked, and looks for programs that are to be asked
ANSWER, SILENT = "answers", "silent"
_SECONDS = re.compile(r"\d{1,5}(?:\.\d{1,3})?\Z")


class Silences:
    """Which programs have a window that stands still. Pure: the clock comes from outside."""

    def __init__(self) -> None:
        self._known: Set[Tuple[Key, int]] = set()  # windows that have answered before
        self._open: Dict[Tuple[Key, int], float] = {}  # those that owe an answer -> since when
        self._silent: Dict[Key, float] = {}  # since when

    def note(
        self, windows: Mapping[int, Key], answered: Iterable[int], limits: Mapping[Key, float], asked: float,
        looked: float,
    ) -> List[Tuple[Key, str, float]]:
        """Take in one round of questions.

        :param windows: those that were asked, by their number. :param answered: those of them that have answered since
            the round before.
        :param limits: s that a window of a program may be silent.
        :param asked: when they had the question, or later. :param looked: all that they answered until then was read.
        :return: what has changed: (program, `ANSWER` or `SILENT`, since when).
        """
        heard = {(windows[number], number) for number in answered if number in windows}
        shown = {(key, number) for number, key in windows.items()}
        self._known = (self._known | heard) & shown
        self._open = {one: self._open.get(one, asked) for one in self._known - heard}
        silent: Dict[Key, float] = {}
        for (key, _number), at in self._open.items():
            if key in limits and looked - at >= max(SHORTEST_SECONDS, limits[key]):
                silent[key] = min(at, silent.get(key, at))
        changes = [(key, SILENT, since) for key, since in silent.items() if key not in self._silent]
        changes += [(key, ANSWER, looked) for key in self._silent if key not in silent]
        self._silent = {key: self._silent.get(key, since) for key, since in silent.items()}
        return changes


class Rounds:
    """Asks windows round by round, on a machine that may have no time for this process, or for none at all.

    A window is silent only for a time in which it had the question, and had not answered it when this process looked
    afterwards: so a question that is sent late and an answer that is read late cost the window nothing. And a wait
    counts for no longer than it was meant to take: what is beyond that, the machine stood still.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._read = monotonic()
        self._silences = Silences()
        self.now = 0.0  # s of all waits, as far as they count

    def turn(
        self, shown: Asked, owners: Mapping[int, Key], limits: Mapping[Key, float], rested: float
    ) -> List[Tuple[Key, str, float]]:
        """Ask, wait for the answers, and see who is silent.

        :param rested: s of rest that were meant to be between the round before and this one.
        :return: as `Silences.note`. :raises NoScreen:
        """
        self._pass(rested)
        shown.ping(owners)
        asked = self._pass(0.0)
        pause = pause_of(limits)
        shown.wait(pause)
        looked = self._pass(pause)
        return self._silences.note(owners, shown.answered(), limits, asked, looked)

    def nothing(self) -> List[Tuple[Key, str, float]]:
        """There is no screen, so no window on it is silent any more."""
        self._pass(0.0)
        return self._silences.note({}, (), {}, self.now, self.now)

    def _pass(self, meant: float) -> float:
        """What came since the last reading was meant to take so many s. :return: the time now."""
        read = self._monotonic()
        self.now += min(read - self._read, meant + SLACK_SECONDS)
        self._read = read
        return self.now


def pause_of(limits: Mapping[Key, float]) -> float:
    """s from one round to the next: four in the shortest time that a window may be silent."""
    return max(SHORTEST_SECONDS, min(limits.values())) / 4 if limits else PAUSE_SECONDS


def watch(root: str, parent: int) -> None:
    """Ask until the parent is gone.

    :param parent: process id of the line.
    """
    rounds = Rounds(time.monotonic)
    shown: Optional[screen.Screen] = None
    host: Dict[str, str] = {}
    read = -PAUSE_SECONDS
    rested = 0.0
    while os.getppid() == parent:
        began = time.monotonic()
        if began - read >= PAUSE_SECONDS:
            host, read = screen_of(root), began
        limits: Dict[Key, float] = {}
        changes: List[Tuple[Key, str, float]] = []
        try:
            if shown is None and host:
                shown = screen.Screen(host["display"], host["authority"])
            owners = _owners(shown.windows(), host, limits) if shown is not None else {}
            changes = rounds.turn(shown, owners, limits, rested) if shown is not None and owners else rounds.nothing()
        except screen.NoScreen:
            if shown is None:
                changes = rounds.nothing()
            else:  # it may only be slow: its windows are asked again over another connection
                shown.close()
                shown, limits = None, {}
        for key, state, since in changes:
            _tell(root, key, state, time.time() - (rounds.now - since))
        rested = max(0.0, pause_of(limits) - (time.monotonic() - began))
        time.sleep(rested)


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
