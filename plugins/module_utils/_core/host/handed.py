# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that arrive on the monitor's line, acts and observations: each is carried out by a child process, as a
fresh agent would do it.

The line itself only starts them and passes their answers on, in parts, so that whatever one does keeps no question and
no event waiting. A child holds nothing of the line's: it completes what it began when the line ends. It leaves its
answer to an act in ``run/acts/<token>``, too, where a request ``acted`` finds it that came another way because the line
ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import json
import os
import re
import signal
import sys
import time

from . import relay
from .logs import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional

    Json = Dict[str, Any]
    Check = Callable[[Mapping[str, Any]], Json]

TOKEN = re.compile(r"[0-9a-f]{32}\Z")
MOST = 16  # acts at a time on one line; one more is refused, and comes by a command
LARGEST = 4 * 1024 * 1024  # bytes of an answer
PART_BYTES = 32 * 1024  # of an answer, in one line
OLDEST_SECONDS = 600.0  # that an answer is kept
_LOOK_SECONDS = 0.01
# Imported before the first act, so that none waits for it; an act imports nothing else.
_USED = ("act.act", "act.alone", "act.granted", "act.instance", "act.launches", "act.ready", "act.results",
         "act.scene", "act.sequencer", "act.stages", "alone.decide", "alone.grants", "contact", "ledger_copies",
         "logs.marks", "machine.files", "machine.given",
         "machine.instance_files", "machine.limits", "machine.notify", "machine.ownership", "machine.ports",
         "machine.procs", "machine.starts",
         "observe", "service.choose", "service.ends", "service.errors", "service.identity", "service.manager")
_MANAGERS = {
    "supervisor": ("daemon", "manager", "orders", "xmlrpc"),
    "systemd": ("dbus", "groups", "manager", "orders"),
}
_LIBRARY = {"supervisor": ("xml.parsers.expat",), "systemd": ()}  # what these import when they need it
_OBSERVE, _KEEP, _EXEC = "observe", "keep", "exec"
_LOOKS = ("lease.allowed", "load", "service.preparation")  # what only an observation needs, from the first one on


class _Act:
    """One that is under way: its process, and what it has answered so far."""

    __slots__ = ("answer", "pid", "token")

    def __init__(self, token: str, pid: int) -> None:
        self.token = token
        self.pid = pid
        self.answer = b""


class Handed:
    """The acts of one line."""

    def __init__(
        self, version: str, root: str, carry_out: Check, allowed: Optional[Check] = None, only: str = ""
    ) -> None:
        """
        :param version: of this agent, the name of its folder.
        :param root: folder of the host, whose service manager decides what is imported now.
        :param carry_out: the agent's own function for a request.
        :param allowed: makes the request that is carried out from the one that came; raises ValueError for one that
            this caller may not make.
        :param only: the only folder a request may name; "": any.
        """
        self.version = version
        self._carry_out = carry_out
        self._allowed = allowed
        self._only = only
        self._acts: Dict[int, _Act] = {}  # by the pipe of their answers
        self._ended: List[int] = []  # processes to collect
        self.logs = child.Logs(self._log_request)
        self._manager = _service_manager(root)
        self._import(*_USED, *("service.%s.%s" % (self._manager, part) for part in _MANAGERS[self._manager]))
        for name in _LIBRARY[self._manager]:
            importlib.import_module(name)

    def take(self, said: Mapping[str, Any]) -> Json:
        """Begin the act that the monitor hands over: ``{"act": token, "agent": version, "request": {...}}``.

        :return: ``{"taken": token}``; or ``{"refused": token, "why": sentence}``: then nothing was begun. Empty where
            it is about logs (`host.logs.child`), whose answers come later.
        """
        if "log" in said:
            return self.logs.take(said)
        token = said.get("act")
        if not isinstance(token, str) or not TOKEN.match(token):
            return {"refused": "", "why": "this is no token of an act"}
        try:
            return self._begin(token, said)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            return {"refused": token, "why": "%s" % error}

    def waited(self) -> List[int]:
        """Descriptors at which answers arrive."""
        return [*self._acts, *self.logs.waited()]

    def acts_under_way(self) -> bool:
        return bool(self._acts)

    def answers(self, ready: List[int]) -> List[Json]:
        """What came at these descriptors: ``{"part": token, "text"}`` and last ``{"acted": token}``, with ``"why"``
        when it ended without an answer."""
        found: List[Json] = []
        for descriptor in ready:
            act = self._acts.get(descriptor)
            if act is None:
                continue
            data = os.read(descriptor, PART_BYTES * 2)
            act.answer += data
            if data and not data.endswith(b"\n") and len(act.answer) <= LARGEST:
                continue
            os.close(descriptor)
            del self._acts[descriptor]
            self._ended.append(act.pid)
            found += self._answer(act)
        self._collect()
        return [*found, *self.logs.answers(ready)]

    def close(self) -> None:
        """The line ends: what is under way goes on without it."""
        for descriptor in self._acts:
            os.close(descriptor)
        self._acts.clear()

    def _import(self, *names: str) -> None:
        package = __name__.rpartition(".")[0]
        for name in names:
            importlib.import_module("%s.%s" % (package, name))

    def _checked(self, request: Json) -> Json:
        """:raises ValueError: when this caller may not make it."""
        request.pop("agent", None)
        if self._only and request["host"]["root"] != self._only:
            raise ValueError("%s is not the folder of this host, %s" % (request["host"]["root"], self._only))
        return self._allowed(request) if self._allowed is not None else request

    def _log_request(self, request: Mapping[str, Any]) -> Json:
        return self._checked(dict(request, verb="log"))

    def _answer(self, act: _Act) -> List[Json]:
        if not act.answer.endswith(b"\n") or len(act.answer) > LARGEST:
            return [{"acted": act.token, "why": "the agent ended without an answer"}]
        text = act.answer.decode("utf-8", "replace")
        parts: List[Json] = [
            {"part": act.token, "text": text[at : at + PART_BYTES]} for at in range(0, len(text), PART_BYTES)
        ]
        return [*parts, {"acted": act.token}]

    def _collect(self) -> None:
        for pid in list(self._ended):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self._ended.remove(pid)

    def _begin(self, token: str, said: Mapping[str, Any]) -> Json:
        if said.get("agent") != self.version:
            raise ValueError("the agent here is another version")
        if len(self._acts) >= MOST:
            raise ValueError("%d acts are under way on this line" % MOST)
        request = dict(said["request"])
        verb = request.get("verb")
        known = ("act", _OBSERVE, _KEEP, _EXEC)
        if verb not in known or request.get("config") or request.get("start_service_manager"):
            raise ValueError("such a request comes by a command of its own")
        request = self._checked(request)
        if verb == _OBSERVE:
            self._import(*_LOOKS, "service.%s.setup" % self._manager)
        self._collect()
        reading, writing = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if pid == 0:
            try:
                _be_the_agent(self._carry_out, request, token, writing)
            finally:
                os._exit(1)
        os.close(writing)
        self._acts[reading] = _Act(token, pid)
        return {"taken": token}


def _be_the_agent(carry_out: Check, request: Mapping[str, Any], token: str, answer_to: int) -> None:
    """Serve one request, in a process that has forked from the line. Never returns."""
    signal.alarm(0)  # the line's patience
    os.setsid()
    answer_to = relay.alone(answer_to)
    os.set_inheritable(answer_to, False)
    if "random" in sys.modules:
        sys.modules["random"].seed()
    root = request["host"]["root"]
    os.chdir(root)  # for people who ask which host it belongs to
    held = _note(root, token) if request.get("verb") == "act" else -1  # who looked will look again
    try:
        answer = carry_out(request)
    except Exception as error:
        answer = {"error": "%s: %s" % (type(error).__name__, error)}
    data = json.dumps(answer, separators=(",", ":")).encode("utf-8") + b"\n"
    with contextlib.suppress(OSError):
        if held >= 0:
            _write(held, data)
    with contextlib.suppress(OSError):  # the line is gone
        _write(answer_to, data)
    os._exit(0)


def result(root: str, token: str, within: float) -> Json:
    """The answer of an act that was handed to a line which has ended since; waits for it.

    :param within: s.
    """
    if not TOKEN.match(token):
        return {"error": "this is no token of an act"}
    until = time.monotonic() + within
    try:
        descriptor = os.open(_place(root, token), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {"error": "nothing is known here of an act that the line took or was to take"}
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() > until:
                return {"error": "an act that the line took still goes on after %.0f s" % within}
            time.sleep(_LOOK_SECONDS)
        data = os.pread(descriptor, LARGEST, 0)
    finally:
        os.close(descriptor)
    if not data.endswith(b"\n"):
        return {"error": "an act that the line took ended without an answer"}
    answer: Json = json.loads(data.decode("utf-8"))
    return answer


def _note(root: str, token: str) -> int:
    """A file for the answer, locked while this process lives. :return: its descriptor; -1: there is none."""
    folder = root + "/run/acts"
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        for entry in os.scandir(folder):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > OLDEST_SECONDS:
                os.unlink(entry.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(_place(root, token), flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a full disk: then only the line brings the answer
        return -1
    return descriptor


def _place(root: str, token: str) -> str:
    return "%s/run/acts/%s" % (root, token)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _service_manager(root: str) -> str:
    try:
        with open(root + "/etc/host.json", encoding="utf-8") as handle:
            named = str(json.load(handle).get("service_manager"))
    except (OSError, ValueError, RecursionError, AttributeError):
        return "supervisor"
    return named if named in _MANAGERS else "supervisor"
