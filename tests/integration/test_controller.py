# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of a run, on a real ledger and state folder; runs race as processes of their own.

What hosts report and answer is given as data: it is what reaches the controller in a real run too.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.shared import _controller, _ledger, _model
from tests.small_site import CONSOLES, SERVERS, quiet_host, small_site

ROOT = Path(__file__).resolve().parents[2]
HOSTS = (*SERVERS, *CONSOLES)
DIGESTS = {"scen2_%s_%02d" % (kind, n): "digest-%s-%d" % (kind, n) for kind in ("srv", "hci") for n in range(1, 6)}
CONFIG = dict.fromkeys(HOSTS, "config-1")


class Room:
    """A control room: its site, its controller, and hosts that remember what runs did on them."""

    def __init__(self, folder: Path, items: int = 3, **settings: Any) -> None:
        self.site = small_site(str(folder / "state"), items, **settings)
        self.document = _model.site_to_json(self.site)
        self.hosts: dict[str, dict[str, Any]] = {name: quiet_host(name, site_id="", prepared=False) for name in HOSTS}

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        answer = _controller.handle({"verb": verb, "site": self.document, **request})
        assert "error" not in answer, answer["error"]
        return answer

    def error(self, verb: str, **request: Any) -> str:
        answer = _controller.handle({"verb": verb, "site": self.document, **request})
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
        asked = {"kind": kind, "instances": [], "who": "eve", "from": "controller", "why": "", **request}
        return self.ask(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=self.observe(), request=asked, check=check
        )

    def act(self, requests: dict[str, Any], silent: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the hosts answer; those that are silent did not get the request."""
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
        with _ledger.Ledger(os.path.join(self.site.state_dir, "ledger.db")) as ledger:
            return ledger.read()

    def claim(self, instance: str) -> dict[str, Any]:
        claim: dict[str, Any] = self.ledger()[0]["claims"][instance]
        return claim

    def published(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((Path(self.site.state_dir) / name).read_text())
        return document


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def acts(planned: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(a["action"], a["instance"], a["host"]) for a in planned["plan"]["actions"]]


def snapshot(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


class TestAFirstDeploy:
    def test_starts_the_services_and_publishes_where_they_run(self, room: Room) -> None:
        site_id = room.open()
        assert site_id.startswith("scenario_2-")
        planned = room.run("deploy")
        starts = [act for act in acts(planned) if act[0] == "start"]
        assert sorted(host for _, _, host in starts) == list(SERVERS)
        state, revision = room.ledger()
        assert {c["phase"] for n, c in state["claims"].items() if "srv" in n} == {"running"}
        watch = room.published("watch.json")
        assert (watch["revision"], watch["site_id"]) == (revision, site_id)
        assert sorted(watch["instances"]) == ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]
        assert room.published("site.json")["site_id"] == site_id

    def test_commits_before_anything_is_acted_on(self, room: Room) -> None:
        room.open()
        planned = room.plan("deploy")
        for action in planned["plan"]["actions"]:
            if action["action"] == "start":
                claim = room.claim(action["instance"])
                assert (claim["phase"], claim["host"], claim["epoch"]) == ("starting", action["host"], action["epoch"])
                assert claim["actor"]["run"] == planned["plan"]["run"]

    def test_sends_every_host_its_configuration(self, room: Room) -> None:
        room.open()
        requests = room.plan("deploy")["requests"]
        assert {name: request["config"]["digest"] for name, request in requests.items()} == CONFIG

    def test_repeated_changes_nothing(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        before = room.ledger()
        again = room.run("deploy")
        assert again["requests"] == {} and room.ledger() == before

    def test_in_check_mode_makes_nothing_at_all(self, room: Room) -> None:
        assert room.ask("open_site", create=True, check=True) ["site_id"] == ""
        planned = room.plan("deploy", check=True)
        assert len([act for act in acts(planned) if act[0] == "start"]) == 3
        assert not os.path.exists(room.site.state_dir)

    def test_by_two_at_once_makes_one_ledger(self, room: Room) -> None:
        answers = both(room, "open_site", {"create": True})
        assert len({answer["site_id"] for answer in answers}) == 1
        assert sorted(answer["changed"] for answer in answers) == [False, True]


class TestCheckMode:
    def test_leaves_every_file_as_it_was_and_says_what_would_happen(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        before = snapshot(room.site.state_dir)
        planned = room.plan("drain", check=True, host="server_1")
        assert ("start", "scen2_srv_01") in {(a, i) for a, i, _ in acts(planned)}
        later = room.ask("phase", plan=planned["plan"], phase=2, answers={}, check=True)
        assert later["requests"]
        room.ask("settle", plan=planned["plan"], answers={}, check=True)
        assert {n: c for n, c in snapshot(room.site.state_dir).items() if not n.endswith(("-shm", "-wal"))} == before

    def test_without_looking_plans_over_what_was_seen_last(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.run("restart", instances=["scen2_srv_02"])
        asked = {"kind": "reconcile"}
        planned = _controller.handle(
            {"verb": "plan", "check": True, "state_dir": room.site.state_dir, "request": asked}
        )
        assert [a for a in planned["plan"]["actions"] if a["instance"]] == []


class TestTwoRunsAtOnce:
    def test_one_starts_and_the_other_says_who_does(self, room: Room) -> None:
        """Both looked while nothing ran; the one that commits later plans anew over the other's claims."""
        room.open()
        request = {
            "digests": DIGESTS, "config_digests": CONFIG, "observations": room.observe(),
            "request": {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""},
        }  # fmt: skip
        first, second = sorted(both(room, "plan", request), key=lambda answer: int(answer["plan"]["run"]))
        assert {a for a, i, _ in acts(first) if i} == {"start"}
        assert not any(request["instances"] for request in second["requests"].values())
        holds = [a["reason"] for a in second["plan"]["actions"] if a["action"] == "hold"]
        assert holds and all("run %s is starting it until" % first["plan"]["run"] in reason for reason in holds)
        assert {c["epoch"] for n, c in room.ledger()[0]["claims"].items() if "srv" in n} == {1}

    def test_many_reconciles_never_give_one_instance_two_hosts(self, room: Room) -> None:
        room.open()
        request = {
            "digests": DIGESTS, "config_digests": CONFIG, "observations": room.observe(),
            "request": {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""},
        }  # fmt: skip
        answers = both(room, "plan", request, count=5)
        started = [i for answer in answers for name in answer["requests"].values() for i in name["instances"]]
        assert sorted(i["instance"] for i in started) == ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]

    def test_a_run_that_looked_before_a_restart_leaves_the_new_copy_alone(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        stale = room.observe()
        room.run("restart", instances=["scen2_srv_02"])
        asked = {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""}
        planned = room.ask(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=stale, request=asked,
            observed_revision=opened["revision"],
        )  # fmt: skip
        assert planned["requests"] == {}, acts(planned)


ASKED = {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""}


class TestADeployWhileAnotherRunIsAtWork:
    """A run compiles its inventory first: what was deployed since counts, not what it read."""

    @staticmethod
    def another(room: Room, tmp_path: Path, items: int) -> Room:
        """Another copy of the inventory, over the same hosts."""
        other = Room(tmp_path, items=items)
        other.hosts = room.hosts
        return other

    def test_leaves_what_was_deployed_meanwhile_alone(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        four = self.another(room, tmp_path, 4)
        four.run("deploy")
        planned = room.ask(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=ASKED,
            observed_revision=opened["revision"], observed_mark=opened["mark"],
        )  # fmt: skip
        assert planned["requests"] == {}, acts(planned)
        assert "deploy to apply it" in planned["warnings"][0]
        room.ask("settle", plan=planned["plan"], answers={})
        assert len(room.published("site.json")["site"]["items"]) == 4
        assert room.published("watch.json")["instances"]["scen2_srv_04"]["phase"] == "running"

    def test_between_its_plan_and_its_outcome_stays_valid(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        planned = room.plan("restart", instances=["scen2_srv_02"])
        answers = room.act(planned["requests"])
        self.another(room, tmp_path, 4).run("deploy")
        room.ask("settle", plan=planned["plan"], answers=answers)
        assert room.published("watch.json")["instances"]["scen2_srv_02"]["phase"] == "running"
        assert len(room.published("site.json")["site"]["items"]) == 4
        assert room.published("watch.json")["instances"]["scen2_srv_04"]["phase"] == "running"

    def test_of_another_inventory_is_the_site_of_every_other_run(self, room: Room, tmp_path: Path) -> None:
        """One line was taken out, and nobody deployed: a request from there finds the instance, and stops nothing."""
        room.open()
        room.run("deploy")
        two = self.another(room, tmp_path, 2)
        planned = two.run("restart", instances=["scen2_srv_03"])
        assert [i for a, i, _ in acts(planned) if a == "restart"] == ["scen2_srv_03"]
        assert [i for a, i, _ in acts(two.run("deploy")) if a == "stop"] == ["scen2_srv_03"]

    def test_sends_only_configuration_that_its_run_can_send(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.hosts["server_1"]["config"] = room.hosts["server_2"]["config"] = "changed by hand"
        configs = dict(CONFIG, server_1="another template")
        planned = room.ask(
            "plan", digests=dict(DIGESTS, scen2_srv_01="another"), config_digests=configs,
            observations=room.observe(), request=ASKED,
        )  # fmt: skip
        assert [host for action, _, host in acts(planned) if action == "configure"] == ["server_2"]
        assert [name for name, request in planned["requests"].items() if request["config"]] == ["server_2"]

    def test_makes_who_forgets_a_host_begin_anew(self, room: Room, tmp_path: Path) -> None:
        """Forgetting changes the site, as a deploy does: here, to one that nobody looked at."""
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        self.another(room, tmp_path, 4).run("deploy")
        words = room.error(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(),
            request=dict(ASKED, kind="forget", host="server_9"), observed_revision=opened["revision"],
            observed_mark=opened["mark"],
        )  # fmt: skip
        assert words == "the site was deployed anew meanwhile: run this again"

    def test_that_is_not_published_yet_is_waited_for(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        before = (Path(room.site.state_dir) / "site.json").read_bytes()
        self.another(room, tmp_path, 4).run("deploy")
        (Path(room.site.state_dir) / "site.json").write_bytes(before)
        words = room.error(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=ASKED
        )
        assert words == "the site was deployed anew meanwhile: run this again"


class TestAnInterruptedRun:
    def test_is_left_alone_until_its_deadline_then_finished(self, tmp_path: Path) -> None:
        """Ctrl-C after the commit: nobody acted. The next run holds, and takes over past the deadline."""
        room = Room(tmp_path, run_timeout=0.5)
        room.open()
        first = room.plan("deploy")
        held = room.plan()
        assert {a for a, i, _ in acts(held) if i} == {"hold"}
        deadline = time.monotonic() + 20
        while True:
            planned = room.run()
            if any(action == "start" for action, _, _ in acts(planned)):
                break
            assert time.monotonic() < deadline
        assert int(planned["plan"]["run"]) > int(first["plan"]["run"])
        claims = room.ledger()[0]["claims"]
        assert {(c["phase"], c["epoch"]) for n, c in claims.items() if "srv" in n} == {("running", 2)}

    def test_whose_host_did_not_answer_keeps_its_claim_and_charges_nothing(self, room: Room) -> None:
        room.open()
        room.run("deploy", silent=("server_2",))
        claim = next(c for c in room.ledger()[0]["claims"].values() if c["host"] == "server_2")
        assert (claim["phase"], claim["failures"]) == ("starting", [])
        assert claim["actor"]["deadline"] > time.time()

    def test_that_settles_after_another_took_over_does_not_undo_it(self, tmp_path: Path) -> None:
        """Its hosts were slow and its deadline passed; another run restarted all: the late word is about the past."""
        room = Room(tmp_path, run_timeout=0.3)
        room.open()
        first = room.plan("deploy")
        late = room.act(first["requests"])
        deadline = time.monotonic() + 20
        while not any(c["epoch"] == 2 for c in room.ledger()[0]["claims"].values()):
            assert time.monotonic() < deadline
            room.run("restart", instances=["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"])
        before = room.ledger()[0]["claims"]
        room.ask("settle", plan=first["plan"], answers=late)
        assert room.ledger()[0]["claims"] == before

    def test_killed_while_it_commits_leaves_the_plan_whole_or_not_at_all(self, room: Room) -> None:
        """Six runs are killed at different moments of their plan: no half of it is ever in the ledger."""
        room.open()
        room.run("deploy")
        asked = {"kind": "restart", "instances": ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"], "who": "eve"}
        request = {"observations": room.observe(), "request": asked, "digests": DIGESTS, "config_digests": CONFIG}
        for turn in range(6):
            racer = Racer(room, "plan", request)
            racer.go()
            time.sleep(0.002 * turn)
            racer.kill()
            claims = {n: c for n, c in room.ledger()[0]["claims"].items() if "srv" in n}
            assert len({(c["phase"], c["epoch"], (c["actor"] or {}).get("run")) for c in claims.values()}) == 1, turn


class TestAMove:
    def test_starts_only_after_its_stop_was_confirmed(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        name = next(n for n, c in room.ledger()[0]["claims"].items() if c["host"] == "server_1")
        planned = room.plan("drain", host="server_1")
        assert planned["phases"] == 2
        nothing = room.ask("phase", plan=planned["plan"], phase=2, answers={})
        assert nothing["requests"] == {}
        assert (room.claim(name)["host"], room.claim(name)["phase"]) == ("server_1", "stopping")
        answers = room.act(planned["requests"])
        later = room.ask("phase", plan=planned["plan"], phase=2, answers=answers)
        (target,) = later["requests"]
        assert (room.claim(name)["host"], room.claim(name)["phase"]) == (target, "starting")
        answers.update(room.act(later["requests"]))
        room.ask("settle", plan=planned["plan"], answers=answers)
        assert room.claim(name)["phase"] == "running"

    def test_is_told_once_in_the_trail(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        run = room.run("drain", host="server_1")["plan"]["run"]
        lines = [e["what"] for e in room.ask("trail", limit=500)["trail"] if e["run"] == run]
        assert len(lines) == len(set(lines))


class TestIntents:
    def test_are_planned_over_the_published_site_without_looking_first(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        claim = room.claim("scen2_srv_02")
        intent = {
            "instance": "scen2_srv_02",
            "epoch": claim["epoch"],
            "cause": "bus crash",
            "what": "restart",
            "why": "its bus crashed",
            "at": 1.0,
            "id": "a",
        }
        asked = {"kind": "intents", "intents": [intent], "who": "monitor", "from": "controller"}
        planned = _controller.handle(
            {"verb": "plan", "state_dir": room.site.state_dir, "observations": {}, "request": asked}
        )
        (request,) = planned["requests"][claim["host"]]["instances"]
        assert (request["do"], request["epoch"], request["urgent"]) == ("restart", claim["epoch"] + 1, True)
        assert request["digest"] == DIGESTS["scen2_srv_02"]
        assert list(planned["requests"]) == [claim["host"]]

    def test_of_an_earlier_epoch_are_dropped_and_the_revision_says_so(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        revision = room.ledger()[1]
        intent = {
            "instance": "scen2_srv_02",
            "epoch": 0,
            "cause": "bus crash",
            "what": "restart",
            "why": "x",
            "at": 1.0,
            "id": "a",
        }
        planned = room.plan("intents", intents=[intent])
        assert planned["requests"] == {} and planned["revision"] == revision + 1
        assert room.published("watch.json")["revision"] == revision + 1
        assert room.ask("trail", limit=1)["trail"][0]["result"] == "dropped"


class TestAPersonsRequest:
    def test_that_is_refused_is_told_and_changes_no_claim(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        claims = room.ledger()[0]["claims"]
        planned = room.plan("open", instances=["scen2_hci_02"], host="server_1")
        assert [a["action"] for a in planned["plan"]["actions"]] == ["refuse"] and planned["requests"] == {}
        assert room.ledger()[0]["claims"] == claims
        last = room.ask("trail", limit=1)["trail"][0]
        assert (last["who"], last["result"]) == ("eve", "refused")

    def test_is_found_in_the_trail_of_its_instance(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.run("stop", instances=["scen2_srv_01"], why="maintenance")
        trail = room.ask("trail", instance="scen2_srv_01")["trail"]
        assert {entry["instance"] for entry in trail} == {"scen2_srv_01"}
        assert any(entry["who"] == "eve" and "maintenance" in entry["why"] for entry in trail)


class TestATroubledStateFolder:
    def test_without_a_ledger_says_deploy_first(self, room: Room) -> None:
        for verb in ("open_site", "status", "trail"):
            assert "deploy this site first" in room.error(verb)
        assert not os.path.exists(room.site.state_dir)

    def test_of_another_site_is_refused(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.document["name"] = "scenario_3"
        assert "belongs to the site scenario_2 and this inventory describes scenario_3" in room.error("open_site")

    def test_with_a_new_ledger_beside_marked_hosts_plans_nothing(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        for path in Path(room.site.state_dir).glob("ledger.db*"):
            path.unlink()
        room.ask("open_site", create=True)
        asked = {"kind": "reconcile", "instances": []}
        words = room.error("plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=asked)
        assert "belongs to the site scenario_2-" in words and "lost" in words
        assert room.ledger()[0]["claims"] == {}

    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            (lambda path: path.write_bytes(b"x" * 9000), "is damaged"),
            (lambda path: sqlite3.connect(path).execute("PRAGMA user_version = 9"), "written by a newer muster"),
        ],
        ids=["damaged", "newer"],
    )
    def test_with_a_ledger_it_cannot_use_changes_nothing(
        self, room: Room, harm: Callable[[Path], Any], words: str
    ) -> None:
        room.open()
        room.run("deploy")
        path = Path(room.site.state_dir) / "ledger.db"
        harm(path)
        before = path.read_bytes()
        asked = {"kind": "reconcile", "instances": []}
        for verb in ("open_site", "plan", "status"):
            assert words in room.error(verb, digests=DIGESTS, observations=room.observe(), request=asked)
        assert path.read_bytes() == before

    def test_restored_from_its_backup_goes_on_with_higher_epochs(self, room: Room) -> None:
        """The backup is older than the last restart: the hosts know higher epochs, and the next run exceeds them."""
        room.open()
        room.run("deploy")
        folder = Path(room.site.state_dir)
        backup = sorted((folder / "backup").iterdir())[-1].read_bytes()
        room.run("restart", instances=["scen2_srv_02"])
        room.run("restart", instances=["scen2_srv_02"])
        for end in ("-wal", "-shm"):
            (folder / ("ledger.db" + end)).unlink(missing_ok=True)
        (folder / "ledger.db").write_bytes(backup)
        known = max(copy["epoch"] for host in room.hosts.values() for copy in host["instances"].values())
        published = room.published("watch.json")["revision"]
        room.run()
        room.run()
        assert room.run()["requests"] == {}
        assert room.published("watch.json")["revision"] == room.ledger()[1] > published
        assert any("the ledger was put back to revision" in entry["what"] for entry in room.ask("trail")["trail"])
        alive = [(n, host) for host in room.hosts for n in room.hosts[host]["instances"]]
        assert sorted(n for n, _ in alive) == ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]
        assert room.claim("scen2_srv_02")["epoch"] >= known

    def test_with_a_lost_or_half_written_watch_list_heals(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        folder = Path(room.site.state_dir)
        whole = room.published("watch.json")
        (folder / "watch.json").write_text((folder / "watch.json").read_text()[:100])
        (folder / "site.json").unlink()
        room.run()
        assert room.published("watch.json") == whole
        assert len(room.published("site.json")["digests"]) == len(DIGESTS)

    def test_that_cannot_be_published_to_is_a_warning_because_the_commit_stands(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        (Path(room.site.state_dir) / "watch.json").unlink()
        (Path(room.site.state_dir) / "watch.json").mkdir()
        planned = room.plan("restart", instances=["scen2_srv_02"])
        (warning,) = planned["warnings"]
        assert "revision %d is in the ledger but could not be published" % planned["revision"] in warning
        assert room.claim("scen2_srv_02")["phase"] == "starting"
        (Path(room.site.state_dir) / "watch.json").rmdir()
        answers = room.act(planned["requests"])
        assert room.ask("settle", plan=planned["plan"], answers=answers)["warnings"] == []
        assert room.published("watch.json")["instances"]["scen2_srv_02"]["phase"] == "running"

    @pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
    def test_of_somebody_else_is_left_to_its_owner(self, room: Room) -> None:
        room.open()
        os.chown(room.site.state_dir, 1, 1)
        for verb in ("open_site", "status", "trail"):
            assert ": run this as " in room.error(verb, create=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
    def test_on_a_full_disk_says_so_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", str(disk)], check=True)
        try:
            room = Room(disk, items=40)
            room.open()
            with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 4096)
            asked = {"kind": "deploy", "instances": []}
            words = room.error(
                "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=asked
            )
            assert "nothing was changed" in words and "kB are free" in words
            (disk / "filler").unlink()
            room.run("deploy")
            assert len(room.published("watch.json")["instances"]) > 0
        finally:
            subprocess.run(["umount", str(disk)], check=True)


class TestStatus:
    def test_shows_items_hosts_and_where_things_run(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        answer = room.ask("status", observations=room.observe())
        status = answer["status"]
        assert [entry["item"] for entry in status["items"]] == ["01", "02", "03"]
        assert {entry["verdict"] for entry in status["items"]} == {"operational"}
        assert sorted(entry["host"] for entry in status["hosts"]) == sorted(HOSTS)
        assert "operational" in answer["table"] and "server_3" in answer["table"]

    def test_without_asking_hosts_uses_what_they_said_last(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.plan()
        status = room.ask("status")["status"]
        assert all(entry["answer"] == "seen" and entry["at"] for entry in status["hosts"])

    def test_does_not_take_an_old_look_for_a_failure_of_what_was_started_since(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.run("restart", instances=["scen2_srv_02"])
        status = room.ask("status")["status"]
        assert status["counts"] == {"operational": 3}, [entry["cause"] for entry in status["items"]]
        copy = status["instances"]["scen2_srv_02"]
        assert (copy["epoch"], copy["state"]) == (2, "running")

    def test_remembers_what_it_was_shown(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.plan()
        host = room.claim("scen2_srv_02")["host"]
        del room.hosts[host]["instances"]["scen2_srv_02"]["programs"]["data_processing"]
        room.ask("status", observations=room.observe())
        found = next(entry for entry in room.ask("status")["status"]["items"] if entry["item"] == "02")
        assert found["verdict"] == "not operational" and "data_processing" in found["cause"]

    def test_that_looked_before_a_restart_is_no_reason_for_another_one(self, room: Room) -> None:
        """What it saw is older than the restart, and is remembered as that."""
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        stale = room.observe()
        room.run("restart", instances=["scen2_srv_02"])
        room.ask("status", observations=stale, observed_revision=opened["revision"])
        asked = {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""}
        planned = room.ask("plan", digests=DIGESTS, config_digests=CONFIG, request=asked, check=True)
        assert [a for a in acts(planned) if a[1]] == []

    def test_a_stray_copy_that_was_stopped_is_not_remembered(self, room: Room) -> None:
        """Nothing in the ledger says that a copy without a claim is gone; what plans unseen would stop it again."""
        room.open()
        room.run("deploy")
        holder = room.claim("scen2_srv_01")["host"]
        other = next(name for name in ("server_1", "server_2") if name != holder)
        room.hosts[other]["instances"]["scen2_srv_01"] = dict(room.hosts[holder]["instances"]["scen2_srv_01"], claim=0)
        stopped = room.run()
        assert ("stop", "scen2_srv_01") in [act[:2] for act in acts(stopped)]
        request = {"kind": "reconcile", "instances": [], "who": "eve", "from": "controller", "why": ""}
        planned = room.ask("plan", digests=DIGESTS, config_digests=CONFIG, request=request, check=True)
        assert [act for act in acts(planned) if act[1]] == []

    def test_takes_the_bus_from_the_monitor_s_own_file(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        (Path(room.site.state_dir) / "run").mkdir()
        buses = {"scen2_srv_03": {"epoch": 1, "state": "unhealthy", "why": "3 round trips missed"}}
        written = {"schema": 1, "state": "running", "at": time.time(), "buses": buses}
        (Path(room.site.state_dir) / "run" / "monitor.json").write_text(json.dumps(written))
        answer = room.ask("status", observations=room.observe())
        assert [entry["verdict"] for entry in answer["status"]["items"]] == [
            "operational",
            "operational",
            "not operational",
        ]
        assert "monitor: running" in answer["table"]


def test_an_unknown_verb_says_which_there_are(room: Room) -> None:
    assert "no verb 'plna', only explain, open_site, phase, plan" in room.error("plna")


_RACER = """
import json, sys
from monitor.shared import _controller
request = json.loads(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(_controller.handle(request)))
"""


class Racer:
    """A process that answers one request when told to."""

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
