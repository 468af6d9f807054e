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

`api` names the socket that sshd forwards to the monitor's API. Beside it a process of its own, as the account that owns
the folder and never with more rights, takes the connections of the host's people and says who they are.
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

LONGEST = 65536  # bytes of a datagram
# Below it, a folder per host with the API's socket for a group of people; the role monitor makes it.
SHARED = "/var/lib/muster_api"
SOCKET = "api.sock"
# What a connection begins with on its way to the monitor; the user's name and the end of the line follow.
INTRODUCTION = b"MUSTER-USER "
AT_ONCE = 64  # connections that are passed on


class Listener:
    """The socket for events, and the API's, once the host is prepared."""

    def __init__(self, root: str, api: str, confined: bool = False) -> None:
        """
        :param api: where sshd made the forwarded socket; "" without one.
        :param confined: whoever asks is not trusted with what root may do: nothing of the API is done as root.
        """
        self._run = root + "/run"
        self._path = "%s/listeners/line-%d.sock" % (self._run, os.getpid())
        self._api = api
        self._confined = confined
        self._relay: Optional[Tuple[int, int]] = None  # process id, and the pipe that ends with us
        self.socket: Optional[socket.socket] = None
        self.systemd: Any = None
        self._asks_systemd = True

    def open(self) -> None:
        """What is not there yet is tried again with the next question: a host may be prepared later."""
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
        if self._relay is not None:
            os.close(self._relay[1])
            with contextlib.suppress(OSError):
                os.waitpid(self._relay[0], 0)

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
            agent = importlib.import_module("muster_host.service.systemd.events")
            self.systemd = agent.Events(os.path.dirname(self._run), str(noted["host"]))
        except (ImportError, OSError, KeyError):
            return

    def _show_api(self) -> None:
        """Begin to pass on what people here say, once the forwarded socket is there; again when that process ended."""
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
    """Standard input to standard output.

    :param only: the one folder that may be named, where whoever asks is trusted with no other.
    """
    say({"ready": 1})
    order = read_order()
    if only and order.get("root") != only:
        raise SystemExit("%s is not the folder of this host, %s" % (order.get("root"), only))
    api = str(order.get("api") or "")
    if only and api and not _may_be_shown(api, only):
        raise SystemExit("%s is no socket of this host" % api)
    listener = Listener(str(order["root"]), api, bool(only))
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


def relay(api: str, parent: int, confined: bool = False) -> None:
    """Take connections at ``api.sock`` beside a socket, and pass them on to it, each with the name of its user.

    The kernel tells that name. Who may connect is said by the folder: its group below `SHARED`, else its owner only.

    :param parent: readable when this is to end.
    :param confined: not as root.
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
    made.listen(AT_ONCE)
    inode = _socket_inode(new)
    os.rename(new, place)  # at once in place of what an earlier connection left
    try:
        _take(made, api, parent)
    finally:
        for path, still in ((place, _socket_inode(place) == inode), (api, True)):
            if still:
                _unlink(path)


def _take(made: socket.socket, api: str, parent: int) -> None:
    import threading

    free = threading.BoundedSemaphore(AT_ONCE)

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
    """Pass on what comes from either, until one of them ends. :raises OSError: when one is gone."""
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(LONGEST)
            if not data:
                return
            (other if source is one else one).sendall(data)


def _user_at(connection: socket.socket) -> str:
    """Who is at the other end, as this host's kernel and its list of users tell."""
    import pwd

    user = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return "user %d" % user


def _group_of(user: int) -> int:
    """The user's own group; one without an account gets that of nobody."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return 65534


def _alone(parent: int) -> int:
    """Let go of whatever the far end has open, the connection first: it is to end without waiting for us.

    :return: `parent`, under another number.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the end of a terminal that sudo made; ours is that of `parent`
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(parent, 3)
    os.closerange(4, 1024)
    return 3


def _may_be_shown(api: str, root: str) -> bool:
    """Root's folders, or those that root gave to somebody: none that whoever asks could have made."""
    folder = os.path.dirname(api)
    return os.path.normpath(api) == api and (folder == root + "/run" or os.path.dirname(folder) == SHARED)


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
