# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs beside, before and after each other, on a real ledger; they race as processes of their own."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.controller.data_hosts import ASKED, CONFIG, DIGESTS, Racer, Room, acts, both


class TestTwoRunsAtOnce:
    def test_one_starts_and_the_other_says_who_does(self, room: Room) -> None:
        """Both observed the hosts while nothing ran; the one that commits later plans again over the other's claims."""
        room.open()
        request = {
            "digests": DIGESTS, "config_digests": CONFIG, "observations": room.observe(),
            "request": ASKED,
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
            "request": ASKED,
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
        planned = room.ask(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=stale, request=ASKED,
            observed_revision=opened["revision"],
        )  # fmt: skip
        assert planned["requests"] == {}, acts(planned)


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
        """A line was removed without a deploy: a request from that inventory finds the instance and stops nothing."""
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

    def test_makes_a_run_that_forgets_a_host_start_again(self, room: Room, tmp_path: Path) -> None:
        """Forgetting changes the site, as a deploy does: here, to one whose hosts were not observed."""
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        self.another(room, tmp_path, 4).run("deploy")
        words = room.error(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(),
            request=dict(ASKED, kind="forget", host="server_9"), observed_revision=opened["revision"],
            observed_mark=opened["mark"],
        )  # fmt: skip
        assert words == "the site was deployed again meanwhile: run this again"

    def test_that_is_not_published_yet_is_waited_for(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        before = (Path(room.site.state_dir) / "site.json").read_bytes()
        self.another(room, tmp_path, 4).run("deploy")
        (Path(room.site.state_dir) / "site.json").write_bytes(before)
        words = room.error(
            "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=ASKED
        )
        assert words == "the site was deployed again meanwhile: run this again"


class TestAnInterruptedRun:
    def test_is_left_alone_until_its_deadline_then_finished(self, tmp_path: Path) -> None:
        """Ctrl-C after the commit, before any action. The next run holds, and takes over after the deadline."""
        room = Room(tmp_path, run_timeout=0.5)
        room.open()
        first = room.plan("deploy")
        held = room.plan()
        assert {a for a, i, _ in acts(held) if i} == {"hold"}
        deadline = time.monotonic() + 80
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
        deadline = time.monotonic() + 80
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
