# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line to a host over ssh: one connection that is held, asked at an interval, and carries events in between.

It is separate from Ansible's connections, so that neither waits for the other and no control socket can end both. The
far end is `host.line` of the core, sent along. Where sshd permits it, the line forwards the API's socket of that host
to ``<root>/run/api.sock`` there, or for a group of people to the folder that the role monitor makes: so a request that
is typed on a console comes from that console.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..base import usage
from ..base.files import SOCKET_PATH_BYTES
from ..core.host import contact, relay
from ..core.host import line as host_line
from ..core.host.machine.ownership import UTF8
from ..core.model.answers import Nonsense
from ..core.model.moments import Ladder
from ..judge.hosts import AWAY, NOT_HELD, Signal
from ..judge.watch_list import WatchedHost
from .line_acts import LineActs

SILENT_AFTER_QUESTIONS = 2  # questions without an answer that make silence
CONNECT_WAITS = 10  # as long as it takes to connect, for one connection that is there and has not answered yet
SILENT_AFTER_WAITS = 3  # of these make silence
RETRY_SECONDS = 1.0  # between attempts to get a line back
HELD_SECONDS = 10.0  # a line that ends sooner than this is connected again at once only the first time
SLOW_RETRY_SECONDS = 15.0  # where ssh gets through and nothing can run there
# s after the 1st, 2nd, ... line in a row that answered and ended soon. The first is connected again at once by its
# caller; one that goes on costs a handshake each time, which a busy sshd may take for an attack.
SHORT_LINES = Ladder((RETRY_SECONDS, RETRY_SECONDS, 2.0, 4.0, 8.0, SLOW_RETRY_SECONDS))
PATIENCE_INTERVALS = 30  # after which the far end gives up
LINE_BYTES = 1 << 20  # of a line
LINES_PER_QUESTION = 1000  # that a host may write in the interval of one; the events of a full host are fewer
# s after the 1st, 2nd, ... time in a row that the host refused the key: each try counts against this address there.
REFUSED_KEYS = Ladder((1.0, 3.0, 10.0, 30.0, 60.0, 300.0))
# What ssh says when it fails. Silence first: with a jump host, the words of both ends are there.
_SILENCE = ("timed out", "No route to host", "Network is unreachable", "Host is down", "not responding")
_NO_KEY = ("Permission denied", "Too many authentication failures")
_NOT_TRUSTED = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
# "Connection refused" is none of these: the kernel says it, also where sshd and everything else has ended.
_ANSWERS = ("Connection closed by", "Connection reset by", "Received disconnect", "Unable to negotiate",
            "Not allowed at this time")  # fmt: skip
_SETTINGS = ("Could not resolve hostname", "Bad configuration option", "Bad owner or permissions",
             "terminating, 1 bad configuration")  # fmt: skip
_NO_WAY_THROUGH = ("UNKNOWN port", "stdio forwarding failed")  # a jump host or proxy did not connect to the host
_SSH_FAILED = 255  # ssh's own exit code; any other is that of the command over there

_START = "import sys;exec(compile(sys.stdin.buffer.read(%d),'muster_line','exec'),{})"
_FAR_END = """\
import sys,types
package=sys.modules['muster_line']=types.ModuleType('muster_line')
package.__path__=[]
for name,text in %r.items():
 module=sys.modules['muster_line.'+name]=types.ModuleType('muster_line.'+name)
 module.__package__='muster_line'
 setattr(package,name,module)
 exec(compile(text,'<line>/'+name+'.py','exec'),module.__dict__)
module.main()
"""  # of `relay` and `contact`, then `line`, which imports them

KEY_REFUSED = "refuses the monitor's key"

Changed = Callable[[str, Signal, str], None]  # host, signal, why
Event = Callable[[dict[str, Any]], None]


class SshLine:
    """A line held to one host, for as long as it is not stopped."""

    def __init__(
        self, host: WatchedHost, interval: float, changed: Changed, event: Event, complain: Callable[[str], None],
        door: Path | None = None, folder: str | None = None, leads: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """
        :param door: the API's socket for this host; it may not be there yet.
        :param folder: what relative names in its arguments mean.
        :param leads: whether this monitor may act, so that the host does not take itself for alone.
        """
        self._host = host
        self._leads = leads
        self._interval = interval
        self._changed = changed
        self._event = event
        self._complain = complain
        self._told = ""
        self._shown = Signal.NONE  # the last signal
        self._door = door
        self._place = folder
        # Through the agent's door runs what a deploy installed, and nothing that is sent along.
        self._source = b"" if _by_door(host) else far_end()[0]
        self.acts = LineActs(host.name)
        self._task = asyncio.get_running_loop().create_task(self._hold())

    def stop(self) -> None:
        self._task.cancel()

    def ask(self) -> None:
        """Ask now, without waiting for the next question."""
        self.acts.ask()

    @property
    def answers(self) -> bool:
        """Whether the host answered the last question."""
        return self._shown is Signal.FINE

    def _say(self, signal: Signal, why: str) -> None:
        self._shown = signal
        self._changed(self._host.name, signal, why)

    async def _hold(self) -> None:
        loop = asyncio.get_running_loop()
        short = refused = 0  # lines in a row that answered and ended soon; that were refused for their key
        while True:
            began = loop.time()
            try:
                signal, why = await self._once()
            except OSError as error:  # no ssh here, or no process can be started: that says nothing about the host
                signal, why = Signal.NONE, "ssh cannot be started here: %s" % error
            except Nonsense as error:
                signal, why = Signal.NONE, "no line held: %s %s" % (self._host.name, error)
            except Exception as error:  # a defect must not end the line for good
                why = "the line to %s failed: %s: %s" % (self._host.name, type(error).__name__, error)
                signal = Signal.NONE
            short = short + 1 if signal is Signal.FINE and loop.time() - began < HELD_SECONDS else 0
            if signal is Signal.FINE and short <= 1:
                continue  # it answered and was closed: connecting again at once shows why
            if signal is Signal.FINE:
                signal, why = Signal.NONE, "a line to %s ends soon after it is there, again and again" % self._host.name
            refused = refused + 1 if signal is Signal.REFUSED and KEY_REFUSED in why else 0
            self._say(signal, why)
            if signal in NOT_HELD and why != self._told:
                self._told = why
                self._complain(why)
            await asyncio.sleep(again(signal, short, refused))

    async def _once(self) -> tuple[Signal, str]:
        """One connection from start to end. :return: its last signal; FINE when it had answered and then ended."""
        api = self._forwarded()
        process = await asyncio.create_subprocess_exec(
            *command(self._host, self._interval, api, self._door),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES, start_new_session=True, cwd=self._place,
        )  # fmt: skip
        try:
            return await self._talk(process, api)
        finally:
            self.acts.ended("the line to %s ended" % self._host.name)
            # Ends it and closes its pipes at once, also when the loop itself is about to end.
            process._transport.close()  # type: ignore[attr-defined]
            await process.wait()

    async def _talk(self, process: asyncio.subprocess.Process, api: str) -> tuple[Signal, str]:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(self._source)
            ready: bytes | str = await self._ready(process)
        except OSError:
            ready = b""
        if isinstance(ready, str):
            return Signal.LOST, ready
        if not ready:
            return await self._refused(process)
        patience = math.ceil(PATIENCE_INTERVALS * max(self._interval, 1.0))
        order = {"root": self._host.root, "patience": patience, "api": api}
        process.stdin.write(json.dumps(order).encode() + b"\n")
        self.acts.opened(process.stdin)
        missed, fine = 0, False
        while True:
            answered = await self._ask(process.stdin, process.stdout)
            if answered is None:
                return (Signal.FINE, "") if fine else await self._refused(process)
            if answered:
                missed, fine = 0, True
                continue
            missed += 1
            self.acts.silent()
            why = "%s does not answer over ssh within %g s" % (self._host.name, self._interval * missed)
            if missed >= SILENT_AFTER_QUESTIONS:
                return Signal.LOST, why
            self._say(Signal.DOUBT, why)

    async def _ready(self, process: asyncio.subprocess.Process) -> bytes | str:
        """The first line of the far end; empty when ssh ended; a text says why there is none.

        A connection that is there is left to finish: a busy host would have to do the same again for the next one.
        """
        assert process.stdout is not None
        within = connect_within(self._interval)
        why = ""
        answer = asyncio.ensure_future(process.stdout.readline())
        try:
            for number in range(1, CONNECT_WAITS + 1):
                await asyncio.wait({answer}, timeout=within)
                if answer.done():
                    return answer.result()
                if not usage.connected(process.pid):
                    return why or "no line to %s: it takes no connection within %g s" % (self._host.name, within)
                why = "%s takes connections, but does not answer within %g s" % (self._host.name, number * within)
                doubt = number < SILENT_AFTER_WAITS and self._shown not in AWAY
                self._say(Signal.DOUBT if doubt else Signal.LOST, why)
        finally:
            answer.cancel()
        return why

    async def _ask(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> bool | None:
        """Ask once, and take in what comes within the interval.

        :return: whether it answered; None when the connection ended.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._interval
        answered = False
        try:
            writer.write(question([self._host.root] if self._leads() else []))
            async with asyncio.timeout_at(until):
                for _unused in range(LINES_PER_QUESTION):
                    line = await reader.readline()
                    if not line:
                        return None
                    answered = self._take(line) or answered
                raise Nonsense("it writes more than %d lines at once" % LINES_PER_QUESTION)
        except TimeoutError:
            return answered
        except Nonsense:
            raise
        except ValueError:
            raise Nonsense("it writes a line of more than %d bytes" % LINE_BYTES) from None
        except OSError:
            return None

    def _take(self, line: bytes) -> bool:
        """:return: whether it is an answer; an event is passed on."""
        said = feed(self.acts, line)
        event = said.get("event")
        if event is not None:
            self._event(event)
        if "beat" not in said:
            return False
        self._told = ""
        self._say(Signal.FINE, "")
        return True

    async def _refused(self, process: asyncio.subprocess.Process) -> tuple[Signal, str]:
        """Why there is no line, in ssh's own words."""
        assert process.stderr is not None
        words = b""
        code: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                words = await process.stderr.read(4096)
                code = await process.wait()
        last = [line.strip() for line in words.decode("utf-8", "replace").splitlines() if line.strip()][-1:]
        text = last[0] if last else "it said nothing"
        if code is not None and code != _SSH_FAILED:
            return Signal.NONE, "ssh reaches %s, but no line can be held there: %s" % (self._host.name, text)
        return meaning(self._host.name, words.decode("utf-8", "replace"), text)

    def _forwarded(self) -> str:
        """The path of the socket that sshd makes, new for each line; "" where it is too long, or there is no API."""
        people = bool(self._host.ssh.get("people"))
        folder = "%s/%s" % (relay.SHARED, self._host.name) if people else self._host.root + "/run"
        path = "%s/api-%d-%s.sock" % (folder, os.getpid(), os.urandom(3).hex())
        fits = self._door is not None and len(os.fsencode(path)) <= SOCKET_PATH_BYTES
        return path if fits and self._host.root.startswith("/") and ":" not in path else ""


def far_end() -> tuple[bytes, str]:
    """The program of the other end, and the text for ``python -c`` that reads and runs it.

    The text is short: csh as a login shell accepts no newline, and sh limits the length.
    """
    sources = map(Path, (relay.__file__, contact.__file__, host_line.__file__))
    files = {path.stem: path.read_text(encoding="utf-8") for path in sources}
    program = (_FAR_END % (files,)).encode()
    return program, _START % len(program)


def question(roots: Sequence[str]) -> bytes:
    """What the far end is asked.

    :param roots: folders of the hosts on which this monitor may act.
    """
    return b"%s?\n" % (json.dumps({"leads": list(roots)}).encode() + b"\n" if roots else b"")


def feed(acts: LineActs, line: bytes) -> dict[str, Any]:
    """Take in what one line of the other end says about acts and logs.

    :return: all that it says; empty when it is rubbish.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    if "beat" in said:
        acts.beat(said)
    elif "log" in said:
        acts.logs.take(said, len(line))
    else:
        acts.take(said)
    return said


def _by_door(host: WatchedHost) -> bool:
    """Whether the only command its account may run as root is the agent's door (role monitor, `access`)."""
    return bool(host.ssh.get("door")) and not host.ssh.get("become")


def meaning(name: str, words: str, text: str) -> tuple[Signal, str]:
    """What a failure of ssh says about a host: silence, a refusal by the machine, or a setting of this side.

    :param words: all that ssh wrote. :param text: its last line.
    """
    through = not any(said in words for said in _NO_WAY_THROUGH)
    if any(said in words for said in _SILENCE):
        return Signal.LOST, "no line to %s: %s" % (name, text)
    if any(said in words for said in _NO_KEY):
        signal = Signal.REFUSED if through else Signal.NONE
        return signal, "no line held: %s %s: %s" % (name if through else "the way to " + name, KEY_REFUSED, text)
    if any(said in words for said in _NOT_TRUSTED):
        return Signal.REFUSED if through else Signal.NONE, "no line held: %s" % text
    if any(said in words for said in _SETTINGS):
        return Signal.NONE, "no line held: %s" % text
    if through and any(said in words for said in _ANSWERS):
        return Signal.REFUSED, "no line held: %s" % text
    return Signal.LOST, "no line to %s: %s" % (name, text)


def again(signal: Signal, short: int, refused: int = 0) -> float:
    """Seconds until a line is tried again.

    :param short: lines in a row that ended soon after they had answered.
    :param refused: lines in a row that were refused for their key.
    """
    if refused:
        return REFUSED_KEYS.wait(refused - 1)
    if short:
        return SHORT_LINES.wait(short - 1)
    return RETRY_SECONDS if signal in (Signal.LOST, Signal.REFUSED) else SLOW_RETRY_SECONDS


def connect_within(interval: float) -> int:
    """Seconds that a host gets to take a connection."""
    return max(3, math.ceil(3 * interval))


def command(host: WatchedHost, interval: float, api: str, door: Path | None) -> list[str]:
    """The command that holds a line: no terminal, no question, no control socket, a limit for every wait."""
    ssh = host.ssh
    options = {
        "BatchMode": "yes", "ControlMaster": "no", "ControlPath": "none", "LogLevel": "ERROR", "ForwardAgent": "no",
        "ForwardX11": "no", "ExitOnForwardFailure": "no",
        "ConnectTimeout": str(CONNECT_WAITS * connect_within(interval)),
        "ServerAliveInterval": str(max(1, math.ceil(interval))), "ServerAliveCountMax": "3",
    }  # fmt: skip
    arguments = ["ssh", "-T"]
    for name, value in options.items():
        arguments += ["-o", "%s=%s" % (name, value)]
    if ssh.get("key"):
        arguments += ["-i", os.path.expanduser(str(ssh["key"]))]
    if ssh.get("port"):
        arguments += ["-p", str(ssh["port"])]
    if ssh.get("user"):
        arguments += ["-l", str(ssh["user"])]
    if api and door is not None:
        arguments += ["-R", "%s:%s" % (api, door)]
    arguments += [str(argument) for argument in ssh.get("arguments") or ()]
    python = str(ssh.get("python") or "")
    start = far_end()[1]
    words = [python if python.startswith("/") else "/usr/bin/python3", "-I", "-S", *UTF8, "-c", start]
    if _by_door(host):
        words = ["sudo", "-n", "--", *words[:3], "/usr/local/libexec/muster-agent-%s" % host.name, "listen"]
    elif ssh.get("become"):
        words = ["sudo", "-n", "--", *words]
    return [*arguments, "--", str(ssh.get("host") or host.address or host.name), shlex.join(words)]
