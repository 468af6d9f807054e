# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on the lab, with the interface of `tests.integration.local_site.SiteLab`: the same tests can run on both.

The controller is a host of the lab: playbooks and monitor run there, over ssh to the others, from the checkout that it
has read-only. What runs is read from this machine's `/proc`, which sees into every host.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from monitor.core.host.machine import procs
from tests.integration import last_logs
from tests.integration.local_site import PLAY_WITHIN, Played, SiteLab
from tests.integration.process_table import Process
from tests.integration.site_watch import Watcher
from tests.integration.waiting import poll
from tests.lab import inventory
from tests.lab.disks import ROOT
from tests.lab.hosts import Lab, lab
from tests.lab.names import CONTROLLER, LabError

BIN = Path(sys.executable).parent


class LabSite(SiteLab):
    """One site on a booted lab."""

    within = 2 * PLAY_WITHIN  # s that a playbook or command may take: all of its hosts compute on this machine

    def __init__(self, made: Lab, service_manager: str = "", user: str = "root", **variables: Any) -> None:
        """:param service_manager: "": as MUSTER_TEST_MANAGER says, else supervisor."""
        self.service_manager = service_manager = service_manager or os.environ.get("MUSTER_TEST_MANAGER", "supervisor")
        self.lab = made
        self.folder = made.opt(CONTROLLER)
        self.net = made.names.net
        self.inventory = inventory.write(made, service_manager, user)
        self._site = self.inventory / "group_vars" / "all" / "site.yml"
        self._variables = dict(variables)
        self.environment = self.controller_environment()
        self.set(**variables)
        self.watch = Watcher(self)
        last_logs.watch(self)

    @property
    def state(self) -> Path:
        return self.lab.opt(CONTROLLER) / Path(inventory.STATE).relative_to("/opt")

    def root(self, host: str) -> Path:
        return self.lab.opt(host) / Path(inventory.MUSTER_ROOT).relative_to("/opt")

    def roots(self) -> dict[str, Path]:
        return {host: self.root(host) for host in (*self.lab.names.managed, *self.lab.names.controllers)}

    def set(self, **variables: Any) -> None:
        self._variables.update(variables)
        document = yaml.safe_load(inventory.SITE.read_text())
        document.update(self._variables)
        self._site.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))

    def play(self, name: str, *arguments: str, **variables: Any) -> Played:
        return self.run([*self._playbook(name, variables), *arguments])

    def begin(self, name: str, **variables: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._inside(self._playbook(name, variables)), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    @staticmethod
    def controller_environment() -> dict[str, str]:
        """The environment of playbooks and commands on the controller."""
        return {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": "/root/.ansible",  # the checkout is read-only there
            "MUSTER_INVENTORY": inventory.INVENTORY,
            "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "USER": "eve",
        }

    def command_line(self, *arguments: str) -> list[str]:
        """The command line, for the site of this controller."""
        place = ["--state-dir", inventory.STATE] if self.state.is_dir() else []
        return [str(ROOT / "bin" / "muster"), *place, *arguments]

    def muster(self, *arguments: str, **environment: str) -> Played:
        return self.run(self.command_line(*arguments), **environment)

    def machine(self, what: str, *hosts: str) -> None:
        if what == "power_cut":
            self.lab.power_cut(*hosts)  # at one moment
            return
        for host in hosts:
            {"freeze": self.lab.freeze, "thaw": self.lab.thaw, "power_on": self.lab.boot}[what](host)

    def run(self, command: list[str], **environment: str) -> Played:
        done = subprocess.run(
            self._inside(command, environment), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=self.within, check=False,
        )  # fmt: skip
        return Played(done.returncode, done.stdout)

    def on(self, host: str, *command: str) -> str:
        """Output of a command at a host's own console."""
        return self.lab.run(host, *command, check=False)

    # -- what people do at the hosts

    def by_hand(self, host: str, verb: str, name: str) -> None:
        if self.service_manager == "supervisor":
            self.supervisorctl(host, verb, name + ":*")
            return
        application, _unused, item = name.rpartition("_")
        known = (self.lab.upper(host) / "etc/systemd/system" / f"muster-{name}.service").exists()
        unit = f"muster-{name}.service" if known else f"muster-{application}@{item}.target"
        self.lab.run(host, "systemctl", verb, unit)

    def reboot(self, *hosts: str) -> None:
        self.lab.power_cut(*hosts)
        self.lab.boot(*hosts)

    def said(self, host: str, instance: str, program: str) -> str:
        if self.service_manager == "supervisor":
            return super().said(host, instance, program)
        application, _unused, item = instance.rpartition("_")
        return self.on(host, "journalctl", "-q", "-o", "cat", "-u", f"muster-{application}.{program}@{item}.service")

    def definition(self, host: str, instance: str) -> Path:
        ending = {"supervisor": ".ini", "systemd": ".run"}[self.service_manager]
        return super().definition(host, instance).with_name(instance + ending)

    def seen_root(self, host: str) -> str:
        return inventory.MUSTER_ROOT

    def shared(self) -> tuple[Path, str]:
        folder = self.lab.opt(CONTROLLER) / "shared"
        folder.mkdir(exist_ok=True)
        return folder, "/opt/shared"

    def begin_at(self, host: str, command: list[str], **environment: str) -> subprocess.Popen[str]:
        # Who is killed is nsenter, out here; the process there is to go with it.
        bound = ["setpriv", "--pdeathsig", "KILL", *command]
        return self._begin(self.lab.machines[host].inside(*bound, environment=environment))

    def seen_process(self, begun: subprocess.Popen[Any]) -> tuple[int, int]:
        children = Path(f"/proc/{begun.pid}/task/{begun.pid}/children")
        (child,) = poll(lambda: children.read_text().split(), "the process behind nsenter", 10.0, 0.01)
        found = procs.stat(int(child))
        assert found is not None
        return _inner_pid(int(child)), found.started

    def claims_on(self, host: str) -> list[str]:
        """Instances that a host holds, as the ledger has it."""
        return [name for name, claim in self.claims().items() if claim["host"] == host]

    # -- audit from outside

    def processes(self, instance: str = "") -> list[Process]:
        return [found for found in self._sweep() if not instance or found.instance == instance]

    def supervisord(self, host: str) -> int:
        inner = int((self.root(host) / "run" / "supervisord.pid").read_text())
        for pid in self.pids(host):
            with contextlib.suppress(OSError):
                if _inner_pid(pid) == inner:
                    return pid
        raise LabError(f"no supervisord on {host}")

    def supervisorctl(self, host: str, *arguments: str) -> Played:
        socket = f"unix://{inventory.MUSTER_ROOT}/run/supervisor.sock"
        return Played(0, self.on(host, "/usr/bin/supervisorctl", "-s", socket, *arguments))

    def pids(self, host: str) -> list[int]:
        """Every process of a host, by the network it lives in."""
        wanted = os.stat(f"/run/netns/{self.lab.names.namespace(host)}").st_ino
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    if os.stat(f"/proc/{entry}/ns/net").st_ino == wanted:
                        found.append(int(entry))
        return found

    def _sweep(self) -> list[Process]:
        """Live programs of instances; the host is the one they really live on, whatever their environment says."""
        hosts = {os.stat(f"/run/netns/{self.lab.names.namespace(host)}").st_ino: host
                 for host in self.lab.names.managed}  # fmt: skip
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                host = hosts.get(os.stat(f"/proc/{entry}/ns/net").st_ino)
                data = Path(f"/proc/{entry}/environ").read_bytes() if host else b""
                if host is None or b"MUSTER_INSTANCE=" not in data:
                    continue
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            env = dict(word.partition("=")[::2] for word in data.decode(errors="replace").split("\0"))
            if stat[0] != "Z":
                found.append(Process(int(entry), env["MUSTER_INSTANCE"], host, env.get("MUSTER_PROGRAM", ""),
                                     int(env.get("MUSTER_EPOCH") or 0), float(stat[19])))  # fmt: skip
        return found

    def end(self) -> None:
        """The hosts are thrown away with the lab: nothing to remove."""
        self.watch.stop()

    def _playbook(self, name: str, variables: dict[str, Any]) -> list[str]:
        command = [str(BIN / "ansible-playbook"), "-i", inventory.INVENTORY, "control_room.muster." + name]
        if variables:
            command += ["-e", json.dumps({"muster_" + key: value for key, value in variables.items()})]
        return command

    def _inside(self, command: list[str], environment: dict[str, str] | None = None) -> list[str]:
        known = {**self.environment, **(environment or {})}
        return self.lab.machines[CONTROLLER].inside(*command, environment=known, folder=str(ROOT))


@contextlib.contextmanager
def deployed(made: Lab, **settings: Any) -> Iterator[LabSite]:
    """A site that is deployed on the lab, watched for instances that live twice."""
    site = LabSite(made, **settings)
    try:
        site.good("deploy")
        site.watch.start()
        yield site
        site.watch.stop()
        assert site.watch.violations == []
    finally:
        site.end()


@contextlib.contextmanager
def of_its_own(**settings: Any) -> Iterator[LabSite]:
    """The same on hosts of its own: what `site_lab` of the acceptance tests gives them instead of a local site."""
    with lab() as made, deployed(made, **settings) as site:
        yield site


def _inner_pid(pid: int) -> int:
    """A process id of this machine, as the host calls it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("NSpid:")[2].splitlines()[0].split()[-1])
