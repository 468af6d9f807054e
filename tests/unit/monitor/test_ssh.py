# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the monitor holds a line over ssh, and preflight's messages for the answers of ssh and hosts."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import line as host_line
from monitor.core.host import relay
from monitor.judge.hosts import Signal
from monitor.judge.watch_list import WatchedHost
from monitor.watch import lines_ssh
from monitor.web.doors import caller
from plugins.plugin_utils import _preflight

SSH: dict[str, Any] = {"host": "192.0.2.1", "user": "eve", "port": "2222", "key": "/k", "python": "/usr/bin/python3"}
REACHED = {"address": "192.0.2.1", "port": "2222", "user": "eve"}
EVENT = {"event": "exited", "instance": "a_01", "program": "bus"}


def test_the_command_follows_the_inventory_and_never_prompts() -> None:
    host = WatchedHost("server_1", root="/opt/m", ssh={**SSH, "arguments": ["-o", "ProxyJump=gate"], "become": True})
    words = lines_ssh.command(host, 1.0, "/opt/m/run/api-1.sock", Path("/s/doors/server_1.sock"))
    options = {words[n + 1] for n, word in enumerate(words) if word == "-o"}
    assert {"BatchMode=yes", "ControlPath=none", "ControlMaster=no", "ProxyJump=gate"} <= options
    assert words[words.index("-i") + 1 : words.index("-i") + 2] == ["/k"]
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "eve"
    assert words[words.index("-R") + 1] == "/opt/m/run/api-1.sock:/s/doors/server_1.sock"
    assert words[words.index("--") + 1] == "192.0.2.1"
    assert shlex.split(words[-1])[:4] == ["sudo", "-n", "--", "/usr/bin/python3"]


class Stand:
    """A line whose ssh is a script of this test that runs the far end on this machine."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        self.root = folder / "host"
        (self.root / "run" / "listeners").mkdir(parents=True)
        ssh = folder / "ssh"
        ssh.write_text("#!/bin/sh\n" + script)
        ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", "%s:%s" % (folder, os.environ["PATH"]))
        self.signals: list[tuple[Signal, str]] = []
        self.events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.woken = asyncio.Event()

    def line(self, interval: float = 0.2) -> lines_ssh.SshLine:
        host = WatchedHost("h", root=str(self.root), ssh={**SSH, "python": sys.executable})
        return lines_ssh.SshLine(host, interval, self._changed, self._told, self.complaints.append)

    def _changed(self, _host: str, signal: Signal, why: str) -> None:
        self.signals.append((signal, why))
        self.woken.set()

    def _told(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.woken.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.woken.clear()
                await self.woken.wait()


def run_far_end() -> str:
    """As with ssh, what runs there is not killed with it, but loses its connection."""
    return 'for last; do :; done\nexec 3<&0\nsh -c "$last" <&3 3<&- &\nexec 3<&- 0<&-\nwait\n'


def test_questions_are_answered_and_events_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        stand = Stand(tmp_path, monkeypatch, run_far_end())
        line = stand.line()
        await stand.until(lambda: (Signal.FINE, "") in stand.signals)
        (path,) = (stand.root / "run" / "listeners").glob("*.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(json.dumps(EVENT).encode(), str(path))
        await stand.until(lambda: stand.events)
        assert stand.events == [EVENT]
        line.stop()
        async with asyncio.timeout(20):
            while path.exists():  # the far end takes it along
                await asyncio.sleep(0.02)

    asyncio.run(scene())


def test_a_far_end_that_falls_silent_is_doubted_and_then_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        stand = Stand(tmp_path, monkeypatch, "echo '{\"ready\":1}'\nread x\necho '{\"beat\":1}'\nexec sleep 60\n")
        line = stand.line()
        await stand.until(lambda: any(signal is Signal.LOST for signal, _why in stand.signals))
        line.stop()
        kinds = [signal for signal, _why in stand.signals]
        assert kinds[: kinds.index(Signal.LOST) + 1] == [Signal.FINE, Signal.DOUBT, Signal.LOST]
        assert stand.signals[kinds.index(Signal.LOST)][1] == "h does not answer over ssh within 0.4 s"

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("script", "signal", "why"),
    [
        ("echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255", Signal.LOST,
         "no line to h: ssh: connect to host h port 22: Connection refused"),
        ("echo 'ssh: connect to host h port 22: No route to host' >&2; exit 255", Signal.LOST,
         "no line to h: ssh: connect to host h port 22: No route to host"),
        ("echo 'sh: 1: python3: not found' >&2; exit 127", Signal.NONE,
         "ssh reaches h, but no line can be held there: sh: 1: python3: not found"),
    ],
)  # fmt: skip
def test_the_reason_for_a_missing_line_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, signal: Signal, why: str
) -> None:
    async def scene() -> None:
        stand = Stand(tmp_path, monkeypatch, script)
        line = stand.line()
        await stand.until(lambda: stand.signals)
        line.stop()
        assert stand.signals[0] == (signal, why)
        assert stand.complaints == ([why] if signal is not Signal.LOST else [])

    asyncio.run(scene())


def test_a_line_that_ends_again_and_again_is_tried_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    real = lines_ssh.again

    def noted(signal: Signal, short: int, refused: int) -> float:
        pauses.append(real(signal, short, refused))
        return 0.0

    monkeypatch.setattr(lines_ssh, "again", noted)

    async def scene() -> None:
        script = "echo '{\"ready\":1}'\nread x\necho '{\"beat\":1}'\nsleep 0.3\n"
        stand = Stand(tmp_path, monkeypatch, script)
        line = stand.line()
        await stand.until(lambda: len(pauses) >= 3)
        line.stop()
        kinds = [signal for signal, _why in stand.signals]
        assert kinds[:5] == [Signal.FINE, Signal.FINE, Signal.NONE, Signal.FINE, Signal.NONE]
        assert pauses[:3] == [1.0, 2.0, 4.0]
        assert stand.complaints[0] == "a line to h ends soon after it is there, again and again"

    asyncio.run(scene())
    assert real(Signal.NONE, 500) == lines_ssh.SLOW_RETRY_SECONDS


def test_a_first_line_without_an_end_does_not_end_the_line_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_ssh, "again", lambda *_unused: 0.0)
    monkeypatch.setattr(lines_ssh, "LINE_BYTES", 1000)

    async def scene() -> None:
        stand = Stand(tmp_path, monkeypatch, "head -c 5000 /dev/zero\nsleep 60\n")
        line = stand.line()
        await stand.until(lambda: len(stand.signals) >= 2)
        line.stop()
        assert [signal for signal, _why in stand.signals[:2]] == [Signal.NONE, Signal.NONE]
        [complaint] = stand.complaints
        assert complaint.startswith("the line to h failed: ValueError: ")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ssh: connect to host 192.0.2.1 port 2222: No route to host", "there is no route to 192.0.2.1"),
        ("connect to host 192.0.2.1 port 2222: Connection refused", "192.0.2.1 refuses connections at port 2222"),
        ("eve@192.0.2.1: Permission denied (publickey).", "it refuses the key of eve"),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.", "another one than known"),
        ("Host key verification failed.", "its host key is not known here"),
        ("Connection timed out during banner exchange", "it takes connections and does not answer"),
        ("Timeout, server 192.0.2.1 not responding.", "it takes connections and does not answer"),
        ("ssh: connect to host 192.0.2.1 port 2222: Connection timed out", "192.0.2.1 does not answer in time"),
        ("ssh: Could not resolve hostname nowhere", "its name 192.0.2.1 is not known here"),
        ("Missing sudo password", "sudo asks eve for a password"),
        ("something new", "it cannot be reached: something new"),
    ],
)
def test_messages_of_ssh_become_sentences_with_advice(words: str, said: str) -> None:
    assert said in _preflight.unreachable(words, REACHED)


def test_a_probe_of_this_machine_finds_nothing_wrong(tmp_path: Path) -> None:
    text = _preflight.probe(str(tmp_path / "not" / "yet"), [])
    done = subprocess.run([sys.executable, "-"], input=text, text=True, capture_output=True, check=True)
    facts = json.loads(done.stdout.partition(_preflight.MARK)[2])
    assert facts["place"] == str(tmp_path)
    assert _preflight.findings(facts, {"root": str(tmp_path / "not" / "yet")}, 0.1, 0.0) == []


def test_findings_are_reported_together_and_a_slow_answer_proves_no_wrong_clock() -> None:
    facts = {"python": [3, 6, 8], "place": "/srv", "writable": False, "user": "eve", "free": 1 << 20}
    found = _preflight.findings(facts, {"root": "/srv/m", "min_free_disk": 100}, -90.4, 0.2)
    assert found == [
        "its Python is 3.6.8, and muster needs 3.8 or newer",
        "its clock is behind by 90 s: let both set it by NTP (timedatectl)",
        "eve may not write to /srv, where /srv/m is to be: give it to them, or use become",
        "the disk of /srv is full: 1 MiB are free there, and it needs 100",
    ]
    assert _preflight.findings({"python": [3, 8, 0]}, {"root": "/m"}, 3.0, 2.0) == []


def test_an_account_at_the_agents_door_need_not_write_and_the_door_must_open() -> None:
    facts = {"python": [3, 11, 2], "place": "/srv", "writable": False, "user": "muster"}
    assert _preflight.findings(facts, {"root": "/srv/m"}, 0.0, 0.0, by_door=True) == []
    reached = {"user": "muster"}
    assert _preflight.door({"answer": "seen"}, "", reached) == ([], [])
    [shut], none = _preflight.door({}, "the agent on x ended with 1: sudo: a password is required", reached)
    assert "does not open for muster" in shut and "the playbook controller" in shut and none == []
    findings, [hint] = _preflight.door({"error": "the agent on this host is another version: deploy"}, "", reached)
    assert findings == [] and "an administrator deploys" in hint
    [said], none = _preflight.door({"error": "/srv/m can be written by others than root"}, "", reached)
    assert "/srv/m can be written by others than root" in said


def test_a_host_with_a_system_that_is_too_old_is_reported() -> None:
    facts = {"python": [3, 9, 0], "pdeathsig": False}
    assert "util-linux 2.33" in _preflight.findings(facts, {"root": "/m"}, 0.0, 0.0)[0]
    assert "needs Python 3.11 or newer, and /usr/bin/python3 of the controller is 3.9.0" in _preflight.controller(
        {"python": [3, 9, 0]}, "/usr/bin/python3")[0]
    assert "python3-venv" in _preflight.controller({"python": [3, 12, 0], "modules": ["ensurepip"]}, "python3")[0]
    assert _preflight.controller({"python": [3, 11, 0]}, "python3") == []


def test_a_setpriv_without_what_programs_need_is_noticed_by_running_it(tmp_path: Path) -> None:
    old = tmp_path / "setpriv"
    old.write_text("#!/bin/sh\necho \"setpriv: unrecognized option '$1'\" >&2\nexit 1\n")
    old.chmod(0o755)
    for first, works in ((str(tmp_path), False), ("/usr/bin", True)):
        done = subprocess.run([sys.executable, "-"], input=_preflight.probe("/", ["setpriv"]), text=True,
                              capture_output=True, check=True, env={"PATH": first + ":/usr/bin:/bin"})  # fmt: skip
        facts = json.loads(done.stdout.partition(_preflight.MARK)[2])
        assert facts["pdeathsig"] is works and "setpriv" not in facts["missing"]


class People:
    """The far end's half of the API: the forwarded socket ends at a server of this test, which records what it gets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, owner: int = -1) -> None:
        self.shared = folder / "shared"
        self.folder = self.shared / "h"
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o2750)
        folder.chmod(0o755)
        os.chown(self.folder, owner, -1)
        monkeypatch.setattr(relay, "SHARED", str(self.shared))
        self.place = self.folder / "api.sock"
        self.api = self.folder / "api-1-abc.sock"
        self.made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.made.bind(str(self.api))
        os.chown(self.api, owner, -1)
        self.made.listen(8)
        self.made.settimeout(20)
        self.listener = host_line.Listener(str(folder), str(self.api), confined=owner > 0)

    def begin(self) -> None:
        self.listener.open()
        deadline = time.monotonic() + 80
        while not self.place.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ask(self, words: bytes) -> tuple[bytes, bytes]:
        """:return: the bytes that the API got, and those that the person got."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as person:
            person.settimeout(20)
            person.connect(str(self.place))
            person.sendall(words)
            with self.made.accept()[0] as taken:
                taken.settimeout(20)
                got = b""
                while not got.endswith(words):
                    part = taken.recv(4096)
                    assert part, got
                    got += part
                taken.sendall(b"answer")
            return got, person.makefile("rb").read()

    def end(self) -> None:
        self.listener.close()
        self.made.close()


def test_people_are_passed_on_with_their_name_and_only_while_the_line_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(tmp_path, monkeypatch)
    for path in (people.place, people.folder / "api-0-old.sock"):  # of a line that broke
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(path))
    before = people.place.stat().st_ino
    people.listener.open()
    deadline = time.monotonic() + 80
    while people.place.stat().st_ino == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    me = pwd.getpwuid(os.getuid()).pw_name.encode()
    assert people.ask(b"GET /") == (b"MUSTER-USER " + me + b"\nGET /", b"answer")
    assert stat.S_IMODE(people.place.stat().st_mode) == 0o660
    assert sorted(path.name for path in people.folder.iterdir()) == ["api-1-abc.sock", "api.sock"]
    people.end()
    assert list(people.folder.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to somebody else, which needs root")
def test_nothing_of_the_api_is_done_as_root_where_the_folder_is_an_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:  # pytest's own folders are for their owner only
        people = People(Path(made), monkeypatch, owner=65534)
        people.begin()
        assert people.place.stat().st_uid == 65534
        assert people.ask(b"GET /") == (b"MUSTER-USER root\nGET /", b"answer")
        people.end()


def test_a_confined_far_end_takes_no_socket_but_one_that_sshd_could_make_for_its_host(tmp_path: Path) -> None:
    root = str(tmp_path)
    others = ("/var/lib/muster_api/x.sock", "/var/lib/muster_api/../a/b", "/var/lib/muster_api/h/../../a.sock")
    for path in ("/run/docker.sock", root + "/run/../x.sock", *others):
        assert not host_line._may_be_shown(path, root), path
    for path in (root + "/run/api-1.sock", "/var/lib/muster_api/console_1/api-1.sock"):
        assert host_line._may_be_shown(path, root), path


@pytest.mark.parametrize("cut", [*range(1, 22), 100])
def test_the_user_whom_the_far_end_names_is_taken_from_the_beginning_however_it_is_cut(cut: int) -> None:
    text = b"MUSTER-USER operator\nGET / HTTP/1.0\r\n\r\n"
    first = caller.introduced(text[:cut])
    assert (first is None) == (cut < 21)
    assert caller.introduced(text) == ("operator", b"GET / HTTP/1.0\r\n\r\n")
    assert caller.introduced(b"GET / HTTP/1.0") == ("", b"GET / HTTP/1.0")  # a far end of before
    assert caller.introduced(b"MUSTER-USER ope\x1brator\nx") == ("operator", b"x")


def test_where_the_site_names_a_group_of_people_the_socket_is_made_for_them() -> None:
    host = WatchedHost("console_1", root="/opt/m", ssh={**SSH, "door": True, "people": True})
    line = lines_ssh.SshLine.__new__(lines_ssh.SshLine)
    line._host, line._door = host, Path("/s/doors/console_1.sock")
    assert line._forwarded().startswith("/var/lib/muster_api/console_1/api-")
    line._host = WatchedHost("console_1", root="/opt/m", ssh=SSH)
    assert line._forwarded().startswith("/opt/m/run/api-")


@pytest.mark.parametrize(("logind", "uid", "manager", "finding", "hint"), [
    ([True, True], 1000, "supervisor", True, True),
    ([False, True], 1000, "supervisor", False, True),
    ([True, True], 0, "supervisor", False, False),
    ([True, True], 1000, "systemd", False, False),
    ([], 1000, "supervisor", False, False),
])  # fmt: skip
def test_preflight_names_what_logind_takes_away(
    logind: list[bool], uid: int, manager: str, finding: bool, hint: bool
) -> None:
    facts, host = {"logind": logind, "uid": uid, "user": "eve"}, {"root": "/srv/m", "service_manager": manager}
    found, hints = _preflight.findings(facts, host, 0.0, 0.0), _preflight.hints(facts, host)
    assert any("KillUserProcesses" in said for said in found) is finding
    assert any("enable-linger eve" in said for said in hints) is hint
    assert _preflight.hints({**facts, "lingers": True}, host) == []


def test_preflight_names_the_label_that_systemd_starts_nothing_from() -> None:
    host = {"root": "/srv/muster", "service_manager": "systemd"}
    [said] = _preflight.hints({"selinux": "var_t", "place": "/srv"}, host)
    assert "semanage fcontext -a -t bin_t '/srv/muster(/.*)?'" in said
    assert _preflight.hints({"selinux": "usr_t", "place": "/opt"}, host) == []
