# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the programs of the reference application by hand, as a host would: folders, rendered files, environment.

Everything is real (the shipped templates, Ansible's template engine, nats-server, mosquitto); only muster itself is
absent. Tests that take the fixture `lab` run once per bus.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.integration.addresses import NET
from tests.integration.reference.blocking_mqtt import MqttClient
from tests.integration.waiting import STRETCH

ROOT = Path(__file__).resolve().parents[3]
SITE = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
TEMPLATES = ROOT / "roles/programs/templates"
NATS = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
MOSQUITTO = os.environ.get("MUSTER_MOSQUITTO") or "/usr/sbin/mosquitto"
NO_MOSQUITTO = f"{MOSQUITTO} is not there: apt install mosquitto, or name it in MUSTER_MOSQUITTO"
LINES = {"trim_blocks": True, "lstrip_blocks": True}  # as muster renders
HOSTS = {f"{kind}_{n}": f"{NET}.4.{base + n}" for kind, base in (("server", 10), ("console", 20)) for n in (1, 2, 3)}
GATES = ("check_internal_data_bus", "check_common_data_bus")


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """As Ansible's combine(recursive=true)."""
    both = dict(lower)
    for key, value in upper.items():
        both[key] = merged(lower[key], value) if isinstance(value, Mapping) and key in lower else value
    return both


def on_mosquitto() -> dict[str, Any]:
    """The site of inventory/mosquitto."""
    text = (ROOT / "inventory/mosquitto/group_vars/all/site_mosquitto.yml").read_text()
    own = yaml.safe_load(text)
    names = ("applications", "services")
    return merged(SITE, {f"muster_{name}": own[f"local_mosquitto_{name}"] for name in names})


SITES = {"nats": SITE, "mqtt": on_mosquitto()}


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true value of the condition; fails the test past the deadline, which is stretched."""
    deadline = time.monotonic() + seconds * STRETCH
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def wait_for_settings(client: Client | MqttClient) -> None:
    """Until config_manager answers on this bus: what is asked before it listens is lost."""

    def answers() -> bool:
        try:
            return bool(client.ask("config.get", {}, 0.5))
        except TimeoutError:
            return False

    wait_for(answers, "config_manager answers")


@dataclass
class Running:
    """A started program."""

    name: str
    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    begun: float

    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def kill(self, how: int = signal.SIGKILL) -> None:
        self.process.send_signal(how)


@dataclass
class Lab:
    """A site of its own below one folder; leave nothing behind: call `clean`."""

    folder: Path
    bus: str = "nats"
    site_id: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    started: list[Running] = field(default_factory=list)

    @property
    def site(self) -> dict[str, Any]:
        return SITES[self.bus]

    def client(self, address: str, port: int) -> Client | MqttClient:
        """A client of the tests on one of its buses."""
        return Client(address, port) if self.bus == "nats" else MqttClient(address, port)

    def root(self, host: str) -> Path:
        root = self.folder / host
        if not root.exists():
            # Owner's modes as deploy gives them; compiled files of a checkout stay behind.
            shutil.copytree(ROOT / "bin/scen2", root / "bin/scen2", ignore=shutil.ignore_patterns("__pycache__"))
            (root / "var").mkdir()
        return root

    def configure(self, application: str, item: dict[str, Any], host: str) -> dict[str, str]:
        """Render the files of one instance on a host; returns the environment of its programs."""
        definition = self.site["muster_applications"][application]
        instance = f"{application}_{item['id']}"
        etc = self.root(host) / "etc/current" / instance
        ports = ports_of(application, item["slot"])
        peer = definition.get("peer")
        context = {
            "item": item,
            "instance": instance,
            "application": application,
            "slot": item["slot"],
            "ports": ports,
            "peer": {"application": peer, "ports": ports_of(peer, item["slot"])} if peer else {},
            "etc": str(etc),
        }
        self._render(etc, definition["files"], context, host)
        environment = self._environment(host, instance, etc, ports)
        environment |= {"MUSTER_ITEM": item["id"], "MUSTER_SLOT": str(item["slot"])}
        if peer:
            environment |= {f"MUSTER_PEER_PORT_{n.upper()}": str(p) for n, p in ports_of(peer, item["slot"]).items()}
        return environment

    def start(self, environment: dict[str, str], program: str, **more: str) -> Running:
        """Start one program of a configured instance, or of a host service."""
        environment = environment | {"MUSTER_PROGRAM": program, "MUSTER_EPOCH": "1"} | more
        root = Path(environment["MUSTER_ROOT"])
        log = root / f"{environment['MUSTER_INSTANCE']}.{program}.{len(self.started)}"
        out, err = log.with_suffix(".out"), log.with_suffix(".err")
        folder = root / "var" / environment["MUSTER_INSTANCE"]
        folder.mkdir(exist_ok=True)
        begun = time.monotonic()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [root / "bin/scen2" / program], env=environment, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
            )
        running = Running(program, process, out, err, begun)
        self.started.append(running)
        return running

    def gate(self, environment: dict[str, str], program: str, seconds: float = 10.0, **more: str) -> float:
        """Run a gate to its end; returns how long it took (s)."""
        running = self.start(environment, program, **more)
        wait_for(lambda: running.process.poll() is not None, f"{program} ends; it said {running.said()}", seconds)
        assert running.process.returncode == 0, running.said()
        return time.monotonic() - running.begun

    def start_instance(
        self, application: str, item: dict[str, Any], host: str, programs: Sequence[str] = (), **more: str
    ) -> tuple[dict[str, str], dict[str, Running]]:
        """Staged by hand: the programs in the order written (gates run to their end)."""
        environment = self.configure(application, item, host)
        running = {}
        for program in programs or self.site["muster_applications"][application]["programs"]:
            if program in GATES:
                self.gate(environment, program, **more)
            else:
                running[program] = self.start(environment, program, **more)
        return environment, running

    def start_common_bus(self, hosts: Sequence[str], order: Sequence[str] = ()) -> list[Running]:
        """On these hosts, of those that `order` says have one (default: no others)."""
        definition = self.site["muster_services"]["common_data_bus"]
        running = []
        for host in hosts:
            etc = self.root(host) / "etc/services/common_data_bus"
            context = {"service": "common_data_bus", "instance": f"common_data_bus_{host}",
                       "ports": definition["ports"], "service_hosts": list(order or hosts)}
            self._render(etc, definition["files"], context, host)
            environment = self._environment(host, f"common_data_bus_{host}", etc, definition["ports"])
            running.append(self.start(environment, "common_data_bus"))
        return running

    def processes(self, **wanted: str) -> list[int]:
        """Live processes of this site with these variables in their environment, from /proc."""
        marks = {f"{name}={value}".encode() for name, value in {"MUSTER_SITE": self.site_id, **wanted}.items()}
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and marks <= set((entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def clean(self) -> None:
        """Kill whatever carries our site id: only this lab's processes do."""

        def none_left() -> bool:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for running in self.started:
                running.process.poll()
            return not self.processes()

        wait_for(none_left, "every process of the test is gone")

    def _environment(self, host: str, instance: str, etc: Path, ports: dict[str, int]) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "MUSTER_PYTHON": sys.executable,
            "MUSTER_NATS_SERVER": str(NATS),
            "MUSTER_MOSQUITTO": MOSQUITTO,
            "SCEN2_BUS": self.bus,
            "MUSTER_SITE": self.site_id,
            "MUSTER_HOST": host,
            "MUSTER_ADDRESS": HOSTS[host],
            "MUSTER_ROOT": str(self.root(host)),
            "MUSTER_INSTANCE": instance,
            "MUSTER_ETC": str(etc),
            **{f"MUSTER_PORT_{name.upper()}": str(port) for name, port in ports.items()},
        }

    def _render(self, etc: Path, files: dict[str, str], context: dict[str, Any], host: str) -> None:
        variables = {
            **context,
            "address": HOSTS[host],
            "host": host,
            "addresses": {**{h: [a] for h, a in HOSTS.items()},
                          "servers": [a for h, a in HOSTS.items() if h.startswith("server")]},
            "service_ports": {name: s["ports"] for name, s in self.site["muster_services"].items()},
            "muster_common_bus_hosts": self.site["muster_common_bus_hosts"],
        }
        etc.mkdir(parents=True, exist_ok=True)
        templar = Templar(loader=DataLoader(), variables=variables)
        for name, template in files.items():
            source = trust_as_template((TEMPLATES / template).read_text())
            text = templar.template(source, escape_backslashes=False, overrides=LINES)
            (etc / name).write_text(str(text))
            if name.endswith(".json"):
                json.loads(str(text))


@pytest.fixture(params=["nats", "mqtt"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    if request.param == "mqtt" and not os.access(MOSQUITTO, os.X_OK):
        pytest.skip(NO_MOSQUITTO)
    lab = Lab(tmp_path, request.param)
    yield lab
    lab.clean()


def ports_of(application: str, slot: int) -> dict[str, int]:
    ports = dict(SITE["muster_applications"][application]["ports"])
    first = ports.pop("base") + slot * ports.pop("stride")
    return {name: first + offset for name, offset in ports.items()}


class Client:
    """A NATS client of the tests, blocking."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), timeout=5)
        self._socket.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        self._buffer = b""
        self._messages: list[tuple[str, Any]] = []
        self._sids = 0

    def subscribe(self, subject: str) -> None:
        """Returns once the bus knows it."""
        self._sids += 1
        self._socket.sendall(b"SUB %s %d\r\nPING\r\n" % (subject.encode(), self._sids))
        self._socket.settimeout(5)
        while self._read() != b"PONG":
            pass

    def publish(self, subject: str, message: Any, reply: str = "") -> None:
        payload = json.dumps(message).encode()
        self._socket.sendall(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(payload), payload))

    def next(self, seconds: float = 5.0) -> tuple[str, Any]:
        """The next message as (subject, message)."""
        deadline = time.monotonic() + seconds
        while not self._messages:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._read()
        return self._messages.pop(0)

    def ask(self, subject: str, message: Any, seconds: float = 5.0) -> Any:
        inbox = f"_INBOX.{uuid.uuid4().hex}"
        self.subscribe(inbox)
        self.publish(subject, message, inbox)
        deadline = time.monotonic() + seconds
        while True:
            where, answer = self.next(deadline - time.monotonic())
            if where == inbox:
                return answer

    def _read(self) -> bytes:
        """One operation of the server; messages are put aside. A timeout leaves what had arrived for the next call."""
        self._fill(lambda: b"\r\n" in self._buffer)
        line = self._buffer.partition(b"\r\n")[0]
        words, begin = line.split(), len(line) + 2
        if words[0] == b"MSG":
            end = begin + int(words[-1])
            self._fill(lambda: len(self._buffer) >= end + 2)
            self._messages.append((words[1].decode(), json.loads(self._buffer[begin:end])))
            begin = end + 2
        self._buffer = self._buffer[begin:]
        if words[0] == b"PING":
            self._socket.sendall(b"PONG\r\n")
        return words[0]

    def _fill(self, complete: Callable[[], bool]) -> None:
        while not complete():
            data = self._socket.recv(65536)
            assert data, "the bus closed the connection"
            self._buffer += data

    def close(self) -> None:
        self._socket.close()
