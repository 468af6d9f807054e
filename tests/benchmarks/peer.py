# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Supvisors with scenario 2 and the dummy programs, set up at its best: what the figures are compared with.

Three servers and three consoles, a server and a console on each of three hosts, as its use case has it. Every
`startsecs` is 0 and statistics are off unless asked for; one percent of load per application, so that 100 fit.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import machine, netns
from tests.benchmarks.lab import BUS, CONSOLES, DUMMY_SERVICES, DUMMY_WINDOWS, ROOT, SERVERS, item_ids

VENV = ROOT / ".cache" / "peer"
REQUIREMENTS = ROOT / "requirements" / "peer.txt"
MARK = "MUSTER_BENCH_PEER"
PORTS = {"server": 61000, "console": 62000}
CHECKS = ("check_internal_data_bus", "check_common_data_bus")
# Supvisors 0.19 keeps one command line per program name, whatever the group: the scripts ask for the group's port.
_PORT = """case "$SUPERVISOR_GROUP_NAME" in
  scen2_srv_*) port=$((20000 + 10#${SUPERVISOR_GROUP_NAME##*_})) ;;
  scen2_hci_*) port=$((26000 + 10#${SUPERVISOR_GROUP_NAME##*_})) ;;
  *) port=$COMMON_BUS_PORT ;;
esac
"""


def available() -> str:
    """"" when the peer can run here, else the sentence that says why not. Makes its environment at the first call."""
    why = netns.available()
    if why:
        return why
    stamp = VENV / "stamp"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return ""
    print("   (making an environment with Supvisors in .cache/peer)", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", VENV], [*pip, "-r", REQUIREMENTS]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            return f"Supvisors could not be installed: {done.stdout.strip().splitlines()[-1:]}"
    stamp.write_text(wanted, encoding="utf-8")
    return ""


def _program(name: str, command: str, autostart: bool = False) -> str:
    return (f"[program:{name}]\ncommand={command}\nautostart={str(autostart).lower()}\nstartsecs=0\nkillasgroup=true\n"
            "stopasgroup=true\nredirect_stderr=true\nstdout_logfile=log/%(group_name)s_%(program_name)s.log\n\n")


def _group(name: str, programs: list[str]) -> str:
    return f"[group:{name}]\nprograms={','.join(programs)}\n\n"


def _rules() -> str:
    def program(match: str, sequence: int, *more: tuple[str, str]) -> str:
        elements = [("start_sequence", str(sequence)), *more]
        return f"<program {match}>{''.join(f'<{key}>{value}</{key}>' for key, value in elements)}</program>"

    def application(kind: str, identifiers: str, bus_strategy: str, rules: dict[str, str], programs: list[str]) -> str:
        bus = program(f'name="{BUS}"', 1, ("required", "true"), ("expected_loading", "1"),
                      ("running_failure_strategy", bus_strategy))
        check = program('name="check_internal_data_bus"', 2, ("required", "true"), ("wait_exit", "true"))
        rules = {"distribution": "SINGLE_INSTANCE", "identifiers": identifiers, **rules}
        return (f'<application pattern="scen2_{kind}_">{"".join(f"<{k}>{v}</{k}>" for k, v in rules.items())}'
                f"<programs>{bus}{check}{''.join(programs)}</programs></application>")

    required = ("required", "true")
    services = [
        program('name="check_common_data_bus"', 4, required, ("wait_exit", "true")),
        program('name="common_bus_interface"', 5, required),
        *(program(f'name="{name}"', 3, required) for name in sorted(DUMMY_SERVICES - {BUS, "common_bus_interface"})),
    ]
    windows = [program(f'name="{name}"', 3) for name in sorted(DUMMY_WINDOWS - {BUS})]
    return ('<?xml version="1.0" encoding="UTF-8" standalone="no"?><root>'
            f'<alias name="servers">{",".join(SERVERS)}</alias><alias name="consoles">{",".join(CONSOLES)}</alias>'
            + application("srv", "servers", "RESTART_APPLICATION", {
                "start_sequence": "1", "starting_strategy": "LESS_LOADED", "starting_failure_strategy": "STOP",
            }, services)
            + application("hci", "consoles", "STOP_APPLICATION", {
                "starting_strategy": "LOCAL", "starting_failure_strategy": "CONTINUE"}, windows)
            + "</root>")


class Peer:
    """Six Supvisors instances on three hosts."""

    def __init__(self, items: int, statistics: bool = False) -> None:
        self.items = item_ids(items)
        self.folder = Path(tempfile.mkdtemp(prefix="mbp-", dir="/tmp"))
        self._statistics = statistics
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        netns.build()
        self._eye = netns.Eye()
        self._configure()

    def _configure(self) -> None:
        dummy = ROOT / "bin" / "dummy"
        scripts = {
            "bus": f'{_PORT}exec {dummy}/bus 127.0.0.1 "$port"\n',
            "check": f'{_PORT}exec {dummy}/check 127.0.0.1 "$port"\n',
            "check_common": f'exec {dummy}/check 127.0.0.1 "$COMMON_BUS_PORT"\n',
        }
        for name, text in scripts.items():
            path = self.folder / name
            path.write_text("#!/bin/bash\n" + text, encoding="utf-8")
            path.chmod(0o755)
        commands = {BUS: "bus", CHECKS[0]: "check", CHECKS[1]: "check_common"}
        for role, kind, stay in (("server", "srv", DUMMY_SERVICES), ("console", "hci", DUMMY_WINDOWS)):
            names = sorted(stay) + list(CHECKS if role == "server" else CHECKS[:1])
            text = _program("common_data_bus", str(self.folder / "bus"), autostart=True)
            for name in names:
                command = self.folder / commands[name] if name in commands else dummy / "idle"
                text += _program(name, str(command))
            text += "".join(_group(f"scen2_{kind}_{item}", names) for item in self.items)
            (self.folder / f"{role}.ini").write_text(text, encoding="utf-8")
        (self.folder / "rules.xml").write_text(_rules(), encoding="utf-8")
        for name in SERVERS + CONSOLES:
            self._configure_instance(name)

    def _configure_instance(self, name: str) -> None:
        role = name.split("_")[0]
        folder = self.folder / name
        (folder / "log").mkdir(parents=True)
        everyone = ",".join(f"<{other}>{self._host(other)}:{self._port(other)}" for other in SERVERS + CONSOLES)
        soft = min(16384, resource.getrlimit(resource.RLIMIT_NOFILE)[1]) if len(self.items) >= 30 else 1024
        (folder / "supervisord.conf").write_text(
            f"[inet_http_server]\nport=:{self._port(name)}\n"
            f"[supervisord]\nlogfile={folder}/log/supervisord.log\npidfile={folder}/supervisord.pid\nminfds={soft}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[include]\nfiles={self.folder}/{role}.ini\n"
            "[rpcinterface:supvisors]\n"
            "supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n"
            f"supvisors_list={everyone}\nrules_files={self.folder}/rules.xml\n"
            f"core_identifiers={','.join(SERVERS)}\nstats_enabled={'ALL' if self._statistics else 'OFF'}\n",
            encoding="utf-8")

    @staticmethod
    def _host(name: str) -> str:
        return "h" + name.split("_")[1]

    @staticmethod
    def _port(name: str) -> int:
        return PORTS[name.split("_")[0]]

    def start(self) -> float:
        """Start all six; returns the moment."""
        begin = time.time()
        for name in SERVERS + CONSOLES:
            host = self._host(name)
            environment = {
                "PATH": f"{VENV}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder / name), "LANG": "C.UTF-8",
                MARK: str(self.folder), "MUSTER_PYTHON": sys.executable,
                "COMMON_BUS_PORT": "19001" if name.startswith("server") else "19002",
            }
            log = (self.folder / name / "stderr.txt").open("wb")
            with log:
                self._daemons[name] = subprocess.Popen(
                    ["ip", "netns", "exec", netns.name_of(host), "unshare", "--uts", "sh", "-c",
                     f'hostname {host}; exec "$@"', "sh",
                     f"{VENV}/bin/supervisord", "-n", "-c", str(self.folder / name / "supervisord.conf"), "-i", name],
                    cwd=self.folder / name, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=log, start_new_session=True)
        return begin

    def identify(self, environment: dict[str, str]) -> tuple[str, str, str] | None:
        """For `machine.Watcher`: processes that a Supervisor has exec'ed for a group."""
        if environment.get(MARK) != str(self.folder) or "SUPERVISOR_GROUP_NAME" not in environment:
            return None
        return environment["SUPERVISOR_GROUP_NAME"], environment["SUPERVISOR_PROCESS_NAME"], ""

    def call(self, name: str, method: str, *arguments: Any) -> Any:
        """One XML-RPC call of one instance, from inside of the network."""
        last = netns.HOSTS[self._host(name)]

        def ask() -> Any:
            proxy = xmlrpc.client.ServerProxy(f"http://{netns.NET}.{last}:{self._port(name)}/RPC2")
            return getattr(proxy, method)(*arguments)

        return self._eye.call(ask)

    def wait_until_running(self, timeout: float = 300.0) -> float:
        """Until Supvisors itself calls every service running without a failure; returns the moment.

        :raises TimeoutError: with what it calls them.
        """
        wanted = {f"scen2_srv_{item}" for item in self.items}
        deadline = time.time() + timeout
        seen: dict[str, str] = {}
        while time.time() < deadline:
            for name, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    words = (self.folder / name / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-400:]
                    raise TimeoutError(f"{name} of Supvisors ended: {words}")
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                answer = self.call("console_1", "supvisors.get_all_applications_info")
                seen = {info["application_name"]: info["statename"] for info in answer
                        if not info["major_failure"] and not info["minor_failure"]}
                state = self.call("server_1", "supvisors.get_supvisors_state")["fsm_statename"]
                if state == "OPERATION" and all(seen.get(name) == "RUNNING" for name in wanted):
                    return time.time()
            time.sleep(0.2)
        raise TimeoutError(f"Supvisors had not everything running after {timeout:g} s: {str(seen)[:300]}")

    def open_windows(self, item: str, console: str) -> None:
        """Start an HCI and wait for it."""
        self.call(console, "supvisors.start_application", "LOCAL", f"scen2_hci_{item}", True)

    def master_host(self) -> str:
        """The host of Supvisors' Master; any instance knows."""
        return self._host(str(self.call("console_1", "supvisors.get_master_identifier")["nick_identifier"]))

    def members(self, host: str) -> set[int]:
        """The Supervisors of a host and everything they started."""
        return machine.family(daemon.pid for name, daemon in self._daemons.items() if self._host(name) == host)

    def power_cut(self, host: str) -> set[int]:
        """Kill everything of a host, which still refuses connections; returns what was killed."""
        return self._signal(host, signal.SIGKILL)

    def freeze(self, host: str) -> set[int]:
        """Freeze all processes of a host: it accepts connections and does not answer. :return: the frozen processes."""
        return self._signal(host, signal.SIGSTOP)

    def _signal(self, host: str, number: signal.Signals) -> set[int]:
        done: set[int] = set()
        while fresh := {pid for pid in self.members(host) - done if machine.at_work(pid)}:
            for pid in fresh:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            done |= fresh
        return done

    def wait_until_lost(self, host: str, timeout: float = 60.0) -> float:
        """Until a Supvisors elsewhere no longer takes the server of this host for running; returns the moment.

        :raises TimeoutError: when it goes on to.
        """
        server = next(name for name in SERVERS if self._host(name) == host)
        elsewhere = next(name for name in CONSOLES if self._host(name) != host)
        deadline = time.time() + timeout
        while time.time() < deadline:
            for info in self.call(elsewhere, "supvisors.get_all_instances_info"):
                if info["nick_identifier"] == server and info["statename"] != "RUNNING":
                    return time.time()
            time.sleep(0.02)
        raise TimeoutError(f"Supvisors took {server} for running still after {timeout:g} s")

    def _marked(self) -> set[int]:
        return {pid for pid in machine.pids() if machine.environment(pid).get(MARK) == str(self.folder)}

    def overhead(self, name: str = "") -> set[int]:
        """Supervisors with their collectors, or one of them with its own; not the programs they started."""
        found = machine.family([self._daemons[name].pid]) if name else self._marked()
        return {pid for pid in found if "SUPERVISOR_GROUP_NAME" not in machine.environment(pid)}

    def close(self) -> None:
        for daemon in self._daemons.values():
            daemon.terminate()
        deadline = time.monotonic() + 20
        while (left := {pid for pid in self._marked() if machine.alive(pid)}) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        for daemon in self._daemons.values():
            daemon.wait()
        self._eye.close()
        netns.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def supvisors(items: int, statistics: bool = False) -> Iterator[Peer]:
    """A peer that is taken down again whatever happens."""
    peer = Peer(items, statistics)
    try:
        yield peer
    finally:
        peer.close()
