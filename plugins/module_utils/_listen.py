# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The far end of the monitor's line to a host: answers its questions, and passes on what the service manager tells.

The monitor sends this file itself when it connects, so nothing has to be installed before a line can be held, and both
ends always fit; only what understands systemd is loaded from the agent there. It says ``{"ready": 1}``, takes one line
``{"root", "patience", "api"}``, then answers each further line with ``{"beat": 1}``; in between it says
``{"event": {...}}`` for each datagram that comes to a socket of its own in ``<root>/run/listeners``, and for what
systemd tells where it is the service manager. It ends with its connection, and when nothing was asked for `patience`
seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

LONGEST = 65536  # bytes of a datagram


class Listener:
    """The socket for events, and the API's, once the host is prepared."""

    def __init__(self, root: str, api: str) -> None:
        """:param api: where sshd made the forwarded socket; "" without one."""
        self._run = root + "/run"
        self._path = "%s/listeners/line-%d.sock" % (self._run, os.getpid())
        self._api = api
        self._api_place: Optional[Tuple[str, int]] = None
        self.socket: Optional[socket.socket] = None
        self.systemd: Any = None
        self._asks_systemd = True

    def open(self) -> None:
        """What is not there yet is tried again with the next question: a host may be prepared later."""
        if self._api:
            self._show_api()
        if self.systemd is None and self._asks_systemd:
            self._open_systemd()
        if self.socket is not None and os.path.exists(self._path):
            return
        self._close()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.bind(self._path)
            os.chmod(self._path, 0o600)
        except OSError:
            made.close()
            return
        self.socket = made

    def events(self) -> List[Dict[str, Any]]:
        """What came."""
        found: List[Dict[str, Any]] = []
        while self.socket is not None:
            try:
                event = json.loads(self.socket.recv(LONGEST).decode("utf-8"))
            except OSError:
                break
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                found.append(event)
        if self.systemd is not None:
            try:
                found += self.systemd.take()
            except OSError:  # it was executed anew, perhaps
                self.systemd.close()
                self.systemd = None
        return found

    def waited(self) -> List[int]:
        """Descriptors at which something may come."""
        return [source.fileno() for source in (self.socket, self.systemd) if source is not None]

    def close(self) -> None:
        self._close()
        if self.systemd is not None:
            self.systemd.close()
        if self._api_place is not None:
            path, inode = self._api_place
            if _socket_inode(path) == inode:
                _unlink(path)

    def _open_systemd(self) -> None:
        """Where systemd is the service manager: what the agent on this host makes of its signals. Needs root."""
        try:
            with open(os.path.dirname(self._run) + "/etc/host.json", encoding="utf-8") as handle:
                noted = json.load(handle)
        except (OSError, ValueError):
            return
        if noted.get("service_manager") != "systemd" or os.geteuid():
            self._asks_systemd = False
            return
        import importlib

        try:
            _find_agent(os.path.dirname(self._run) + "/lib")
            agent = importlib.import_module("muster_host._systemd_events")
            self.systemd = agent.Events(os.path.dirname(self._run), str(noted["host"]))
        except (ImportError, OSError, KeyError):
            return

    def _show_api(self) -> None:
        """Put the forwarded socket in its place at once: sshd refuses a path that an earlier connection left."""
        inode = _socket_inode(self._api)
        if not inode:
            return
        place = self._run + "/api.sock"
        try:
            os.rename(self._api, place)
        except OSError:
            return
        self._api_place, self._api = (place, inode), ""
        for name in os.listdir(self._run):
            if name.startswith("api-") and _dead(self._run + "/" + name):
                _unlink(self._run + "/" + name)

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            if _socket_inode(self._path):
                _unlink(self._path)


def main(only: str = "") -> None:
    """Standard input to standard output.

    :param only: the one folder that may be named, where whoever asks is trusted with no other.
    """
    say({"ready": 1})
    order = read_order()
    if only and order.get("root") != only:
        raise SystemExit("%s is not the folder of this host, %s" % (order.get("root"), only))
    if only and order.get("api") and os.path.dirname(os.path.realpath(str(order["api"]))) != only + "/run":
        raise SystemExit("%s is no socket of this host" % order["api"])
    listener = Listener(str(order["root"]), str(order.get("api") or ""))
    patience = max(1, int(order.get("patience") or 30))
    try:
        serve(listener, patience)
    except OSError:
        pass  # who asked is gone
    finally:
        listener.close()


def serve(listener: Listener, patience: int) -> None:
    """Until there is nobody to answer. The alarm also ends a word that is never taken, on a connection half dead."""
    while True:
        signal.alarm(patience)
        listener.open()
        ready = select.select([0, *listener.waited()], [], [], patience)[0]
        if not ready:
            return
        for event in listener.events():
            say({"event": event})
        if 0 in ready:
            if not os.read(0, 4096):
                return
            say({"beat": 1})


def _find_agent(library: str) -> None:
    """The newest one becomes importable; never as root from a folder that others may write to.

    :raises OSError: when there is none.
    """
    if any(os.path.dirname(entry) == library for entry in sys.path):
        return
    newest = max((entry for entry in os.scandir(library) if "." not in entry.name),
                 key=lambda entry: entry.stat().st_mtime, default=None)
    if newest is None:
        raise FileNotFoundError(2, "no agent", library)
    for path in (library, newest.path, newest.path + "/muster_host"):
        facts = os.lstat(path)
        if facts.st_uid != 0 or facts.st_mode & 0o022:
            raise PermissionError(1, "others may write there", path)
    sys.path.insert(0, newest.path)


def read_order() -> Mapping[str, Any]:
    """:raises SystemExit: when there is none."""
    data = b""
    while not data.endswith(b"\n"):  # byte by byte: what follows is a question already
        part = os.read(0, 1)
        if not part:
            raise SystemExit(0)
        data += part
    order: Mapping[str, Any] = json.loads(data.decode("utf-8"))
    return order


def say(document: Mapping[str, Any]) -> None:
    data = json.dumps(document, separators=(",", ":")).encode("utf-8") + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _socket_inode(path: str) -> int:
    """0 when there is no socket."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else 0


def _dead(path: str) -> bool:
    """Whether it is a socket at which nobody listens any more: sshd leaves its own when a connection breaks."""
    if not _socket_inode(path):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


if __name__ == "muster_line":
    main()
