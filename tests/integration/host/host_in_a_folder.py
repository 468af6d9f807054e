# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for tests: a folder, a real supervisord and small real programs, driven through the agent's `handle`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import agent as host_agent
from monitor.core.host.machine import accounts, procs
from monitor.core.host.machine import files as machine_files
from monitor.core.host.service.choose import setup_of
from monitor.core.host.service.supervisor import orders
from monitor.core.host.service.supervisor.daemon import GUARD, LISTENER
from plugins.plugin_utils import _agent_files
from tests.integration.addresses import NET
from tests.integration.host.host_texts import (
    MANAGER,
    PYTHON,
    REPOSITORY,
    engine,
    how_it_runs,
    service_texts,
    systemd_texts,
    unit_of,
)
from tests.integration.waiting import poll
from tests.leftovers import own

__all__ = ["service_texts", "unit_of"]  # for tests, beside what is here
MODULE_UTILS = REPOSITORY / "plugins" / "module_utils"
SUPERVISORD = [sys.executable, "-m", "supervisor.supervisord"]

DUMMIES = {
    # a bus: listens on its port after a while
    "dummy/bus": """#!{python} -IS
import os, socket, sys, time
time.sleep(float(os.environ.get("DELAY", "0")))
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((os.environ["MUSTER_ADDRESS"], int(os.environ["MUSTER_PORT_CLIENT"])))
server.listen()
while True:
    server.accept()[0].close()
""",
    # a gate: passes when the bus takes a connection
    "dummy/check": """#!{python} -IS
import os, socket, time
while True:
    try:
        socket.create_connection((os.environ["MUSTER_ADDRESS"], int(os.environ["MUSTER_PORT_CLIENT"])), 1).close()
        break
    except OSError:
        time.sleep(0.005)
""",
    "dummy/gate": '#!/bin/sh\nwhile [ ! -e "$MUSTER_ROOT/var/open" ]; do sleep 0.02; done\n',
    # writes down when it starts and when it is asked to stop
    "dummy/witness": """#!/bin/sh
say() { echo "$1 $MUSTER_PROGRAM $MUSTER_EPOCH" >> "$MUSTER_ROOT/var/witness"; }
trap 'say stop; exit 0' TERM
say start
while :; do sleep 0.02; done
""",
    "dummy/idle": "#!/bin/sh\nexec sleep infinity\n",
    "dummy/say": '#!/bin/sh\necho "$1" >&2\nexit "$2"\n',
    "dummy/stubborn": "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n",
    # children of its own: one in a session of its own that ignores SIGTERM, one ordinary
    "dummy/family": """#!/bin/sh
(setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' &)
sh -c 'sleep 1000; :' &
exec sleep 1000
""",
}

only_supervisor = pytest.mark.skipif(MANAGER != "supervisor", reason="about a service manager of our own")
only_systemd = pytest.mark.skipif(MANAGER != "systemd", reason="runs in the machine of test_systemd_contract")


@pytest.fixture(name="host")
def host_fixture() -> Iterator[Host]:
    """A prepared host with its supervisord running."""
    one = Host()
    try:
        one.prepare()
        yield one
    finally:
        one.close()


def program(name: str, rank: int, command: Iterable[str] = ("dummy/idle",), **extra: Any) -> dict[str, Any]:
    """A program as an act request and the template want it."""
    return {
        "name": name, "start_sequence": rank, "stop_sequence": extra.pop("stop_sequence", rank), "wait_exit": False,
        "required": True, "start_timeout": 30.0, "stop_timeout": 2.0, "on_timeout": "fail", "waits_for": "",
        "starting_failure_strategy": "", "command": list(command), **extra,
    }


def gate(name: str, rank: int, command: Iterable[str] = ("dummy/gate",), **extra: Any) -> dict[str, Any]:
    return program(name, rank, command, wait_exit=True, **extra)


def dying(folder: str, words: str) -> tuple[list[str], list[str]]:
    """(command of a program that says something and exits with 1, command of a gate that passes once it is gone)."""
    mark = os.path.join(folder, "dying.pid")
    gone = "until [ -s %s ] && ! kill -0 $(cat %s) 2>/dev/null; do sleep 0.02; done" % (mark, mark)
    return ["/bin/sh", "-c", "echo $$ >%s; echo %s; exit 1" % (mark, words)], ["/bin/sh", "-c", gone]


def seven(port: int, delay: float = 0) -> dict[str, Any]:
    """The peer's seven programs in five ranks."""
    return {"ports": {"client": port}, "environment": {"DELAY": str(delay)}, "programs": [
        program("internal_data_bus", 1, ["dummy/bus"]),
        gate("check_internal_data_bus", 2, ["dummy/check"]),
        program("sensor_acquisition", 3), program("data_processing", 3), program("config_manager", 3),
        gate("check_common_data_bus", 4, ["dummy/say", "common bus answers", "0"]),
        program("common_bus_interface", 5),
    ]}


def as_whom(facts: dict[str, Any], entry: dict[str, Any]) -> str:
    return accounts.token(entry.get("user", ""), entry.get("group", "")) if facts.get("runs_as") else ""


class Host:
    """One prepared host; `close` removes everything."""

    def __init__(self, name: str = "server_1", address: str = NET + ".1.1", folder: str | None = None) -> None:
        self._own = folder is None
        self.folder = tempfile.mkdtemp(prefix="mu-") if folder is None else folder
        if self._own:
            own(self.folder)
        self.root = os.path.join(self.folder, name)
        self.facts = {
            "site_id": "test-%s" % uuid.uuid4().hex[:8], "site": "test", "controller": "controller", "host": name,
            "address": address, "root": self.root, "node": name, "service_manager": MANAGER,
            "measure": "processes", "user": "root", "display": {},
        }
        self.instances: dict[str, dict[str, Any]] = {}
        self.extra_files: dict[str, dict[str, str]] = {}
        self._witnessed = 0  # bytes of what the witnesses wrote that were read

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        answer = host_agent.handle({"verb": verb, "host": self.facts, **request})
        assert "error" not in answer, answer["error"]
        return json.loads(json.dumps(answer))  # what travels is JSON

    def in_a_process(self, verb: str, **request: Any) -> dict[str, Any]:
        """What an agent of its own answers, as it is called on a host; an error is part of the answer."""
        code = "import sys; sys.path.insert(0, %r); from monitor.core.host import agent; agent.main()" % str(REPOSITORY)
        data = json.dumps({"verb": verb, "host": self.facts, **request}).encode() + b"\n"
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=120)
        found = [line for line in done.stdout.splitlines() if line.startswith(b"MUSTER:")]
        assert found, done.stderr.decode()
        return json.loads(found[0][len("MUSTER:") :])

    def prepare(self, **request: Any) -> dict[str, Any]:
        files = {"bin/muster-exec": {"text": (REPOSITORY / "bin/muster-exec").read_text(), "mode": "0750"}}
        files["bin/muster-boot"] = {"text": (REPOSITORY / "bin/muster-boot").read_text(), "mode": "0750"}
        for name in (LISTENER, GUARD):
            files["bin/" + name] = {"text": (REPOSITORY / "bin" / name).read_text(), "mode": "0640"}
        for name, text in DUMMIES.items():
            files["bin/" + name] = {"text": text.replace("{python}", PYTHON), "mode": "0750"}
        return self.ask("prepare", **{"files": files, "services": {}, "supervisord": SUPERVISORD, "environment": {},
                                      **request})

    def observe(self, **request: Any) -> dict[str, Any]:
        return self.ask("observe", **{"load": False, **request})

    def act(self, *instances: dict[str, Any], **request: Any) -> dict[str, Any]:
        files = self.config_files()
        return self.ask("act", **{
            "run": "1", "deadline": 30.0, "settle": 0.0, "instances": list(instances),
            "config": {"digest": machine_files.config_digest(files), "files": files}, **request,
        })

    def do(self, action: str, instance: str, epoch: int, **request: Any) -> dict[str, Any]:
        """Act on one instance; its result."""
        outer = {key: request.pop(key) for key in ("deadline", "settle", "check", "config") if key in request}
        answer = self.act(self.wish(action, instance, epoch, **request), **outer)
        return answer["results"][instance]

    def wish(self, action: str, instance: str, epoch: int, **request: Any) -> dict[str, Any]:
        known = self.instances[instance]
        ports = [{"name": name, "port": port, "program": known["programs"][0]["name"]}
                 for name, port in known.get("ports", {}).items()]
        return {
            "instance": instance, "do": action, "epoch": epoch, "urgent": False, "reason": "a test", "digest": "d",
            "environment": {}, "starting_failure_strategy": known.get("strategy", "stop"), "only": None,
            "ports": ports, "programs": [{k: v for k, v in p.items() if k != "command"} for p in known["programs"]],
            **request,
        }

    def define(self, instance: str, programs: list[dict[str, Any]], **extra: Any) -> None:
        self.instances[instance] = {"programs": programs, **extra}

    def config_files(self) -> dict[str, dict[str, str]]:
        files = dict(self.extra_files)
        for name, known in self.instances.items():
            if MANAGER == "systemd":
                for suffix, text in systemd_texts(name, known).items():
                    files[(known.get("units", name) if suffix == ".units" else name) + suffix] = {
                        "text": text, "mode": "0640"}
            else:
                files[name + ".ini"] = {"text": self.render(name, known), "mode": "0640"}
        return files

    def render(self, instance: str, known: dict[str, Any]) -> str:
        template = (REPOSITORY / "roles/host/templates/supervisor_instance.ini.j2").read_text()
        programs = []
        for entry in known["programs"]:
            environment = {
                "MUSTER_INSTANCE": instance, "MUSTER_PROGRAM": entry["name"], "MUSTER_ITEM": instance[-2:],
                **{"MUSTER_PORT_%s" % k.upper(): str(v) for k, v in known.get("ports", {}).items()},
                **known.get("environment", {}), **entry.get("environment", {}),
            }
            command = list(entry["command"])
            if not command[0].startswith("/"):
                command[0] = "@@root@@/bin/" + command[0]
            programs.append({
                "name": entry["name"],
                "command_line": as_whom(self.facts, entry) + orders.quote_command(
                    [*(["nice", "-n", str(entry["nice"]), "--"] if entry.get("nice") else []), *command]),
                "environment_line": orders.quote_environment(environment),
                "stop_timeout": max(1, math.ceil(entry["stop_timeout"])),
                **how_it_runs(entry),
            })
        return engine().from_string(template).render(
            instance=instance, programs=programs, root="@@root@@", application="app", item={"id": instance[-2:]},
            programs_line=",".join("%s.%s" % (instance, p["name"]) for p in known["programs"]))

    def processes(self, instance: str | None = None) -> list[procs.Process]:
        found = [p for p in procs.sweep(self.facts["site_id"], self.facts["host"]) if p.instance]
        return [p for p in found if instance is None or p.instance == instance]

    def pids(self, instance: str) -> dict[str, int]:
        """Program -> pid of its main process, from an observation."""
        seen = self.observe()["instances"].get(instance, {"programs": {}})
        return {name: entry["pid"] for name, entry in seen["programs"].items()}

    def config_names(self, instance: str) -> list[str]:
        """The files below etc/available that configure an instance; the last one is what is placed."""
        return [instance + suffix for suffix in ((".units", ".run") if MANAGER == "systemd" else (".ini",))]

    def placed(self, instance: str) -> Path:
        return Path(self.root, "etc/placed", *((instance, ".names") if MANAGER == "systemd" else (instance + ".ini",)))

    def manager_pid(self) -> int:
        if MANAGER == "systemd":
            return 1
        try:
            return int(Path(self.root, "run/supervisord.pid").read_text())
        except (OSError, ValueError):
            return 0

    def witness(self) -> list[str]:
        """Lines that the witnesses have written since the last call, as ``start bus 1``."""
        path = Path(self.root, "var/witness")
        data = path.read_bytes() if path.exists() else b""
        new = data[self._witnessed : data.rfind(b"\n") + 1]
        self._witnessed += len(new)
        return new.decode().splitlines()

    def open_gate(self) -> None:
        Path(self.root, "var/open").touch()

    def log(self, instance: str, program_name: str) -> str:
        if MANAGER == "systemd":
            subprocess.run(["journalctl", "--sync"], check=True, timeout=30)
            unit = unit_of(instance, program_name)
            return subprocess.run(["journalctl", "-q", "-o", "cat", "_SYSTEMD_UNIT=" + unit], check=True, timeout=30,
                                  capture_output=True, text=True, errors="replace").stdout
        return Path(self.root, "log", instance, program_name + ".log").read_text(errors="replace")

    def known_to_manager(self) -> str:
        """What the service manager has loaded."""
        if MANAGER == "systemd":
            return subprocess.run(["systemctl", "list-units", "--all", "--plain", "--type=service,target",
                                   "muster-*@*"], capture_output=True, text=True, timeout=30, check=True).stdout
        return self.ctl("status").stdout

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "supervisor.supervisorctl", "-c",
                               self.root + "/etc/supervisord.conf", *arguments], capture_output=True, text=True,
                              timeout=30, check=False)

    def agent(self, request: dict[str, Any], start: str = "") -> subprocess.Popen[bytes]:
        """The agent as its own process, as the action plugin runs it: the installed one, or what `start` runs."""
        library = Path(self.root, "lib", bundle()["hash"])
        start = start or "import sys;sys.path.insert(0,%r);from muster_host.agent import main;main()" % str(library)
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", start], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(json.dumps({"host": self.facts, **request}).encode() + b"\n")
        process.stdin.close()
        return process

    def agent_act(self, *instances: dict[str, Any], **request: Any) -> subprocess.Popen[bytes]:
        """The same as `act`, by the installed agent, not waited for."""
        if not Path(self.root, "lib", bundle()["hash"]).exists():
            self.prepare(agent=bundle())
        self.act()  # configuration
        return self.agent({"verb": "act", "deadline": 30.0, "settle": 0.0, "instances": list(instances), **request})

    def close(self) -> None:
        if MANAGER == "systemd":
            setup = setup_of(self.facts)
            setup.down()
            wait_for(self._none_left, "all processes of the test host are gone")
            setup.forget()
            subprocess.run(["rm", "-rf", self.folder if self._own else self.root], check=False)
            return
        manager = self.manager_pid()
        if manager and "supervisord" in _cmdline(manager) and self.root in _cmdline(manager):
            kill(manager)
        wait_for(self._none_left, "all processes of the test host are gone")
        subprocess.run(["rm", "-rf", self.folder if self._own else self.root], check=False)


    def _none_left(self) -> bool:
        """Kill until a sweep finds none: some of the programs fork all the time."""
        processes = self.processes()
        for process in processes:
            kill(process.pid)
        return not processes


def bundle() -> dict[str, Any]:
    files = _agent_files.texts()
    return {"hash": "%08x" % (hash(tuple(sorted(files.items()))) & 0xFFFFFFFF), "files": files}


def answer_of(process: subprocess.Popen[bytes], timeout: float = 60.0) -> dict[str, Any]:
    assert process.stdout is not None and process.stderr is not None
    output = process.stdout.read()
    errors = process.stderr.read()
    process.wait(timeout)
    for line in output.decode().splitlines():
        if line.startswith("MUSTER:"):
            result: dict[str, Any] = json.loads(line[len("MUSTER:"):])
            return result
    raise AssertionError("no answer: %r %r" % (output, errors))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    assert pid > 0, "no process"  # 0 would be the whole group of this one
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """The condition's value once it is true, see `waiting.poll`."""
    return poll(condition, what, timeout, 0.01)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def _cmdline(pid: int) -> str:
    try:
        return Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
