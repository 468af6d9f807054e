# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local site for tests: its own folder, addresses and inventory, real playbooks, an audit from outside.

Nothing here trusts what muster says of itself: what runs is read from `/proc`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration import last_logs
from tests.integration.addresses import SITES
from tests.integration.manual_actions import Hands
from tests.integration.process_table import Process, sweep
from tests.integration.site_watch import Watcher
from tests.integration.waiting import poll
from tests.integration.warm_playbooks import WarmPlaybooks
from tests.leftovers import end, own

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PLAY_WITHIN = 400.0  # s
WITHIN = 40.0  # s, for anything that is waited for
API_PORT = 8770  # of inventory/local
SERVERS = ("server_1", "server_2", "server_3")
CONSOLES = ("console_1", "console_2", "console_3")
# For tests that take away most of the servers, which are the witnesses: with leases everything stops then.
WITHOUT_LEASES = {"stable_after": 1, "exclusion": "none"}
SERVICE_PROGRAMS = frozenset(
    ("internal_data_bus", "sensor_acquisition", "data_processing", "config_manager", "common_bus_interface")
)


@dataclass(frozen=True)
class Played:
    """The result of a playbook or command."""

    rc: int
    output: str

    @property
    def changed(self) -> int:
        recap = self.output.partition("PLAY RECAP")[2]
        return sum(int(word.split("=")[1]) for word in recap.split() if word.startswith("changed="))

    @property
    def tasks(self) -> int:
        return self.output.count("\nTASK [")


class SiteLab(Hands):
    """One local site. Leaves nothing behind, also when a test was killed half way (`end`)."""

    service_manager = "supervisor"

    def __init__(
        self, number: int, profile: str = "local", consoles: Sequence[str] = CONSOLES, **variables: Any
    ) -> None:
        """:param profile: an inventory of the checkout with the hosts and the site of inventory/local.
        :param consoles: those of its consoles that are there: each host costs processor time in every run.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="m%d-" % number, dir="/tmp"))
        own(self.folder)
        self.net = "%s.%d" % (SITES, number)
        self.inventory = self.folder / "inventory"
        shutil.copytree(ROOT / "inventory" / profile, self.inventory)
        self._keep(consoles)
        self._site = self.inventory / "group_vars" / "all" / "site.yml"
        self._variables = dict(variables)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MUSTER_") or k == "MUSTER_MOSQUITTO"},
            "MUSTER_LOCAL_DIR": str(self.folder / "m"),
            "MUSTER_LOCAL_NET": self.net,
            "MUSTER_INVENTORY": str(self.inventory),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "PATH": "%s:%s" % (BIN, os.environ["PATH"]),
            "USER": "eve",
        }
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment.pop("SUDO_USER", None)
        self.set(**variables)
        self.watch = Watcher(self)
        last_logs.watch(self)
        self._playbooks: WarmPlaybooks | None = None
        self._playing = threading.Lock()

    @property
    def state(self) -> Path:
        return self.folder / "m" / "state"

    def root(self, host: str) -> Path:
        return self.folder / "m" / "hosts" / host

    def roots(self) -> dict[str, Path]:
        return {root.name: root for root in sorted((self.folder / "m" / "hosts").glob("*"))}

    def _keep(self, consoles: Sequence[str]) -> None:
        path = self.inventory / "hosts.yml"
        document = yaml.safe_load(path.read_text())
        group = document["all"]["children"]["muster_hosts"]["children"]["consoles"]
        group["hosts"] = {name: group["hosts"][name] for name in consoles}
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def set(self, **variables: Any) -> None:
        """Change the site: top-level variables, written into its file."""
        self._variables.update(variables)
        document = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
        document.update(self._variables)
        chosen = os.environ.get("MUSTER_TEST_EXCLUSION")
        if chosen:
            document["muster_settings"] = {"exclusion": chosen, **(document.get("muster_settings") or {})}
        self._site.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))

    def set_host(self, host: str, **variables: Any) -> None:
        folder = self.inventory / "host_vars"
        folder.mkdir(exist_ok=True)
        (folder / (host + ".yml")).write_text(yaml.safe_dump(variables))

    def play(self, name: str, *arguments: str, **variables: Any) -> Played:
        """Run a playbook of the collection; `variables` become extra vars named muster_*."""
        command = ["-i", str(self.inventory), "control_room.muster." + name, *arguments]
        if variables:
            command += ["-e", json.dumps({"muster_" + key: value for key, value in variables.items()})]
        return self._played(command)

    def _played(self, command: list[str]) -> Played:
        if not self._playing.acquire(blocking=False):  # another thread of the test plays one
            return self.run(["ansible-playbook", *command])
        try:
            if self._playbooks is not None and self._playbooks.environment != self.environment:
                self._playbooks.close()
                self._playbooks = None
            if self._playbooks is None:
                self._playbooks = WarmPlaybooks(self.environment, self.folder, ROOT)
            return Played(*self._playbooks.run(command, PLAY_WITHIN))
        finally:
            self._playing.release()

    def begin(self, name: str, **variables: Any) -> subprocess.Popen[str]:
        """The same in the background."""
        command = ["ansible-playbook", "-i", str(self.inventory), "control_room.muster." + name]
        command += ["-e", json.dumps({"muster_" + key: value for key, value in variables.items()})]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def muster(self, *arguments: str, **environment: str) -> Played:
        """The command line."""
        return self.run([str(ROOT / "bin" / "muster"), *arguments], **environment)

    def machine(self, what: str, *hosts: str) -> None:
        """Turn the power switch of hosts: power_cut, freeze, thaw, power_on."""
        done = self.run([sys.executable, str(ROOT / "bin" / "machine"), "--dir", str(self.folder / "m"), what, *hosts])
        assert done.rc == 0, done.output

    def run(self, command: list[str], **environment: str) -> Played:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PLAY_WITHIN,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Played(done.returncode, done.stdout)

    def good(self, name: str, *arguments: str, **variables: Any) -> Played:
        """`play`, and it must succeed."""
        played = self.play(name, *arguments, **variables)
        assert played.rc == 0, played.output
        return played

    def status(self) -> dict[str, Any]:
        """The document of `muster status --json` now."""
        played = self.muster("status", "--json")
        assert played.rc in (0, 1), played.output
        document: dict[str, Any] = json.loads(played.output)
        return document

    def seen(self) -> dict[str, Any]:
        """The same document as the running monitor's API has it: no host is asked, so it can be asked often."""
        connection = http.client.HTTPConnection(self.net + ".1", API_PORT, timeout=WITHIN)
        try:
            connection.request("GET", "/api/v1/status")
            document: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return document

    def verdict(self, item: str) -> dict[str, Any]:
        return next(entry for entry in self.status()["items"] if entry["item"] == item)

    def claims(self) -> dict[str, Any]:
        watch = json.loads((self.state / "watch.json").read_text())
        return dict(watch["instances"])

    # -- audit from outside

    def processes(self, instance: str = "") -> list[Process]:
        """Live processes of this site that carry an instance, from `/proc`."""
        return [p for p in sweep(str(self.folder / "m") + "/") if not instance or p.instance == instance]

    def programs(self, instance: str) -> dict[str, int]:
        """Program -> process id, of those started under an epoch."""
        return {p.program: p.pid for p in self.processes(instance) if p.epoch}

    def whole(self, name: str, after: int = 0) -> bool:
        """Whether a service instance runs in full under a later epoch: its programs by name, since a gate may wait."""
        claim = self.claims().get(name, {"phase": "", "epoch": 0})
        return claim["phase"] == "running" and claim["epoch"] > after and set(self.programs(name)) == SERVICE_PROGRAMS

    def hosts_of(self, instance: str) -> set[str]:
        return {p.host for p in self.processes(instance)}

    def program(self, instance: str, program: str) -> int:
        """Its process id, once it is there: what a run or a person brings up may not have begun yet."""
        pid: int = wait_for(lambda: self.programs(instance).get(program), "%s of %s runs" % (program, instance),
                            lambda: (self.processes(instance), self.claims().get(instance)))  # fmt: skip
        return pid

    def bus(self, instance: str) -> int:
        return self.program(instance, "internal_data_bus")

    def start_monitor(self) -> None:
        before = self.monitor_log()
        known = before if self.good("monitor").changed else ""  # of a monitor that ran before, that says nothing

        def parked() -> bool:
            log = self.monitor_log()
            return "standby parked" in (log[len(known) :] if log.startswith(known) else log)

        wait_for(parked, "a parked standby run", self.monitor_log)

    def stop_monitor(self) -> None:
        self.good("monitor", "-e", "monitor_state=stopped")

    def monitor_log(self) -> str:
        path = self.root("controller") / "log" / "monitor.log"
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        """End all that mentions the site's folder, by process id: playbook remove has tests of its own."""
        self.watch.stop()
        if self._playbooks is not None:
            self._playbooks.close()
        end(str(self.folder))
        self._note_lost_leases()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note_lost_leases(self) -> None:
        """Which hosts lost their lease, in .cache/checks: on a starved machine that explains what a test says."""
        lost = [
            "%s %s: %s" % (os.environ.get("PYTEST_CURRENT_TEST", ""), log.parent.parent.name, line)
            for log in sorted((self.folder / "m" / "hosts").glob("*/log/supervisord.log*"))
            for line in log.read_text(errors="replace").splitlines()
            if "lease" in line or "supervisord started" in line
        ]
        if lost:
            (ROOT / ".cache").mkdir(exist_ok=True)
            with (ROOT / ".cache" / "leases.txt").open("a") as out:
                out.write("".join(line + "\n" for line in lost))


@contextlib.contextmanager
def site_lab(number: int, consoles: Sequence[str] = CONSOLES, **variables: Any) -> Iterator[SiteLab]:
    """A deployed site; `number` keeps labs of one test run apart.

    With MUSTER_TEST_SITE=lab in the environment it is one of real hosts, reached over ssh: `tests.lab`. That one has
    all consoles.
    """
    if os.environ.get("MUSTER_TEST_SITE") == "lab":
        from tests.lab.site import of_its_own

        with of_its_own(**variables) as elsewhere:
            yield elsewhere
        return
    lab = SiteLab(number, consoles=consoles, **variables)
    try:
        lab.good("deploy")
        lab.watch.start()
        yield lab
        lab.watch.stop()
        assert not lab.watch.violations, "%s\n%s" % (lab.watch.violations, lab.monitor_log())
    finally:
        lab.end()


def facts(site: SiteLab) -> dict[str, Any]:
    """What the monitor wrote last."""
    try:
        document: dict[str, Any] = json.loads((site.state / "run" / "monitor.json").read_text())
    except (OSError, ValueError):
        return {}
    return document


def wait_for(condition: Callable[[], Any], what: str, say: Callable[[], Any] = str, within: float = WITHIN) -> Any:
    """The condition's value once it is true, see `waiting.poll`."""
    return poll(condition, what, within, 0.05, say)
