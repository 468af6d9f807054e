# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML-RPC over a Unix socket, as far as supervisord uses it.

`xmlrpc.client` and `http.client` take 35 ms to import, half the time of a staged restart. `socket` takes 3 ms, so this
uses the module that it wraps.
"""

from __future__ import annotations

import _socket as socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    Call = Tuple[str, Sequence[Any]]


class Fault(Exception):
    """A server refuses a call."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class XmlRpcClient:
    """A connection to a server. It is opened by the first call, kept, and opened again after an error."""

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._path = path
        self.timeout = timeout  # s that a server may send nothing
        self._socket: Optional[socket.socket] = None

    def call(self, method: str, *parameters: Any) -> Any:
        """Call a method. Parameters are bool, int, str, lists or dicts of these.

        :raises Fault: when the server refuses.
        :raises OSError: when there is no server, or it does not answer in time.
        """
        result = _parse(self._post(_request(method, parameters)))
        if isinstance(result, Fault):
            raise result
        return result

    def multicall(self, calls: Sequence[Call]) -> List[Any]:
        """Several calls in one round trip: per call its result, or a `Fault` (not raised).

        :raises OSError: as `call`.
        """
        if not calls:
            return []
        structs = [{"methodName": method, "params": list(parameters)} for method, parameters in calls]
        results = self.call("system.multicall", structs)
        return [Fault(r["faultCode"], r["faultString"]) if isinstance(r, dict) and "faultCode" in r else r
                for r in results]

    def close(self) -> None:
        """Close the connection. Idempotent; the next call opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _post(self, body: bytes) -> bytes:
        head = b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
            self._socket.settimeout(self.timeout)
            try:
                self._socket.connect(self._path)
            except OSError:
                self.close()
                raise
        try:
            self._socket.sendall(head % len(body) + body)
            return self._answer(self._socket)
        except OSError:
            self.close()
            raise

    def _answer(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data = data + self._more(connection)
        head, _unused, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        if b" 200 " not in lines[0] + b" ":
            raise OSError("the service manager answered %s" % lines[0].decode("latin-1"))
        length = 0
        for line in lines[1:]:
            name, _unused, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        parts = [body]
        missing = length - len(body)
        while missing > 0:
            part = self._more(connection)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    @staticmethod
    def _more(connection: socket.socket) -> bytes:
        data = connection.recv(262144)
        if not data:
            raise OSError("the service manager closed the connection")
        return data


def _request(method: str, parameters: Sequence[Any]) -> bytes:
    parts = ["<?xml version='1.0'?><methodCall><methodName>", method, "</methodName><params>"]
    for parameter in parameters:
        parts.append("<param><value>")
        _encode(parameter, parts)
        parts.append("</value></param>")
    parts.append("</params></methodCall>")
    return "".join(parts).encode("utf-8")


def _encode(value: Any, parts: List[str]) -> None:
    if isinstance(value, bool):
        parts.append("<boolean>%d</boolean>" % value)
    elif isinstance(value, int):
        parts.append("<int>%d</int>" % value)
    elif isinstance(value, str):
        text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts.append("<string>%s</string>" % text)
    elif isinstance(value, dict):
        parts.append("<struct>")
        for key, entry in value.items():
            parts.append("<member><name>%s</name><value>" % key)
            _encode(entry, parts)
            parts.append("</value></member>")
        parts.append("</struct>")
    else:
        parts.append("<array><data>")
        for entry in value:
            parts.append("<value>")
            _encode(entry, parts)
            parts.append("</value>")
        parts.append("</data></array>")


def _parse(data: bytes) -> Any:
    """The value of a methodResponse; a `Fault` is returned, not raised."""
    from xml.parsers import expat

    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.Parse(data, True)
    value = reader.values[0] if reader.values else None
    if reader.fault and isinstance(value, dict):
        return Fault(int(value.get("faultCode", 0)), str(value.get("faultString", "")))
    return value


class _Reader:
    """Builds values bottom up: a container takes what was pushed since its mark."""

    def __init__(self) -> None:
        self.values: List[Any] = []
        self.fault = False
        self._marks: List[int] = []
        self._text: List[str] = []
        self._bare = False  # a <value> without a type is a string

    def start(self, tag: str, attributes: Dict[str, str]) -> None:
        if tag in ("array", "struct"):
            self._marks.append(len(self.values))
        elif tag == "fault":
            self.fault = True
        self._text = []
        self._bare = tag == "value"

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, tag: str) -> None:
        text = "".join(self._text)
        if tag in ("int", "i4", "i8"):
            self.values.append(int(text))
        elif tag == "boolean":
            self.values.append(text.strip() == "1")
        elif tag == "double":
            self.values.append(float(text))
        elif tag in ("string", "name") or (tag == "value" and self._bare):
            self.values.append(text)
        elif tag == "nil":
            self.values.append(None)
        elif tag == "array":
            mark = self._marks.pop()
            self.values[mark:] = [self.values[mark:]]
        elif tag == "struct":
            mark = self._marks.pop()
            flat = self.values[mark:]
            self.values[mark:] = [dict(zip(flat[::2], flat[1::2]))]
        self._bare = False
        self._text = []
