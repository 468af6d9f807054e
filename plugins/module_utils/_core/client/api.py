# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's API as command lines use it: over a Unix socket, with nothing imported that costs time.

HTTP/1.0 on purpose: an answer ends with its connection, so that reading it needs no library (`http.client` alone takes
longer to import than a status takes to fetch).
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from .person import before_sudo, said

Json = Dict[str, Any]
SOCKET = "run/api.sock"  # below the state folder, and below the folder of a host
CONNECT = 2.0  # s
BASE = "/api/v1"
ANSWERS = 20.0  # s, within which a monitor answers a question, or takes a request
ASKED_APART = 30  # s, at most, until the answer to a request that was taken is asked for again


class Lost(Exception):
    """The monitor went away in the middle of a request; the text is one sentence."""


class Late(Exception):
    """No answer in time; the text is one sentence."""


class Refused(Exception):
    """The API refused a request: status, sentence, and what is wrong with each field."""

    def __init__(self, status: int, sentence: str, errors: List[Json]) -> None:
        super().__init__(sentence)
        self.status = status
        self.errors = errors


class Busy(Refused):
    """The monitor cannot take this now: too much is asked of it, or it cannot read its state. It did nothing."""


class Silent(Late):
    """The monitor does not answer at all, long before the time for the whole is over."""


class Remote:
    """A monitor that answers.

    :param who: a person who became another user, by sudo; the monitor believes its own user, and root, who that is.
    """

    def __init__(self, path: str, who: str = "") -> None:
        self.path = path
        self.who = who
        self.asked = ""  # the id of the request that was sent last, once it is taken

    def get(self, path: str, timeout: float = 30.0, **query: Any) -> Json:
        """:raises Refused, Lost, Late:"""
        return self._call("GET", path, None, query, timeout)

    def text(self, path: str, timeout: float = 30.0, **query: Any) -> str:
        """:raises Refused, Lost, Late:"""
        return self._fetch("GET", path, None, query, timeout).decode("utf-8")

    def post(self, path: str, body: Mapping[str, Any], timeout: float, patient: bool = False) -> Json:
        """:param patient: the answer takes its time. :raises Refused, Lost, Late:"""
        return self._call("POST", path, body, {}, timeout, patient)

    def withdraw(self, ident: str, why: str, timeout: float) -> Json:
        """Take a request back that waits. :raises Refused: with why not. :raises Lost, Late:"""
        return self._call("DELETE", "/actions/" + quoted(ident), {"why": why}, {}, timeout)

    def act(self, body: Mapping[str, Any], timeout: float, meanwhile: Optional[Callable[[], None]] = None) -> Json:
        """Have a request carried out; returns its outcome.

        It is taken at once and answered later, so that a monitor that takes nothing differs from one that works.

        :param meanwhile: called about once a second until the answer is there.
        :raises Busy, Silent: when it is not taken. :raises Refused, Lost, Late:
        """
        end = time.monotonic() + timeout
        ticket = self._call("POST", "/actions?wait=0", body, {}, timeout)
        self.asked = str(ticket["id"])
        while ticket["state"] == "running":
            left = end - time.monotonic()
            if left <= 0:
                raise Late("the monitor did not answer within %g s; what it was asked goes on" % timeout)
            wait = max(1, min(1 if meanwhile else ASKED_APART, int(left)))
            try:
                ticket = self._call("GET", "/actions/%s" % quoted(ticket["id"]), None, {"wait": wait}, wait + ANSWERS)
            except Busy:
                time.sleep(1.0)
            except Refused as error:  # another process serves the API now, which does not know the ticket
                raise Lost("%s; `muster status` tells what came of it" % error) from None
            if meanwhile is not None and ticket["state"] == "running":
                meanwhile()
        if ticket["state"] != "done":
            raise Refused(500, str(ticket.get("error") or "the request failed in the monitor"), [])
        answer: Json = ticket["answer"]
        return answer

    def answer(self, request: Mapping[str, Any], timeout: float = 30.0) -> Json:
        """What `controller.calls.handle` would answer to a request that only looks."""
        verb = request["verb"]
        if verb == "status":
            return {"status": self.get("/status", timeout)}
        if verb == "plan":
            return {"plan": self.get("/plan", timeout)}
        if verb == "trail":
            query = {key: request[key] for key in ("after", "limit", "instance") if request.get(key) is not None}
            query["limit"] = max(1, min(1000, int(query.get("limit", 100))))
            return {"trail": self.get("/events", timeout, **query)["events"]}
        if verb in ("alarms", "past", "availability", "handover"):
            query = {key: value for key, value in request.items() if key != "verb" and value not in (None, "")}
            found = self.get("/" + verb, timeout, **query)
            return {verb: found["past"] if verb == "past" else found}
        if verb == "explain":
            return {"explain": self.get("/explain/" + quoted(str(request["item"])), timeout)}
        if verb == "what_if":
            return {"what_if": self.post("/what-if", request["assume"], timeout)}
        raise ValueError(verb)

    def follow(self, after: Optional[int] = None) -> Iterator[Tuple[str, Json]]:
        """Events as they come: (trail | status | alive, document). Ends when the monitor does.

        :raises Refused: when it has no stream for us.
        """
        for event, _unused, document in self.stream("/events/stream", {} if after is None else {"after": after}):
            yield event, document

    def stream(self, path: str, query: Mapping[str, Any], last: str = "") -> Iterator[Tuple[str, str, Any]]:
        """Server-sent events as they come: (event, id, document). Ends when the monitor does.

        :param last: the id to go on from.
        :raises Refused: when it has no such stream for us.
        """
        path = _with(path, query)
        more = "Last-Event-ID: %s\r\n" % last if last else ""
        with self._send("GET", path, None, 30.0, more) as connection, connection.makefile("rb") as answer:
            status = _head(answer)
            if status != 200:
                raise _refusal(status, answer.read())
            event = ident = ""
            for line in answer:
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                elif line.startswith(b"id: "):
                    ident = line[4:].strip().decode()
                elif line.startswith(b"data: "):
                    yield event, ident, json.loads(line[6:])
                    ident = ""

    def _call(self, method: str, path: str, body: Optional[Mapping[str, Any]], query: Json, timeout: float,
              patient: bool = False) -> Json:  # fmt: skip
        data = self._fetch(method, path, body, query, timeout, patient)
        try:
            found: Json = json.loads(data)
        except ValueError:
            raise Lost("the monitor went away in the middle of its answer; `muster status` tells more") from None
        return found

    def _fetch(self, method: str, path: str, body: Optional[Mapping[str, Any]], query: Json, timeout: float,
               patient: bool = False) -> bytes:  # fmt: skip
        path = _with(path, query)
        try:
            patience = timeout if patient or "wait" in query else min(timeout, ANSWERS)
            with self._send(method, path, body, patience) as connection, connection.makefile("rb") as answer:
                status = _head(answer)
                data = answer.read()
        except TimeoutError:
            if patience < timeout:
                raise Silent("the monitor does not answer within %g s" % patience) from None
            raise Late("the monitor did not answer within %g s; what it was asked goes on" % timeout) from None
        except OSError as error:
            raise Lost("the monitor went away (%s); `muster status` tells what came of it" % error) from None
        if status >= 400:
            raise _refusal(status, data)
        return bytes(data)

    def _send(
        self, method: str, path: str, body: Optional[Mapping[str, Any]], timeout: float, more: str = ""
    ) -> socket.socket:
        """:param more: further lines of the head."""
        connection = connect(self.path)
        if connection is None:
            raise ConnectionRefusedError("it does not answer any more")
        connection.settimeout(timeout)
        data = json.dumps(body).encode() if body is not None else b""
        head = "%s %s%s HTTP/1.0\r\nHost: muster\r\n%s" % (method, BASE, path, more)
        if said():
            head += "X-Muster-Person: %s\r\n" % quoted(said())
        if body is not None:
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(data)
        try:
            connection.sendall(_introduction(self.who) + head.encode("ascii") + b"\r\n" + data)
        except BaseException:
            connection.close()
            raise
        return connection


def find(state_dir: Optional[os.PathLike[str]], environ: Mapping[str, str]) -> Optional[Remote]:
    """The monitor of this site, when one answers: by the folder of the host that we are on, else by the state folder.

    A host's folder is named by MUSTER_HOST_ROOT, or by MUSTER_ROOT as programs of that host have it; else it is the one
    that we are in.
    """
    own = os.path.join(state_dir, SOCKET) if state_dir is not None else ""
    for path in _candidates(state_dir, environ):
        if os.path.exists(path):
            connection = connect(path)
            if connection is not None:
                connection.close()
                return Remote(path, before_sudo() if path == own else "")  # a host tells the monitor itself
    return None


def _introduction(who: str) -> bytes:
    if not who:
        return b""
    from ..host.relay import INTRODUCTION  # most commands need nothing of it

    return INTRODUCTION + who.encode("utf-8") + b"\n"


def _candidates(state_dir: Optional[os.PathLike[str]], environ: Mapping[str, str]) -> Iterator[str]:
    for name in ("MUSTER_HOST_ROOT", "MUSTER_ROOT"):
        if environ.get(name):
            yield os.path.join(environ[name], SOCKET)
    if state_dir is not None:
        yield os.path.join(state_dir, SOCKET)
        return
    folder = os.getcwd()
    while folder != os.path.dirname(folder):
        if os.path.isfile(os.path.join(folder, "etc", "host.json")):
            yield os.path.join(folder, SOCKET)
        folder = os.path.dirname(folder)


def connect(path: str) -> Optional[socket.socket]:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def _head(answer: BinaryIO) -> int:
    """The status; reads up to the body. :raises OSError: when there is none."""
    first = answer.readline().split()
    while answer.readline().strip():
        pass
    if len(first) < 2 or not first[1].isdigit():
        raise ConnectionResetError("no answer")
    return int(first[1])


def _refusal(status: int, data: bytes) -> Refused:
    kind = Busy if status in (429, 503) else Refused
    try:
        body = json.loads(data)
        return kind(status, str(body["error"]), list(body.get("errors") or []))
    except (ValueError, KeyError, TypeError):
        return kind(status, "the monitor answered with status %d" % status, [])


def _with(path: str, query: Mapping[str, Any]) -> str:
    if not query:
        return path
    return path + "?" + "&".join("%s=%s" % (key, quoted(str(value))) for key, value in query.items())


def quoted(text: str) -> str:
    """As a part of a path, or of a query."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~"
    return "".join(chr(byte) if byte in safe else "%%%02X" % byte for byte in text.encode("utf-8", "surrogateescape"))
