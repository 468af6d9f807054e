# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of a run, on a real ledger and state folder; runs race as processes of their own.

What hosts report and answer is given as data: it is what reaches the controller in a real run too.
"""

from __future__ import annotations

import os

from monitor.core.controller import calls
from tests.integration.controller.data_hosts import CONFIG, DIGESTS, Room, acts, both, snapshot
from tests.small_site import SERVERS


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
        planned = calls.handle(
            {"verb": "plan", "check": True, "state_dir": room.site.state_dir, "request": asked}
        )
        assert [a for a in planned["plan"]["actions"] if a["instance"]] == []


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

    def test_is_reported_once_in_the_trail(self, room: Room) -> None:
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
        planned = calls.handle(
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
    def test_that_is_refused_is_reported_and_changes_no_claim(self, room: Room) -> None:
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


def test_an_unknown_verb_says_which_there_are(room: Room) -> None:
    assert "no verb 'plna', only adopt, alarms, availability, capture, exec" in room.error("plna")
