# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D-Bus over a Unix socket, as far as systemd uses it with root on its own socket.

Many calls are sent in one write, so that a question about thirty units takes one round trip. Running `systemctl` would
take 10 ms to start a process, each time that a state is looked at.
"""

from __future__ import annotations

import _socket as socket  # `socket` takes 3 ms to import
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    Call = Tuple[str, str, str, Sequence[Any]]  # object path, interface, member, arguments (texts, lists of texts)

_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "b": "I", "h": "I"}
_ALIGNED = {"y": 1, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8, "b": 4, "h": 4, "s": 4, "o": 4, "g": 1,
            "v": 1, "a": 4, "(": 8, "{": 8}


class Error(Exception):
    """The server refuses a call."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name  # such as org.freedesktop.systemd1.NoSuchUnit
        self.text = text or name


class DBusClient:
    """A connection to a bus. It is opened by the first call, kept, and opened again after an error."""

    def __init__(self, path: str, destination: str, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self._destination = destination
        self._socket: Optional[socket.socket] = None
        self._serial = 0
        self._data = b""

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def open(self) -> None:
        """Connect now: signals arrive from then on.

        :raises OSError: when there is no server, or it refuses this user.
        """
        self._connect()

    def fileno(self) -> int:
        """The descriptor of the connection, for `select`; -1 without one."""
        return -1 if self._socket is None else self._socket.fileno()

    def heard(self, below: str) -> List[Tuple[str, str, List[Any]]]:
        """Signals that have arrived, without waiting: (path of the object, member, values).

        :param below: how the path must begin.
        :raises OSError: when the connection ended, or the data are not D-Bus.
        """
        if self._socket is None:
            raise OSError(107, "not connected")
        self._socket.settimeout(0)
        try:
            while True:
                part = self._socket.recv(65536)
                if not part:
                    raise ConnectionResetError(104, "closed by the other side")
                self._data += part
        except BlockingIOError:
            pass
        found: List[Tuple[str, str, List[Any]]] = []
        try:
            while True:
                message = self._message()
                if message is None:
                    return found
                kind, fields, body = message
                path = str(fields.get(_PATH, ""))
                if kind == _SIGNAL and path.startswith(below):
                    found.append((path, str(fields.get(_MEMBER, "")), _values(fields.get(_SIGNATURE, ""), body)))
        except (ValueError, IndexError, struct.error) as error:
            raise OSError(71, "data from %s are not D-Bus: %s" % (self.path, error)) from None

    def call(self, path: str, interface: str, member: str, *arguments: Any) -> Any:
        """Call a method. Arguments are str, bool or lists of str. :return: as `calls`.

        :raises Error: when the server refuses.
        :raises OSError: when there is no server, or it does not answer in time.
        """
        result = self.calls([(path, interface, member, arguments)])[0]
        if isinstance(result, Error):
            raise result
        return result

    def calls(self, calls: Sequence[Call]) -> List[Any]:
        """Many calls in one round trip.

        :return: per call its value (None without one, a list of several), or an `Error`.
        :raises OSError: as `call`.
        """
        try:
            return self._exchange(calls)
        except OSError:
            self.close()
            raise
        except (ValueError, IndexError, struct.error) as error:
            self.close()
            raise OSError(71, "data from %s are not D-Bus: %s" % (self.path, error)) from None

    def _exchange(self, calls: Sequence[Call]) -> List[Any]:
        connection = self._connect()
        wanted: Dict[int, int] = {}
        out = []
        for position, call in enumerate(calls):
            self._serial += 1
            wanted[self._serial] = position
            out.append(_message(self._serial, self._destination, call))
        connection.sendall(b"".join(out))
        results: List[Any] = [None] * len(calls)
        while wanted:
            kind, fields, body = self._receive(connection)
            position = wanted.pop(fields.get(_REPLY_SERIAL, 0), -1)
            if position < 0:
                continue  # a signal, or the answer to an earlier call
            values = _values(fields.get(_SIGNATURE, ""), body)
            if kind == _ERROR:
                results[position] = Error(fields.get(_ERROR_NAME, ""), str(values[0]) if values else "")
            else:
                results[position] = values if len(values) > 1 else (values[0] if values else None)
        return results

    def _connect(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(self.timeout)
                connection.connect(self.path)
                user = str(os.geteuid()).encode().hex()
                connection.sendall(b"\0AUTH EXTERNAL %s\r\nBEGIN\r\n" % user.encode())
                answer = b""
                while b"\r\n" not in answer:
                    part = connection.recv(4096)
                    if not part:
                        raise ConnectionResetError(104, "closed by the other side")
                    answer += part
                line, _unused, self._data = answer.partition(b"\r\n")
                if not line.startswith(b"OK "):
                    raise PermissionError(13, "refused: %s" % line.decode("utf-8", "replace"))
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket

    def _receive(self, connection: socket.socket) -> Tuple[int, Dict[int, Any], bytes]:
        while True:
            message = self._message()
            if message is not None:
                return message
            self._read(connection)

    def _message(self) -> Optional[Tuple[int, Dict[int, Any], bytes]]:
        """(kind, fields, body) of the first complete message; None without one."""
        data = self._data
        if len(data) < 16:
            return None
        if data[:1] != b"l":
            raise ValueError("not little-endian")
        body_size, _serial, fields_size = struct.unpack_from("<III", data, 4)
        start = (16 + fields_size + 7) & ~7
        if len(data) < start + body_size:
            return None
        message, self._data = data[: start + body_size], data[start + body_size :]
        entries, _unused = _array("(yv)", message, 12)
        return message[1], dict(entries), message[start:]

    def _read(self, connection: socket.socket) -> None:
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError(104, "closed by the other side")
        self._data += part


def _message(serial: int, destination: str, call: Call) -> bytes:
    path, interface, member, arguments = call
    signature = "".join("s" if isinstance(argument, str) else "b" if isinstance(argument, bool) else "as"
                        for argument in arguments)
    body = bytearray()
    for argument in arguments:
        if isinstance(argument, str):
            _put_text(body, argument)
        elif isinstance(argument, bool):
            _pad(body, 4)
            body += struct.pack("<I", argument)
        else:
            inner = bytearray()
            for text in argument:
                _put_text(inner, text)
            _pad(body, 4)
            body += struct.pack("<I", len(inner)) + inner
    fields = bytearray()
    for code, kind, text in ((_PATH, b"o", path), (_DESTINATION, b"s", destination), (_INTERFACE, b"s", interface),
                             (_MEMBER, b"s", member), (_SIGNATURE, b"g", signature)):
        if text:
            _pad(fields, 8)
            fields += bytes((code, 1)) + kind + b"\0"
            if kind == b"g":
                fields += bytes((len(text),)) + text.encode() + b"\0"
            else:
                _put_text(fields, text)
    head = bytearray(struct.pack("<cBBBIII", b"l", _CALL, 0, 1, len(body), serial, len(fields))) + fields
    _pad(head, 8)
    return bytes(head + body)


def _put_text(target: bytearray, text: str) -> None:
    _pad(target, 4)
    data = text.encode("utf-8")
    target += struct.pack("<I", len(data)) + data + b"\0"


def _pad(target: bytearray, size: int) -> None:
    target += b"\0" * (-len(target) % size)


def _values(signature: str, body: bytes) -> List[Any]:
    values = []
    offset = 0
    while signature:
        kind = _first(signature)
        signature = signature[len(kind) :]
        value, offset = _value(kind, body, offset)
        values.append(value)
    return values


def _value(kind: str, data: bytes, offset: int) -> Tuple[Any, int]:
    head = kind[0]
    offset += -offset % _ALIGNED[head]
    if head in _FIXED:
        number = struct.unpack_from("<" + _FIXED[head], data, offset)[0]
        return (bool(number) if head == "b" else number), offset + struct.calcsize(_FIXED[head])
    if head in "so":
        size = struct.unpack_from("<I", data, offset)[0]
        return data[offset + 4 : offset + 4 + size].decode("utf-8", "replace"), offset + 5 + size
    if head == "g":
        size = data[offset]
        return data[offset + 1 : offset + 1 + size].decode(), offset + 2 + size
    if head == "v":
        inner, offset = _value("g", data, offset)
        return _value(inner, data, offset)
    if head == "a":
        return _array(kind[1:], data, offset)
    values = []
    inner = kind[1:-1]
    while inner:
        part = _first(inner)
        inner = inner[len(part) :]
        value, offset = _value(part, data, offset)
        values.append(value)
    return values, offset


def _array(kind: str, data: bytes, offset: int) -> Tuple[Any, int]:
    size = struct.unpack_from("<I", data, offset)[0]
    offset += 4
    offset += -offset % _ALIGNED[kind[0]]
    end = offset + size
    if kind == "y":
        return data[offset:end], end
    values = []
    while offset < end:
        value, offset = _value(kind, data, offset)
        values.append(value)
    return (dict(values) if kind[0] == "{" else values), end


def _first(signature: str) -> str:
    """The first complete type of a signature."""
    if signature[0] == "a":
        return "a" + _first(signature[1:])
    if signature[0] not in "({":
        return signature[0]
    depth = 0
    for position, character in enumerate(signature):
        depth += (character in "({") - (character in ")}")
        if not depth:
            return signature[: position + 1]
    raise ValueError("the signature %r is not complete" % signature)
