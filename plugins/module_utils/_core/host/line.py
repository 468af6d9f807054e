# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's end of the monitor's line: answers the monitor's questions, and passes on events of the service manager.

The monitor sends this file when it connects, so it needs no installation and both ends have the same version; only the
code for systemd is imported from the installed agent. The protocol is a JSON document per line: this end writes
``{"ready": 1}`` and reads ``{"root", "patience", "api"}``, then answers each further line with ``{"beat": 1}``. It also
writes ``{"event": {...}}`` for each datagram to its own socket in ``<root>/run/listeners``, and for each event of
systemd where that is the service manager. It ends with its connection, or after `patience` seconds without a question.

`api` names the socket that sshd forwards to the monitor's API. A child process takes the connections of people on the
host beside that socket and passes on who they are. It runs as the owner of the folder, never with more rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import stat
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

MAX_DATAGRAM_BYTES = 65536
# Holds a folder per host, with the API's socket for a group of people; the role monitor makes it.
SHARED = "/var/lib/muster_api"
SOCKET = "api.sock"
# A relayed connection begins with this, the name of the user and the end of the line.
INTRODUCTION = b"MUSTER-USER "
MAX_RELAYED = 64  # connections at a time


class Listener:
    """The socket for events, and the API's, once the host is prepared."""

    def __init__(self, root: str, api: str, confined: bool = False) -> None:
        """
        :param api: path of the forwarded socket; "" without one.
        :param confined: the caller is not trusted with root's rights: the API is never relayed as root.
        """
        self._run = root + "/run"
        self._path = "%s/listeners/line-%d.sock" % (self._run, os.getpid())
        self._api = api
        self._confined = confined
        self._relay: Optional[Tuple[int, int]] = None  # process id, and the pipe whose end it waits for
        self.socket: Optional[socket.socket] = None
        self.systemd: Any = None
        self._asks_systemd = True

    def open(self) -> None:
        """Open what is not open yet; called again with each question, as a host may be prepared later."""
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
        """Events since the last call; never waits."""
        found: List[Dict[str, Any]] = []
        while self.socket is not None:
            try:
                event = json.loads(self.socket.recv(MAX_DATAGRAM_BYTES).decode("utf-8"))
            except OSError:
                break
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                found.append(event)
        if self.systemd is not None:
            try:
                found += self.systemd.take()
            except OSError:  # systemd may have been restarted
                self.systemd.close()
                self.systemd = None
        return found

    def waited(self) -> List[int]:
        """Descriptors at which events may arrive."""
        return [source.fileno() for source in (self.socket, self.systemd) if source is not None]

    def close(self) -> None:
        self._close()
        if self.systemd is not None:
            self.systemd.close()
        if self._relay is not None:
            os.close(self._relay[1])
            with contextlib.suppress(OSError):
                os.waitpid(self._relay[0], 0)

    def _open_systemd(self) -> None:
        """Where systemd is the service manager: watch it, with the code of the installed agent. Needs root."""
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
            agent = importlib.import_module("muster_host.service.systemd.events")
            self.systemd = agent.Events(os.path.dirname(self._run), str(noted["host"]))
        except (ImportError, OSError, KeyError):
            return

    def _show_api(self) -> None:
        """Start the process that relays people's connections, once the forwarded socket exists; again when it ended."""
        if self._relay is not None:
            with contextlib.suppress(OSError):
                if os.waitpid(self._relay[0], os.WNOHANG) == (0, 0):
                    return
            os.close(self._relay[1])
            self._relay = None
        if not self._api or not _socket_inode(self._api):
            return
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(reading)
            self._relay = (child, writing)
            return
        try:
            relay(self._api, _alone(reading), self._confined)
        finally:
            os._exit(0)

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            if _socket_inode(self._path):
                _unlink(self._path)


def main(only: str = "") -> None:
    """Be the host's end of a line, on standard input and output, until the connection ends.

    :param only: the only folder that the caller may name; "": any.
    :raises SystemExit: when the caller names another folder or socket.
    """
    say({"ready": 1})
    order = read_order()
    if only and order.get("root") != only:
        raise SystemExit("%s is not the folder of this host, %s" % (order.get("root"), only))
    api = str(order.get("api") or "")
    if only and api and not _may_be_shown(api, only):
        raise SystemExit("%s is not a socket of this host" % api)
    listener = Listener(str(order["root"]), api, bool(only))
    patience = max(1, int(order.get("patience") or 30))
    try:
        serve(listener, patience)
    except OSError:
        pass  # the caller is gone
    finally:
        listener.close()


def serve(listener: Listener, patience: int) -> None:
    """Answer until the connection ends, or nothing is asked for `patience` seconds.

    The alarm also ends a write that blocks for ever, on a connection whose other end vanished.
    """
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


def relay(api: str, parent: int, confined: bool = False) -> None:
    """Take connections at ``api.sock`` beside the forwarded socket, and relay each with the name of its user.

    The kernel knows that name. The folder decides who may connect: its group below `SHARED`, else only its owner.

    :param api: path of the forwarded socket.
    :param parent: a descriptor that becomes readable when this must end.
    :param confined: do nothing as root.
    """
    folder = os.path.dirname(api)
    owner = os.lstat(folder)
    if os.geteuid() == 0 and owner.st_uid:
        os.setgroups([])
        os.setgid(_group_of(owner.st_uid))
        os.setuid(owner.st_uid)
    if confined and os.geteuid() == 0:
        return
    for name in os.listdir(folder):
        path = folder + "/" + name
        if name.startswith("api-") and path != api and _dead(path):
            _unlink(path)
    place, new = folder + "/" + SOCKET, "%s/new-%d.sock" % (folder, os.getpid())
    _unlink(new)
    os.umask(0o117 if os.path.dirname(folder) == SHARED else 0o177)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(new)
    made.listen(MAX_RELAYED)
    inode = _socket_inode(new)
    os.rename(new, place)  # atomically, in place of the socket that an earlier connection left
    try:
        _take(made, api, parent)
    finally:
        for path, still in ((place, _socket_inode(place) == inode), (api, True)):
            if still:
                _unlink(path)


def _take(made: socket.socket, api: str, parent: int) -> None:
    import threading

    free = threading.BoundedSemaphore(MAX_RELAYED)

    def serve_one(person: socket.socket) -> None:
        try:
            with person, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
                monitor.connect(api)
                monitor.sendall(INTRODUCTION + _user_at(person).encode("utf-8") + b"\n")
                join(person, monitor)
        except OSError:
            pass  # one of them is gone
        finally:
            free.release()

    while parent not in select.select([made.fileno(), parent], [], [])[0]:
        person = made.accept()[0]
        if not free.acquire(blocking=False):
            person.close()
            continue
        threading.Thread(target=serve_one, args=(person,), daemon=True).start()


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on data between two sockets until one of them ends.

    :raises OSError: when one is broken.
    """
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(MAX_DATAGRAM_BYTES)
            if not data:
                return
            (other if source is one else one).sendall(data)


def _user_at(connection: socket.socket) -> str:
    """The name of the user at the other end, by this host's kernel and its list of users."""
    import pwd

    user = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return "user %d" % user


def _group_of(user: int) -> int:
    """The user's own group; that of nobody for a user without an account."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return 65534


def _alone(parent: int) -> int:
    """Close every descriptor but one: the connection of the line must be able to end without waiting for this process.

    :return: `parent`, under another number.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # from a terminal that sudo made; this process ends with `parent`
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(parent, 3)
    os.closerange(4, 1024)
    return 3


def _may_be_shown(api: str, root: str) -> bool:
    """Whether a socket is in a folder that root made: not in one that the caller could have made."""
    folder = os.path.dirname(api)
    return os.path.normpath(api) == api and (folder == root + "/run" or os.path.dirname(folder) == SHARED)


def _find_agent(library: str) -> None:
    """Make the newest installed agent importable, but not one in folders that others than root may write to.

    :raises OSError: when there is none, or others may write there.
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
    """The first line from the caller.

    :raises SystemExit: when the connection ends before.
    """
    data = b""
    while not data.endswith(b"\n"):  # byte by byte: the next line must stay in the pipe, for `serve`
        part = os.read(0, 1)
        if not part:
            raise SystemExit(0)
        data += part
    order: Mapping[str, Any] = json.loads(data.decode("utf-8"))
    return order


def say(document: Mapping[str, Any]) -> None:
    """Write one document as a line to standard output.

    :raises OSError: when the caller is gone.
    """
    data = json.dumps(document, separators=(",", ":")).encode("utf-8") + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _socket_inode(path: str) -> int:
    """The inode of a socket; 0 when there is no socket at that path."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else 0


def _dead(path: str) -> bool:
    """Whether it is a socket at which no process listens: sshd leaves its own when a connection breaks."""
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
