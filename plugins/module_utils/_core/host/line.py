# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's end of the monitor's line: answers the monitor's questions, and passes on events of the service manager.

The monitor sends this file, `host.relay` and `host.contact` when it connects, so they need no installation and both
ends have the same version; the code for systemd and for acts is that of the installed agent. The protocol is a JSON
document per line: this end writes ``{"ready": 1}`` and reads ``{"root", "patience", "api"}``, then answers each line
``?`` with ``{"beat": 1}``. It also writes ``{"event": {...}}`` for each datagram to its own socket in
``<root>/run/listeners``, and for each event of systemd where that is the service manager. ``{"leads": [roots]}`` says
that this monitor may act (see `host.contact`). Other lines hand over an act, which the installed agent takes (see
`host.handed`); a beat then names its version as ``agent``. It ends with its connection, or after `patience` seconds
without a question.

`api` names the socket that sshd forwards to the monitor's API. A child process takes the connections of people on the
host beside that socket and passes on who they are. It runs as the owner of the folder, never with more rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import sys

from . import contact, relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

    Check = Callable[[Mapping[str, Any]], Dict[str, Any]]

PACKAGE = "muster_host"  # the installed agent
VERSION = re.compile(r"[0-9a-f]{16}\Z")
MAX_DATAGRAM_BYTES = 65536
MAX_REQUEST_BYTES = 16 << 20


class Listener:
    """The socket for events, and the API's, once the host is prepared."""

    def __init__(self, root: str, api: str, confined: bool = False, events: bool = True) -> None:
        """
        :param events: whether there is somebody to tell of events.
        :param api: path of the forwarded socket; "" without one.
        :param confined: the caller is not trusted with root's rights: the API is never relayed as root.
        """
        self._run = root + "/run"
        self._path = "%s/listeners/line-%d.sock" % (self._run, os.getpid())
        self._api = api
        self._confined = confined
        self._relay: Optional[Tuple[int, int]] = None  # process id, and the pipe whose end it waits for
        self._windows = 0  # process id
        self.socket: Optional[socket.socket] = None
        self.systemd: Any = None
        self._events = events
        self._asks_systemd = events

    def open(self) -> None:
        """Open what is not open yet; called again with each question, as a host may be prepared later."""
        self._show_api()
        self._watch_windows()
        if self.systemd is None and self._asks_systemd:
            self._open_systemd()
        if not self._events or (self.socket is not None and os.path.exists(self._path)):
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
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(noted, dict):
            return  # damaged
        if noted.get("service_manager") != "systemd" or os.geteuid():
            self._asks_systemd = False
            return
        try:
            agent = _agent_of(os.path.dirname(self._run), "muster_host.service.systemd.events")
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
        if not self._api or not relay.inode(self._api):
            return
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(reading)
            self._relay = (child, writing)
            return
        try:
            relay.relay(self._api, relay.alone(reading), self._confined)
        finally:
            os._exit(0)

    def _watch_windows(self) -> None:
        """Start the process that asks windows whether they answer, where there is a screen; again when it ended."""
        if self._windows:
            with contextlib.suppress(OSError):
                if os.waitpid(self._windows, os.WNOHANG) == (0, 0):
                    return
            self._windows = 0
        root = os.path.dirname(self._run)
        if not self._events or not os.path.exists(root + "/etc/display"):
            return
        line = os.getpid()
        self._windows = os.fork()
        if self._windows:
            return
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):  # the connection is the line's alone
                os.dup2(nothing, descriptor)
            os.closerange(3, 256)
            _agent_of(root, "muster_host.windows").watch(root, line)
        finally:
            os._exit(0)

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            if relay.inode(self._path):
                relay.unlink(self._path)


class Agent:
    """The installed agent, to which acts are handed over, once the host is prepared."""

    def __init__(
        self, root: str, only: str = "", carry_out: Optional[Check] = None, allowed: Optional[Check] = None
    ) -> None:
        """
        :param only: the only folder that an act may name, where the installed agent itself holds this line; else "".
        :param carry_out: that agent's function for a request.
        :param allowed: see `host.handed`; without it such a line takes no act.
        """
        self._root = root
        self._only = only
        self._carry_out = carry_out
        self._allowed = allowed
        self._tried: Dict[str, bool] = {}  # version -> whether it is the one that is loaded
        self.handed: Any = None

    def open(self) -> None:
        """Load the newest agent unless one is there; called again with each question."""
        if self.handed is None:
            with contextlib.suppress(OSError):
                self._load("" if self._only else newest(self._root + "/lib"))

    def take(self, said: Any) -> Dict[str, Any]:
        """Hand one line of the monitor's to the agent. :return: the answer to it."""
        if not isinstance(said, dict):
            return {}
        if "leads" in said:
            contact.note([self._only] if self._only else [str(root) for root in said["leads"] or ()])
            return {}
        version = str(said.get("agent"))
        other = self.handed is not None and version != self.handed.version and not self._busy()
        if other and not self._only and VERSION.match(version) and os.path.isdir("%s/lib/%s" % (self._root, version)):
            before = self.handed
            self._load(version)
            if self.handed is not before and hasattr(before, "logs"):
                for document in before.logs.close("the agent there is a new one"):
                    say(document)
        if self.handed is None and "act" in said:
            return {"refused": str(said.get("act")), "why": "there is no agent here that takes it"}
        reply: Dict[str, Any] = self.handed.take(said) if self.handed is not None else {}
        return reply

    def _busy(self) -> bool:
        """Whether acts are under way; logs are read again by another agent."""
        acts = getattr(self.handed, "acts_under_way", None)
        return bool(acts() if acts is not None else self.handed.waited())

    def beat(self) -> Dict[str, Any]:
        """With the version of the agent, and whether that reads logs."""
        if self.handed is None:
            return {"beat": 1}
        return {"beat": 1, "agent": self.handed.version, "logs": int(hasattr(self.handed, "logs"))}

    def _load(self, version: str) -> None:
        if self._tried.get(version) is False:
            return  # one from before acts came this way
        try:
            if self._only:
                from . import handed

                if self._carry_out is not None and self._allowed is not None:
                    name = os.path.basename(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
                    self.handed = handed.Handed(name, self._root, self._carry_out, self._allowed, self._only)
            else:
                import importlib

                use("%s/lib/%s" % (self._root, version))
                agent = importlib.import_module("muster_host.agent")
                handed_over = importlib.import_module("muster_host.handed")
                self.handed = handed_over.Handed(version, self._root, agent.carry_out)
        except (ImportError, AttributeError, OSError):
            self._tried[version] = False


def main(only: str = "", carry_out: Optional[Check] = None, allowed: Optional[Check] = None) -> None:
    """Be the host's end of a line, on standard input and output, until the connection ends.

    :param only: the only folder that the caller may name; "": any.
    :param carry_out, allowed: see `Agent`.
    :raises SystemExit: when the caller names another folder or socket.
    """
    say({"ready": 1})
    order = read_order()
    if only and order.get("root") != only:
        raise SystemExit("%s is not the folder of this host, %s" % (order.get("root"), only))
    api = str(order.get("api") or "")
    if only and api and not _may_be_shown(api, only):
        raise SystemExit("%s is not a socket of this host" % api)
    listener = Listener(str(order["root"]), api, bool(only), bool(order.get("events", True)))
    agent = Agent(str(order["root"]), only, carry_out, allowed)
    patience = max(1, int(order.get("patience") or 30))
    try:
        serve(listener, agent, patience)
    except OSError:
        pass  # the caller is gone
    finally:
        listener.close()


def serve(listener: Listener, agent: Agent, patience: int) -> None:
    """Answer until the connection ends, or nothing is asked for `patience` seconds.

    The alarm also ends a write that blocks for ever, on a connection whose other end vanished.
    """
    left = b""
    while True:
        signal.alarm(patience)
        listener.open()
        agent.open()
        awaited = agent.handed.waited() if agent.handed is not None else []
        ready = select.select([0, *awaited, *listener.waited()], [], [], patience)[0]
        if not ready:
            return
        for event in listener.events():
            say({"event": event})
        if 0 in ready:
            data = os.read(0, MAX_DATAGRAM_BYTES)
            if not data:
                return
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                answer = agent.beat() if line == b"?" else agent.take(_document(line))
                if answer:
                    say(answer)
            if len(left) > MAX_REQUEST_BYTES:
                return
        if agent.handed is not None:
            for answer in agent.handed.answers(ready):
                say(answer)


def _agent_of(root: str, name: str) -> Any:
    """A module of the installed agent.

    :raises ImportError, OSError: when there is none.
    """
    import importlib

    library = root + "/lib"
    if not any(os.path.dirname(entry) == library for entry in sys.path):
        use("%s/%s" % (library, newest(library)))
    return importlib.import_module(name)


def _may_be_shown(api: str, root: str) -> bool:
    """Whether a socket is in a folder that root made: not in one that the caller could have made."""
    folder = os.path.dirname(api)
    return os.path.normpath(api) == api and (folder == root + "/run" or os.path.dirname(folder) == relay.SHARED)


def newest(library: str) -> str:
    """The version of the agent that was installed last.

    :raises OSError: when there is none.
    """
    found = max((entry for entry in os.scandir(library) if VERSION.match(entry.name)),
                key=lambda entry: entry.stat().st_mtime, default=None)
    if found is None:
        raise FileNotFoundError(2, "no agent", library)
    return found.name


def use(folder: str) -> None:
    """Make this installed agent the one that is imported. Root takes none from folders that others may write to.

    :raises OSError: when it is not there, or others may write there.
    """
    if folder in sys.path:
        return
    library = os.path.dirname(folder)
    for path in (os.path.dirname(library), library, folder, "%s/%s" % (folder, PACKAGE)):
        facts = os.stat(path)
        if os.geteuid() == 0 and (facts.st_uid != 0 or facts.st_mode & 0o022):
            raise PermissionError(1, "others may write there", path)
    sys.path[:] = [folder, *(entry for entry in sys.path if os.path.dirname(entry) != library)]
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def _document(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except ValueError:
        return None


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
