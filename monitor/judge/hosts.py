# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is up, suspect or down, concluded from independent signals.

Pure: no clock, no I/O; `now` is seconds of a monotonic clock. There are three signals about a host: the line to it, its
buses, and what the last run found there. One lost signal makes the host suspect. Two signals that stay lost for
`host_down_after`, with no signal against it, make it down; for a host that holds nothing, one signal suffices, because
it is only no longer used. A line or a bus that was never fine is no second signal. A refusal by sshd is an answer.

The time counts from the second lost signal, because a busy machine answers late. A machine whose kernel takes no
connections is not busy: there it counts from the last answer on the line. When more than half of the hosts for services
vanish together (a storm), the monitor itself is probably cut off, and concludes nothing.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..core.model.words import DOWN, SUSPECT, UP

TOGETHER_SECONDS = 5.0  # within which losses count as one event


class Signal(enum.Enum):
    FINE = "fine"
    DOUBT = "doubt"  # one question was not answered in time: no more than that
    LOST = "lost"  # silence
    GONE = "gone"  # the machine answers, but what should listen there does not
    REFUSED = "refused"  # of lines: sshd answers and says no
    NONE = "none"  # there is no signal


@dataclass(slots=True)
class Line:
    """The state of one signal about a host."""

    signal: Signal = Signal.NONE
    since: float = 0.0  # of the present signal
    why: str = ""
    cut: bool = False  # of buses: the machine itself takes no connection


@dataclass(frozen=True, slots=True)
class Verdict:
    host: str
    state: str  # up | suspect | down
    why: str = ""  # a sentence, unless up
    since: float = 0.0
    lost: int = 0  # independent signals that are lost
    there: bool = False  # the machine itself answers, as far as is known, so a run can go there
    answers: bool = False  # it answered on its line, its buses do, or a run reached it since the others were lost


@dataclass(slots=True)
class _Host:
    line: Line = field(default_factory=Line)
    run: Line = field(default_factory=Line)  # what the last run found there
    looked: float = 0.0  # when that run was there
    left: float = 0.0  # when its line was no longer fine
    absence: tuple[float, float] | None = None  # from when until when its line was not fine last
    heard: float | None = None  # when it answered last on its line
    buses_heard: bool = False  # whether its buses ever answered


AWAY = (Signal.LOST, Signal.GONE)
NOT_HELD = (Signal.NONE, Signal.REFUSED)  # of lines
REFUSAL = "Connection refused"  # the kernel's, where nothing listens


class Hosts:
    """The signals of every host, and what follows from them."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self.storm = ""  # why nothing is concluded at present
        self._stormy = -math.inf  # when there last was one

    def follow(self, names: Iterable[str]) -> None:
        self._hosts = {name: self._hosts.get(name) or _Host() for name in names}

    def configured(self, name: str) -> None:
        """The host is reached in another way now: what was heard from it before proves nothing."""
        if name in self._hosts:
            self._hosts[name] = _Host()

    def line(self, name: str, signal: Signal, why: str, now: float) -> bool:
        """Take in the state of the line to a host. :return: whether it differs from the one before."""
        host = self._hosts.get(name)
        if host is None:
            return False
        if signal is Signal.FINE:
            if host.line.signal in (Signal.DOUBT, *AWAY):
                host.absence = (host.line.since if host.heard is None else host.left, now)
            host.heard = now
        if signal is not Signal.FINE and host.line.signal is Signal.FINE:
            host.left = now
        return _note(host.line, signal, why, now)

    def afresh(self, now: float) -> None:
        """Count every silence from now on: nobody could act on it before."""
        for host in self._hosts.values():
            if host.line.signal is not Signal.FINE and host.line.signal not in NOT_HELD:
                host.line.since = host.left = now
            if host.heard is not None:
                host.heard = now
            host.run = Line()

    def answered(self, name: str, now: float) -> None:
        """A run reached the host."""
        host = self._hosts.get(name)
        if host is not None:
            host.run, host.looked = Line(Signal.FINE, now, ""), now

    def silent(self, name: str, why: str, now: float) -> None:
        """A run did not reach the host."""
        host = self._hosts.get(name)
        if host is not None:
            _note(host.run, Signal.LOST, why, now)
            host.looked = now

    def absence(self, name: str) -> tuple[float, float] | None:
        """From when until when its line was not fine last, be it for one question; None when it never came back.

        A host that stands still for a moment may end what it holds (its lease) before it misses a second question.
        """
        host = self._hosts.get(name)
        return host.absence if host is not None else None

    def last_answer(self, name: str) -> float | None:
        """When the host answered last on its line, or to a run; None when it never did."""
        host = self._hosts.get(name)
        if host is None or (host.heard is None and host.run.signal is not Signal.FINE):
            return None
        return max(host.heard or 0.0, host.left, host.looked if host.run.signal is Signal.FINE else 0.0)

    def answers_since(self, name: str, moment: float) -> bool:
        """Whether a host has answered on its line since then; True too where a line shows nothing, or silence already:
        then the verdict tells more."""
        host = self._hosts.get(name)
        if host is None or host.heard is None or host.line.signal not in (Signal.FINE, Signal.DOUBT):
            return True
        return host.heard >= moment

    def lines(self) -> Mapping[str, Line]:
        return {name: host.line for name, host in self._hosts.items()}

    def judge(
        self, buses: Mapping[str, Line], holding: Iterable[str], down: Iterable[str], down_after: float, now: float,
        interval: float = 1.0, serving: Iterable[str] | None = None,
    ) -> dict[str, Verdict]:  # fmt: skip
        """The verdict on every host as of `now`. Sets `storm`.

        :param buses: host -> the signal of its buses; a host without buses is missing.
        :param holding: hosts that hold a claim.
        :param down: hosts that are down in the ledger: they are not part of a storm.
        :param interval: s between two questions on a line.
        :param serving: hosts that hold or may hold services: only these can make a storm. None: all.
        """
        held, known = set(holding), set(down)
        found = {}
        for name, host in self._hosts.items():
            if buses.get(name, Line()).signal is Signal.FINE:
                host.buses_heard = True
            found[name] = _verdict(name, host, buses.get(name, Line()), name in held, down_after, now, interval)
        doubted = {name: host.line.since for name, host in self._hosts.items() if host.line.signal is Signal.DOUBT}
        live = {name: host.line if host.line.signal not in NOT_HELD else buses.get(name, Line())
                for name, host in self._hosts.items()}  # fmt: skip
        silent = {name for name, line in live.items() if line.signal is Signal.LOST}
        counted = set(self._hosts) if serving is None else set(serving)
        before, self.storm = self.storm, _storm(found, known, silent, doubted, counted)
        if before or self.storm:
            self._stormy = now
        if now < self._stormy + down_after:  # after a storm, too: hosts come back one by one
            for name, verdict in found.items():
                if verdict.state == DOWN and name not in known:
                    found[name] = replace(verdict, state=SUSPECT)
        return found

    def next_time(self, down_after: float, now: float, interval: float = 1.0) -> float | None:
        """When a verdict may change without a new signal; None for never."""
        away = [host for host in self._hosts.values() if host.line.signal in AWAY]
        due = [at for host in away for at in (host.left, host.line.since)]
        due += [host.heard + interval for host in away if host.heard is not None]
        return min((at + down_after for at in [*due, self._stormy] if at + down_after > now), default=None)


def _note(line: Line, signal: Signal, why: str, now: float) -> bool:
    if line.signal is signal:
        if why:
            line.why = why
        return False
    line.signal, line.since, line.why = signal, now, why
    return True


def _verdict(
    name: str, host: _Host, buses: Line, holds: bool, down_after: float, now: float, interval: float
) -> Verdict:
    line = host.line
    if line.signal in (Signal.FINE, Signal.DOUBT):
        return Verdict(name, UP, "", line.since, answers=line.signal is Signal.FINE)
    if line.signal is Signal.NONE and buses.signal is Signal.GONE:
        buses = Line()  # the machine answers, so this is about its buses only
    # What a run found counts only if it looked after the others were lost.
    others = max([signal.since for signal in (line, buses) if signal.signal in AWAY], default=0.0)
    run = host.run if host.looked >= others else Line()
    lost = [signal for signal in (line, buses, run) if signal.signal in AWAY]
    answers = Signal.FINE in (buses.signal, run.signal)
    held = line.signal not in NOT_HELD and (host.heard is not None or line.signal is Signal.GONE)
    if not lost or (not held and answers):
        # where no line is held, a run that got there is enough
        return Verdict(name, UP, "", line.since, answers=answers or line.signal is Signal.REFUSED)
    why = "; ".join(signal.why for signal in lost if signal.why) or "%s does not answer" % name
    # A bus that was lost while the line was fine is no sign that the host goes: it counts from then on.
    since = min(max(signal.since, host.left) for signal in lost)
    count, there = _lost(host, line, buses, run, holds), False
    if line.signal is Signal.GONE:
        there = run.signal is not Signal.LOST
    elif line.signal is Signal.REFUSED:
        there = run.signal is not Signal.LOST and buses.signal is not Signal.LOST
    against = [word for word, signal in (("its buses answer", buses), ("a run reached it", run))
               if signal.signal is Signal.FINE]  # fmt: skip
    if against:
        return Verdict(name, SUSPECT, "%s, but %s" % (why, " and ".join(against)), since, count, there, True)
    enough = 2 if holds else 1
    silent = line.signal is Signal.LOST and buses.signal is Signal.LOST and buses.cut and host.heard is not None
    long_silent = silent and now - (host.heard or 0.0) >= interval + down_after
    if count >= enough and (long_silent or now - since >= down_after):
        return Verdict(name, DOWN, why, since, count)
    return Verdict(name, SUSPECT, why, since, count, there)


def _lost(host: _Host, line: Line, buses: Line, run: Line, holds: bool) -> int:
    """How many independent signals are lost.

    A line or a bus that was never fine may never have been within reach, so it counts only when a run did not reach the
    host either and sshd does not answer, or when the host holds nothing.
    """
    ran = run.signal in AWAY
    if ran and REFUSAL in line.why and REFUSAL in run.why and not host.buses_heard:
        ran = False  # both asked the same closed port, and nothing else there was ever within reach
    proven = not holds or (ran and line.signal is not Signal.REFUSED)
    of_line = line.signal in AWAY and (proven or host.heard is not None)
    of_buses = buses.signal in AWAY and (proven or host.buses_heard)
    if line.signal is Signal.GONE:
        of_buses = False  # the buses end with their service manager: both are one signal
    return of_line + of_buses + ran


def _storm(
    found: Mapping[str, Verdict], known: set[str], silent: set[str], doubted: Mapping[str, float], counted: set[str]
) -> str:
    """Why nothing may be concluded: more than half of the hosts for services fell silent together. "" if they did not.

    A host in doubt counts too, because each silence is noticed at a moment of its own. A machine that answers does not
    count, nor does a host without line and buses: only a run could show that it is back, and none goes there meanwhile.
    A console that is silent may be switched off. One that answers shows, together with a server that does, that this
    controller is not cut off, if more hosts answer than servers fell silent.

    :param counted: hosts that hold or may hold services.
    """
    there = [v for name, v in found.items() if name not in known and (v.state == UP or v.answers or name in silent)]
    gone = {v.host: v.since for v in there if v.state != UP and not v.answers and v.host in counted}
    gone.update({name: since for name, since in doubted.items() if name not in known and name in counted})
    answering = [v.host for v in there if v.host not in gone and (v.state == UP or v.answers) and v.host not in doubted]
    servers = [name for name in answering if name in counted]
    for first in sorted(gone.values()):
        together = sorted(name for name, since in gone.items() if 0 <= since - first <= TOGETHER_SECONDS)
        of = len(servers) + sum(1 for since in gone.values() if since >= first)
        many = len(together) > 1 and len(together) * 2 > of
        enough = bool(servers) and len(answering) > len(together)
        if many and not enough and any(found[name].state != UP for name in together):
            return (
                "%d of %d hosts for services fell silent together (%s): this controller is probably the one that is "
                "cut off, so nothing is concluded until enough of them answer or a person confirms which are down; "
                "hosts that answer are served" % (len(together), of, ", ".join(together))
            )
    return ""


def left_out(
    hosts: Mapping[str, str], lines: Mapping[str, Line], verdicts: Mapping[str, Verdict], asked: bool
) -> list[str]:
    """Hosts that runs do not go to, see `Brain.left_out`. :param hosts: as the watch list has them."""
    silent = []
    for name, state in hosts.items():
        signal = lines[name].signal if state == DOWN and name in lines else Signal.FINE
        verdict = verdicts.get(name)
        shows_itself = verdict is None or verdict.state == UP  # by a bus or a run, or no run has looked yet
        if signal is Signal.LOST or (signal in NOT_HELD and not asked and not shows_itself):
            silent.append(name)
    return sorted(silent)
