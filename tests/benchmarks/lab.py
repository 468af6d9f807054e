# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of muster on this machine, made for one measurement: an inventory, its folder, and the playbooks run on it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks import journal, machine

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LOCAL = ROOT / "inventory" / "local" / "group_vars" / "all"
NET = os.environ.get("MUSTER_BENCH_NET", "127.63.1")
SERVERS = ["server_1", "server_2", "server_3"]
CONSOLES = ["console_1", "console_2", "console_3"]
# The programs of the dummies that stay; gates come and go.
DUMMY_SERVICES = {
    "internal_data_bus", "sensor_acquisition", "data_processing", "config_manager", "common_bus_interface",
}
DUMMY_WINDOWS = {"internal_data_bus", "sensor_view", "chart_view", "sensor_control"}
BUS = "internal_data_bus"


class PlayFailed(Exception):
    """A playbook did not succeed; the text holds its last words."""


@dataclass(frozen=True)
class Play:
    """The result of a playbook's run."""

    seconds: float
    tasks: int
    changed: int
    output: str


def item_ids(count: int) -> list[str]:
    width = max(2, len(str(count)))
    return [f"{number:0{width}d}" for number in range(1, count + 1)]


def dummies(autostart: bool = True) -> dict[str, Any]:
    """The site of the comparison: the stages of scen2, the programs that Supvisors gets too, one percent of load."""
    bus = {"start_sequence": 1, "required": True, "expected_loading": 1, "command": ["dummy/bus"]}
    check = {"start_sequence": 2, "required": True, "wait_exit": True, "command": ["dummy/check"]}
    idle = {"start_sequence": 3, "required": True, "command": ["dummy/idle"]}
    common = ["dummy/check", "{{ address }}", "{{ service_ports.common_data_bus.client }}"]
    services = {
        "identifiers": "servers", "start_sequence": int(autostart), "starting_strategy": "less_loaded",
        "starting_failure_strategy": "stop", "ports": {"base": 20000, "stride": 1, "client": 0},
        "bus": {"program": BUS, "probe": "tcp", "port": "client"},
        "programs": {
            BUS: {**bus, "running_failure_strategy": "restart_application"},
            "check_internal_data_bus": check,
            **dict.fromkeys(("sensor_acquisition", "data_processing", "config_manager"), idle),
            "check_common_data_bus": {**check, "start_sequence": 4, "command": common},
            "common_bus_interface": {**idle, "start_sequence": 5},
        },
    }
    windows = {
        "identifiers": "consoles", "starting_strategy": "local", "starting_failure_strategy": "continue",
        "ports": {"base": 26000, "stride": 1, "client": 0},
        "bus": {"program": BUS, "probe": "tcp", "port": "client"},
        "programs": {
            BUS: {**bus, "running_failure_strategy": "stop_application"},
            "check_internal_data_bus": check,
            **{name: {**idle, "required": False} for name in ("sensor_view", "chart_view", "sensor_control")},
        },
    }
    common_bus = {"hosts": "servers", "ports": {"client": 19000}, "probe": "tcp", "port": "client",
                  "command": ["dummy/bus"], "label": "the common bus"}
    return {"muster_site": "bench", "muster_applications": {"scen2_srv": services, "scen2_hci": windows},
            "muster_services": {"common_data_bus": common_bus}}


def with_nats(site: dict[str, Any]) -> dict[str, Any]:
    """The same site of dummies, with buses that answer a round trip: nats-server, which the tests' environment has.

    A frozen host's kernel goes on to take connections, and only that is asked of the dummies' own bus.
    """
    command = [str(BIN / "nats-server"), "-a", "{{ address }}", "-p", "{{ ports.client }}"]
    applications = {}
    for name, application in site["muster_applications"].items():
        programs = {**application["programs"], BUS: {**application["programs"][BUS], "command": command}}
        applications[name] = {**application, "programs": programs, "bus": {**application["bus"], "probe": "nats"}}
    services = {name: {**service, "probe": "nats", "command": command}
                for name, service in site["muster_services"].items()}
    return {**site, "muster_applications": applications, "muster_services": services}


def scen2() -> dict[str, Any]:
    """The reference application as inventory/local has it."""
    site: dict[str, Any] = yaml.safe_load((LOCAL / "site.yml").read_text(encoding="utf-8"))
    return site


def long_running(site: dict[str, Any], application: str) -> set[str]:
    """The programs of an application that stay when it runs: all but its gates."""
    models = site.get("muster_models", {})
    found = set()
    for name, program in site["muster_applications"][application]["programs"].items():
        model = models.get(program.get("model", ""), {})
        if not program.get("wait_exit", model.get("wait_exit", False)):
            found.add(name)
    return found


class Lab:
    """Folder, inventory and processes of one site; leaves nothing behind when closed."""

    def __init__(self, site: dict[str, Any], items: int, servers: int = 3, consoles: int = 3) -> None:
        self.site = site
        # Short: the path of a Unix socket is limited.
        self.folder = Path(tempfile.mkdtemp(prefix="mb-", dir="/tmp"))
        self.inventory = self.folder / "inventory"
        self.state = self.folder / "state"
        named = {"servers": [f"server_{number}" for number in range(1, servers + 1)], "consoles": CONSOLES[:consoles]}
        self.hosts = named["servers"] + named["consoles"]
        (self.inventory / "group_vars" / "all").mkdir(parents=True)
        self.addresses = {name: f"{NET}.{11 + number}" for number, name in enumerate(self.hosts)}
        children = {
            group: {"hosts": {name: {"muster_address": self.addresses[name]} for name in names}}
            for group, names in named.items() if names
        }
        hosts = {"muster_controller": {"hosts": {"controller": None}}, "muster_hosts": {"children": children}}
        self._write("hosts.yml", {"all": {"children": hosts}})
        local = yaml.safe_load((LOCAL / "local.yml").read_text(encoding="utf-8"))
        self._write("group_vars/muster_hosts.yml", {"ansible_connection": "control_room.muster.machine"})
        self._write("group_vars/all/local.yml", {**local, "local_net": NET, "local_dir": str(self.folder)})
        self.set_items(items)

    def set_items(self, count: int) -> None:
        self.items = item_ids(count)
        self._write("group_vars/all/site.yml", {**self.site, "muster_items": self.items})

    def _write(self, name: str, content: dict[str, Any]) -> None:
        # JSON is YAML, and quicker to write.
        (self.inventory / name).write_text(json.dumps(content, indent=1), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        known = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        known["PATH"] = f"{BIN}:{known['PATH']}"
        return {**known, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}

    def begin(self, verb: str, **extra: Any) -> subprocess.Popen[str]:
        """Start a playbook and do not wait for it."""
        command = ["ansible-playbook", "-i", str(self.inventory), f"control_room.muster.{verb}"]
        if extra:
            command += ["-e", json.dumps(extra)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )

    def play(self, verb: str, **extra: Any) -> Play:
        """Run a playbook to its end.

        :raises PlayFailed: with its last words.
        """
        begin = time.perf_counter()
        return self.end(self.begin(verb, **extra), begin)

    def bare(self) -> float:
        """Seconds of ``ansible-playbook`` with an empty play: what every command of Ansible costs on this machine."""
        book = self.folder / "empty.yml"
        book.write_text("- hosts: localhost\n  gather_facts: false\n  tasks: []\n", encoding="utf-8")
        command = ["ansible-playbook", "-i", "localhost,", str(book)]
        begin = time.perf_counter()
        subprocess.run(
            command, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        return time.perf_counter() - begin

    def forget_crashes(self, *instances: str) -> None:
        """Crashes in a row make each next restart wait longer; by a person's reset the next one is the first again."""
        self.play("reset", muster_instances=list(instances))

    def end(self, process: subprocess.Popen[str], begin: float) -> Play:
        """Wait for a playbook that was begun at `begin` (perf_counter)."""
        output, _ = process.communicate(timeout=900)
        seconds = time.perf_counter() - begin
        if process.returncode:
            raise PlayFailed(f"{' '.join(map(str, process.args[3:]))} ended with {process.returncode}:"
                             f"\n{output[-3000:]}")
        recap = output.rsplit("PLAY RECAP", 1)[-1]
        changed = sum(map(int, re.findall(r"changed=(\d+)", recap)))
        return Play(seconds, len(re.findall(r"^TASK \[", output, re.MULTILINE)), changed, output)

    def identify(self, environment: dict[str, str]) -> tuple[str, str, str] | None:
        """For `machine.Watcher`: processes of instances, once they carry their epoch."""
        if not environment.get("MUSTER_ROOT", "").startswith(f"{self.folder}/"):
            return None
        if "MUSTER_EPOCH" not in environment or "MUSTER_INSTANCE" not in environment:
            return None
        return environment["MUSTER_INSTANCE"], environment["MUSTER_PROGRAM"], environment["MUSTER_EPOCH"]

    def everything(self) -> set[int]:
        """Every process of this site: its own name, arguments or environment say so, or its parent is one."""
        mark = f"{self.folder}/"
        named = {
            pid for pid in machine.pids() - {os.getpid()}
            if mark in machine.arguments(pid) or any(mark in value for value in machine.environment(pid).values())
        }
        return machine.family(named) - {os.getpid()}

    def overhead(self) -> set[int]:
        """Everything of muster's own: all processes but the programs and buses of applications and services."""
        return {pid for pid in self.everything() if "MUSTER_INSTANCE" not in machine.environment(pid)}

    def power_off(self) -> None:
        """Every host loses its processes at once, as after a power cut."""
        self._kill()

    def _kill(self) -> None:
        deadline = time.monotonic() + 20
        while (left := {pid for pid in self.everything() if machine.alive(pid)}) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Until the monitor watches every claimed instance and has a run parked.

        :raises TimeoutError: with what it says itself.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if journal.is_ready(self.state):
                return
            time.sleep(0.05)
        words = [line for line in self.journal(0) if line["event"] != "health"][-3:]
        raise TimeoutError(f"the monitor was not ready after {timeout:g} s; its last words: {json.dumps(words)[:1500]}")

    def monitor_pid(self) -> int:
        return int(json.loads((self.state / "run" / "monitor.json").read_text(encoding="utf-8"))["pid"])

    def watch(self) -> dict[str, Any]:
        """The published watch list."""
        document: dict[str, Any] = json.loads((self.state / "watch.json").read_text(encoding="utf-8"))
        return document

    def held(self, host: str) -> list[str]:
        """Instances that run on a host, as the ledger has it."""
        claims = self.watch()["instances"]
        return sorted(name for name, claim in claims.items() if (claim["host"], claim["phase"]) == (host, "running"))

    def journal(self, since: float) -> list[dict[str, Any]]:
        """The monitor's log since then."""
        logs = (self.folder / "hosts" / "controller" / "log").rglob("monitor*.log")
        return [line for path in logs for line in journal.lines(path.read_text("utf-8", "replace"), since)]

    def agent_began(self, run: str, instance: str) -> float | None:
        """When the code of a run began on the instance's host (Unix time), from its artefacts."""
        return journal.agent_began(self.state / "artifacts", run, instance)

    def close(self) -> None:
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def laboratory(site: dict[str, Any], items: int, servers: int = 3, consoles: int = 3) -> Iterator[Lab]:
    """A lab that is taken down again whatever happens."""
    lab = Lab(site, items, servers, consoles)
    try:
        yield lab
    finally:
        lab.close()
