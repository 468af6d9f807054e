# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control room without machines: its controller is real, what its hosts say and do is data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from monitor.core.controller import calls
from monitor.core.controller import ledger as controller_ledger
from monitor.core.model import site
from tests.small_site import CONSOLES, SERVERS, quiet_host, small_site

ROOT = Path(__file__).resolve().parents[3]
HOSTS = (*SERVERS, *CONSOLES)
DIGESTS = {"scen2_%s_%02d" % (kind, n): "digest-%s-%d" % (kind, n) for kind in ("srv", "hci") for n in range(1, 6)}
CONFIG = dict.fromkeys(HOSTS, "config-1")
ASKED = {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""}


class Room:
    """A control room: its site, its controller, and hosts that remember what runs did on them."""

    def __init__(self, folder: Path, items: int = 3, **settings: Any) -> None:
        self.site = small_site(str(folder / "state"), items, **settings)
        self.document = site.site_to_json(self.site)
        self.hosts: dict[str, dict[str, Any]] = {name: quiet_host(name, site_id="", prepared=False) for name in HOSTS}

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        answer = calls.handle({"verb": verb, "site": self.document, **request})
        assert "error" not in answer, answer["error"]
        return answer

    def error(self, verb: str, **request: Any) -> str:
        answer = calls.handle({"verb": verb, "site": self.document, **request})
        assert list(answer) == ["error"], answer
        return str(answer["error"])

    def open(self) -> str:
        """The first task of a deploy; the hosts are prepared after it."""
        site_id: str = self.ask("open_site", create=True)["site_id"]
        for host in self.hosts.values():
            host.update(site_id=site_id, prepared=True)
        return site_id

    def observe(self) -> dict[str, Any]:
        observed: dict[str, Any] = json.loads(json.dumps(self.hosts))
        return observed

    def plan(self, kind: str = "reconcile", check: bool = False, **request: Any) -> dict[str, Any]:
        asked = {**ASKED, "kind": kind, **request}
        return self.ask(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=self.observe(), request=asked, check=check
        )

    def act(self, requests: dict[str, Any], silent: tuple[str, ...] = ()) -> dict[str, Any]:
        """The hosts' answers; silent hosts did not get the request."""
        answers: dict[str, Any] = {}
        for name, request in requests.items():
            if name in silent:
                answers[name] = {"unreachable": "no route to host", "changed": False, "results": {}}
                continue
            host = self.hosts[name]
            if request["config"]:
                host["config"] = request["config"]["digest"]
            results = {}
            for act in request["instances"]:
                instance, epoch = act["instance"], act["epoch"]
                if act["do"] == "stop":
                    host["instances"].pop(instance, None)
                    results[instance] = {"result": "stopped", "reason": "", "epoch": epoch}
                    continue
                pids = {p["name"]: {"pid": 1, "started": 1.0} for p in act["programs"] if not p["wait_exit"]}
                host["instances"][instance] = {
                    "epoch": epoch, "epochs": [epoch], "claim": epoch, "last_epoch": epoch, "digest": act["digest"],
                    "programs": pids, "deferred": [], "failed": {}, "cpu": 1.0, "memory": 1.0,
                }  # fmt: skip
                outcome = {"result": "running", "reason": "", "epoch": epoch, "started": list(pids)}
                results[instance] = {**outcome, "deferred": [], "failed": {}}
            answers[name] = {"changed": True, "results": results}
        return answers

    def run(self, kind: str = "reconcile", silent: tuple[str, ...] = (), **request: Any) -> dict[str, Any]:
        """A whole run: open, plan, all phases, settle."""
        self.ask("open_site")
        planned = self.plan(kind, **request)
        answers = self.act(planned["requests"], silent)
        for phase in range(2, planned["phases"] + 1):
            later = self.ask("phase", plan=planned["plan"], phase=phase, answers=answers)
            for name, answer in self.act(later["requests"], silent).items():
                earlier = answers.get(name, {}).get("results", {})
                answers[name] = {**answer, "results": {**earlier, **answer["results"]}}
        self.ask("settle", plan=planned["plan"], answers=answers)
        return planned

    def ledger(self) -> tuple[dict[str, Any], int]:
        with controller_ledger.Ledger(os.path.join(self.site.state_dir, "ledger.db")) as ledger:
            return ledger.read()

    def claim(self, instance: str) -> dict[str, Any]:
        claim: dict[str, Any] = self.ledger()[0]["claims"][instance]
        return claim

    def published(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((Path(self.site.state_dir) / name).read_text())
        return document


def acts(planned: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(a["action"], a["instance"], a["host"]) for a in planned["plan"]["actions"]]


def snapshot(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


_RACER = """
import json, sys
from monitor.core.controller import calls
request = json.loads(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(calls.handle(request)))
"""


class Racer:
    """A process that answers one request on command."""

    def __init__(self, room: Room, verb: str, request: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._say(json.dumps({"verb": verb, "site": room.document, **request}))
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self._say("go")

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._process.communicate(timeout=60)[0])
        assert "error" not in found, found
        return found

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def both(room: Room, verb: str, request: dict[str, Any], count: int = 2) -> list[dict[str, Any]]:
    """The answers to one request, made by several processes at the same moment."""
    racers = [Racer(room, verb, request) for _ in range(count)]
    try:
        for racer in racers:
            racer.go()
        return [racer.answer() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
