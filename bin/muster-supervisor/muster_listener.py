# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""muster's part inside the supervisord of a host: no process of its own, nothing to do while nothing happens.

* When an internal bus ends by itself, the listener stops the other programs of its instance at once, with or without a
  monitor, where the bus program's ``running_failure_strategy`` says so. It does so only under the instance's lock, and
  only to programs of the epoch that the bus had and the claim still has: so it never interferes with a run at work, nor
  with the next incarnation.
* When any program ends without being asked to, the listener sends an event to each socket ``run/listeners/*.sock``.
* It mends three faults of supervisord that would harm a host: see `_Waker`, `_forget_closed_files` and `_listen_again`.

It is an ``[rpcinterface:...]`` of supervisord because those are made in its own process; it adds no calls. A program's
environment says what it is: ``MUSTER_BUS`` (the strategy) on a bus, ``MUSTER_GATE`` on a gate. The listener needs
nothing but supervisord and the standard library of the Python that runs it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STOPPING_STRATEGIES = ("stop_application", "restart_application")
_STARTING, _RUNNING = 10, 20  # states of a process
_MOST_LISTENERS = 16  # one event must not keep supervisord from its work
_ABOVE = 32  # the listener's descriptors are at least this: a reload of supervisord closes lower ones


def make(supervisord: Any, **_options: str) -> Any:
    """The factory that supervisord calls at its start, and again after a reload. Never raises."""
    try:
        _hide_ours()
        _guard(supervisord)
        Listener(supervisord)
        _wake_on_signals(supervisord)
        _forget_closed_files(supervisord)
    except Exception as error:
        _say(supervisord, "muster's listener does not work: %r" % error)
    return _NoCalls()


def _guard(supervisord: Any) -> None:
    """Hold a lease where the host needs one; where it does not yet, look now and then whether it does."""
    import muster_guard
    from supervisor import events

    def say(text: str) -> None:
        _say(supervisord, "muster: " + text)

    def made() -> bool:
        try:
            return bool(muster_guard.make(supervisord, say))
        except Exception as error:
            say("no guard, so no program of an item starts here: %r" % error)
            return False

    def look(_event: Any) -> None:
        if made():
            events.unsubscribe(events.Tick5Event, look)

    if not made():
        events.subscribe(events.Tick5Event, look)


class _NoCalls:
    """An object without remote calls, for supervisord."""


class Listener:
    """Subscribed to the events of one supervisord."""

    def __init__(self, supervisord: Any) -> None:
        from supervisor import events

        self._supervisord = supervisord
        self._root = os.environ["MUSTER_ROOT"]
        self._host = os.environ.get("MUSTER_HOST", "")
        events.subscribe(events.ProcessStateStartingEvent, self._guarded(self._starting))
        events.subscribe(events.ProcessStateExitedEvent, self._guarded(self._exited))
        events.subscribe(events.SupervisorStoppingEvent, self._guarded(self._ending))
        events.subscribe(events.Tick5Event, self._guarded(lambda _event: _listen_again(supervisord)))

    def _guarded(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        def guarded(event: Any) -> None:
            try:
                handle(event)
            except Exception as error:  # it would end supervisord, and every program of the host with it
                _say(self._supervisord, "muster's listener: %r" % error)

        return guarded

    def _starting(self, event: Any) -> None:
        """The claim is written before the first start and stays for as long as anything of that epoch runs."""
        instance = _environment(event.process).get("MUSTER_INSTANCE")
        event.process.muster_epoch = self._claimed(instance) if instance else 0

    def _exited(self, event: Any) -> None:
        """A program ended that supervisord was not stopping."""
        process = event.process
        environment = _environment(process)
        instance = environment.get("MUSTER_INSTANCE")
        if not instance:
            return
        at = round(time.time(), 3)
        program = environment.get("MUSTER_PROGRAM", process.config.name)
        code = process.exitstatus
        epoch = _epoch(process)
        stopped: list[str] = []
        lock = self._lock(instance) if epoch else -1
        if lock >= 0:
            try:
                if environment.get("MUSTER_BUS") in STOPPING_STRATEGIES and self._claimed(instance) == epoch:
                    stopped = self._stop_members(process, epoch)
                    self._remember(instance, {"program": program, "epoch": epoch, "code": code, "at": at})
            finally:
                os.close(lock)
        if stopped:
            _say(
                self._supervisord,
                "muster: stopping %s of %s: its bus %s ended (epoch %d)"
                % (", ".join(stopped), instance, program, epoch),
            )
        self._tell(
            {
                "event": "exited",
                "host": self._host,
                "instance": instance,
                "program": program,
                "epoch": epoch,
                "pid": process.pid,
                "code": code,
                "expected": code == 0 and environment.get("MUSTER_GATE") == "1",
                "stopped": stopped,
                "busy": epoch > 0 and lock < 0,
                "at": at,
            }
        )

    def _ending(self, _event: Any) -> None:
        self._tell({"event": "ending", "host": self._host, "at": round(time.time(), 3)})

    def _lock(self, instance: str) -> int:
        """:return: a descriptor that holds the instance until it is closed; -1 while a run is at work on it."""
        lock = os.open(self._path("locks", instance), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return -1
        return lock

    def _stop_members(self, bus: Any, epoch: int) -> list[str]:
        """Ask the programs to end. :return: those that were asked; supervisord kills them when their time is over."""
        stopped = []
        for name, other in sorted(bus.group.processes.items()):
            ours = other is not bus and _epoch(other) == epoch
            if ours and other.get_state() in (_STARTING, _RUNNING) and other.stop() is None:
                stopped.append(_environment(other).get("MUSTER_PROGRAM", name))
        return stopped

    def _remember(self, instance: str, ended: dict[str, Any]) -> None:
        """Write down why the programs ended, so that the next observation does not report a stop outside muster."""
        import json

        path = self._path("seen", instance + ".json")
        new = path + ".muster-new"
        try:
            with open(path, encoding="utf-8") as handle:
                seen = json.load(handle)
            if seen["epoch"] != ended["epoch"]:
                return
            seen["ended"] = ended
            with open(new, "w", encoding="utf-8") as handle:
                json.dump(seen, handle, separators=(",", ":"))
            os.chmod(new, 0o640)
            os.rename(new, path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _say(self._supervisord, "muster: cannot keep why %s ended: %s" % (instance, error))

    def _claimed(self, instance: str) -> int:
        """The epoch of the claim; 0 without one, and for a host service."""
        try:
            with open(self._path("claims", instance), "rb") as handle:
                line = handle.readline().strip()
        except OSError:
            return 0
        return int(line) if line.isdigit() and len(line) < 16 else 0

    def _path(self, folder: str, name: str) -> str:
        """:raises ValueError: for a name that leads out of the folder."""
        if "/" in name:
            raise ValueError("not an instance of muster: %r" % name)
        return "%s/run/%s/%s" % (self._root, folder, name)

    def _tell(self, event: dict[str, Any]) -> None:
        folder = self._root + "/run/listeners"
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".sock")][:_MOST_LISTENERS]
        except OSError:
            return
        if not names:
            return
        import json
        import socket

        data = json.dumps(event, separators=(",", ":")).encode("utf-8")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in names:
                path = "%s/%s" % (folder, name)
                try:
                    sender.sendto(data, path)
                except ConnectionRefusedError:
                    _remove_socket(path)  # who listened there is dead
                except OSError:
                    continue  # full, or not writable: its owner looks again at intervals


def _environment(process: Any) -> dict[str, str]:
    return process.config.environment or {}


def _epoch(process: Any) -> int:
    return int(getattr(process, "muster_epoch", 0))


def _say(supervisord: Any, text: str) -> None:
    try:
        supervisord.options.logger.info(text)
    except Exception:
        return  # the disk is full, perhaps: no reason to end


def _remove_socket(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        return


def _listen_again(supervisord: Any) -> None:
    """Bind a socket whose file is gone, for example by a cleaner of old files: nothing could be started, stopped or
    looked at any more. The new socket takes the place of the old one in its descriptor, so nothing else notices."""
    import socket

    for config, server in supervisord.options.httpservers:
        path = config.get("file")
        if not path or os.path.lexists(path):
            continue
        new = "%s.%d" % (path, os.getpid())
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
            if os.path.lexists(new):
                os.unlink(new)
            bound.bind(new)
            os.chmod(new, config["chmod"])
            bound.setblocking(False)
            bound.listen(1024)
            os.dup2(bound.fileno(), server.socket.fileno(), inheritable=False)
        os.rename(new, path)
        _say(supervisord, "muster: %s was gone, so it is made again" % path)


def _hide_ours() -> None:
    """Take this folder out of PYTHONPATH, and UTF-8 out of the environment where muster set it: supervisord needed
    them, the programs that it starts must not get them."""
    folder = os.path.dirname(os.path.abspath(__file__))
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != folder]
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)
    if os.environ.pop("MUSTER_UTF8", ""):
        os.environ.pop("PYTHONUTF8", None)


class _Waker:
    """Makes supervisord's loop turn when a signal comes. Without it Python continues to poll after a signal, so that
    supervisord notices the end of a program up to a second late."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        try:
            os.read(self._descriptor, 4096)
        except BlockingIOError:
            return

    def handle_error(self) -> None:
        return


_pipe: int | None = None  # where signals can be read


def _wake_on_signals(supervisord: Any) -> None:
    global _pipe
    if _pipe is None:
        reader, writer = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for end in (reader, writer)]
        os.close(reader)
        os.close(writer)
        for end in ends:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
        _pipe = ends[0]
    supervisord.options.get_socket_map()[_pipe] = _Waker(_pipe)


def _forget_closed_files(supervisord: Any) -> None:
    """Make supervisord stop watching closed descriptors before it polls.

    Before 4.3 it keeps watching descriptors that it closed. The next file gets the same number; when that file is a
    log, which can always be read, supervisord polls without end and takes a whole processor: seen on a host that had
    started 34 instances.
    """
    options, of_processes = supervisord.options, supervisord.get_process_map

    def get_process_map() -> dict[int, Any]:
        known: dict[int, Any] = of_processes()
        try:
            connections, poller = options.get_socket_map(), options.poller
            for watched, forget in (
                (poller.readables, poller.unregister_readable),
                (poller.writables, poller.unregister_writable),
            ):
                for descriptor in watched - known.keys() - connections.keys():
                    forget(descriptor)
        except Exception as error:  # it would end supervisord
            supervisord.get_process_map = of_processes
            _say(supervisord, "muster's listener: closed files stay watched: %r" % error)
        return known

    supervisord.get_process_map = get_process_map
