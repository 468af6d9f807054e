# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved plans, and what outlasts a run, on a real ledger and state folder: hosts are data."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from monitor.core.client import saved_plan as files
from monitor.core.controller.ledger import Ledger
from monitor.core.model import saved_plan
from tests.integration.controller.data_hosts import ASKED, CONFIG, DIGESTS, Room, acts


@pytest.fixture
def running(room: Room) -> Room:
    room.open()
    room.run("deploy")
    return room


def home(room: Room, instance: str) -> str:
    return str(room.claim(instance)["host"])


def another(room: Room, instance: str) -> str:
    return "server_1" if home(room, instance) != "server_1" else "server_2"


def save(
    room: Room, kind: str, approve: bool = False, digests: dict[str, str] = DIGESTS, **request: Any
) -> dict[str, Any]:
    answer = room.ask(
        "plan", digests=digests, config_digests=CONFIG, observations=room.observe(), check=True,
        request={**ASKED, "kind": kind, "dry_run": True, **request}, save={"approve": approve},
    )  # fmt: skip
    saved: dict[str, Any] = answer["saved"]
    return saved


def refusals(planned: dict[str, Any]) -> list[str]:
    return [a["reason"] for a in planned["plan"]["actions"] if a["action"] == "refuse"]


def apply(room: Room, document: dict[str, Any], who: str = "bob") -> dict[str, Any]:
    return room.run("apply", plan=saved_plan.digest(document), who=who)


class TestASavedPlan:
    def test_changes_nothing_until_it_is_applied_and_is_then_done_exactly(self, running: Room) -> None:
        name = "scen2_srv_01"
        to = another(running, name)
        before = running.ledger()
        saved = save(running, "move", instances=[name], to=to, why="fan noise")
        assert running.ledger() == before
        assert (saved["by"], saved["approve"], saved["request"]["to"]) == ("eve", False, to)
        planned = apply(running, saved)
        assert [a[:2] for a in acts(planned)] == [("stop", name), ("start", name)]
        assert home(running, name) == to
        said = [(e["who"], e["what"]) for e in running.ask("trail", limit=500)["trail"] if "is applied" in e["what"]]
        assert len(said) == 1 and said[0][0] == "bob" and "the plan that eve made at" in said[0][1]
        assert "the plan of eve: fan noise" in planned["plan"]["actions"][0]["reason"]

    def test_does_nothing_a_second_time(self, running: Room) -> None:
        saved = save(running, "move", instances=["scen2_srv_01"], to=another(running, "scen2_srv_01"))
        apply(running, saved)
        claims = running.ledger()[0]["claims"]
        again = apply(running, saved)
        assert "does not fit any more" in refusals(again)[0]
        assert running.ledger()[0]["claims"] == claims

    def test_of_which_a_fact_moved_does_nothing_and_shows_what(self, running: Room) -> None:
        name = "scen2_srv_01"
        saved = save(running, "move", instances=[name], to=another(running, name))
        running.run("restart", instances=[name])
        claims = running.ledger()[0]["claims"]
        (why,) = refusals(apply(running, saved))
        rows = {line.split("  ")[0]: line.split()[-2:] for line in why.splitlines()}
        assert rows["instance %s claim epoch" % name] == ["1", "2"]
        assert running.ledger()[0]["claims"] == claims

    def test_is_not_touched_by_what_has_nothing_to_do_with_it(self, running: Room) -> None:
        saved = save(running, "move", instances=["scen2_srv_01"], to=another(running, "scen2_srv_01"))
        host = another(running, "scen2_srv_01")
        other = next(n for n in ("scen2_srv_02", "scen2_srv_03") if home(running, n) != host)
        running.run("restart", instances=[other])
        for seen in running.hosts.values():
            seen["load"] = {"cpu": 7.0, "memory": 3.0}
        assert not refusals(apply(running, saved))

    def test_can_ask_for_a_second_name(self, running: Room) -> None:
        saved = save(running, "stop", approve=True, instances=["scen2_srv_01"])
        (why,) = refusals(apply(running, saved, who="eve"))
        assert "asks for a second name" in why
        assert running.claim("scen2_srv_01")["phase"] == "running"
        assert not refusals(apply(running, saved, who="bob"))
        assert running.claim("scen2_srv_01")["phase"] == "free"
        said = [e for e in running.ask("trail", limit=500)["trail"] if "second name" in e["what"] and not e["result"]]
        assert [(e["who"], "eve made" in e["what"]) for e in said] == [("bob", True)]

    @pytest.mark.parametrize(("by", "who", "second"), [
        ("ops", "eve", True), ("ops (Eve)", "ops (Bob)", True), ("ops (Eve)", "bob", True), ("ops", "ops", False),
        ("ops (Eve)", "ops (Eve)", False), ("ops", "ops (Bob)", False), ("ops (Eve)", "ops", False),
    ])  # fmt: skip
    def test_takes_no_second_name_from_who_may_be_the_first(self, by: str, who: str, second: bool) -> None:
        assert saved_plan.second_name(by, who) is second

    def test_that_somebody_changed_is_no_plan_of_this_site(self, running: Room) -> None:
        saved = save(running, "stop", approve=True, instances=["scen2_srv_01"])
        for change in ({"by": "mallory"}, {"approve": False}, {"request": {"kind": "site_stop"}}):
            forged = saved_plan.digest({**saved, **change})
            asked = {**ASKED, "kind": "apply", "plan": forged}
            error = running.error("plan", digests=DIGESTS, observations=running.observe(), request=asked)
            assert "no such plan" in error
        for digest in ("../../etc/passwd", "", "x" * 64):
            asked = {**ASKED, "kind": "apply", "plan": digest}
            assert "say which saved plan" in running.error("plan", digests=DIGESTS, observations={}, request=asked)

    def test_counts_a_duration_from_when_it_was_made(self, running: Room) -> None:
        saved = save(running, "drain", host="server_1", until="2h")
        assert saved["request"]["until"] == pytest.approx(saved["at"] + 7200)

    def test_of_a_deploy_is_bound_to_the_inventory_and_its_batches(self, running: Room) -> None:
        edited = {**DIGESTS, **{name: "another" for name in DIGESTS if "srv" in name}}
        saved = save(running, "deploy", digests=edited)
        assert [batch for key, batch in saved["facts"]["rollout"].items() if key.startswith("batch")]
        other = {**edited, "scen2_srv_01": "a third one"}
        asked = {**ASKED, "kind": "deploy", "plan": saved_plan.digest(saved), "who": "bob"}
        planned = {"config_digests": CONFIG, "request": asked}
        before = running.ledger()[0]["claims"]
        (why,) = refusals(running.ask("plan", digests=other, observations=running.observe(), **planned))
        assert "inventory" in why and "instance scen2_srv_01 configuration" in why
        assert running.ledger()[0]["claims"] == before
        done = running.ask("plan", digests=edited, observations=running.observe(), **planned)
        assert not refusals(done) and acts(done)

    def test_of_a_deploy_is_applied_by_a_deploy_only_and_no_other_by_one(self, running: Room) -> None:
        deploy, stop = save(running, "deploy"), save(running, "stop", instances=["scen2_srv_01"])
        for kind, document, words in (("apply", deploy, "use muster apply"), ("deploy", stop, "it is a stop")):
            asked = {**ASKED, "kind": kind, "plan": saved_plan.digest(document)}
            assert words in running.error("plan", digests=DIGESTS, observations=running.observe(), request=asked)

    def test_of_a_deploy_that_prepares_a_host_first_cannot_be_saved(self, running: Room) -> None:
        seen = running.observe()
        seen["server_3"] = dict(seen["server_3"], prepared=False)
        asked = {**ASKED, "kind": "deploy", "dry_run": True}
        error = running.error(
            "plan", digests=DIGESTS, observations=seen, check=True, request=asked, save={"approve": False}
        )
        assert "has to prepare server_3 first" in error

    def test_that_is_refused_is_not_saved(self, running: Room) -> None:
        asked = {**ASKED, "kind": "move", "instances": ["scen2_srv_01"], "to": "console_1"}
        answer = running.ask(
            "plan", digests=DIGESTS, observations=running.observe(), check=True, request=asked, save={"approve": False}
        )
        assert refusals(answer) and "saved" not in answer

    def test_is_for_the_owner_of_the_site_only_and_the_oldest_are_forgotten(self, running: Room) -> None:
        folder = Path(running.site.state_dir) / "plans"
        for number in range(60):
            save(running, "stop", instances=["scen2_srv_01"], why="number %d" % number)
        kept = list(folder.iterdir())
        assert len(kept) == 50
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


class TestAPersonsFile:
    def test_is_new_and_for_its_owner_only_and_gives_the_digest_back(self, running: Room, tmp_path: Path) -> None:
        saved = save(running, "stop", instances=["scen2_srv_01"])
        path = tmp_path / "plan.json"
        files.write(str(path), saved)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert files.digest_of_file(str(path)) == saved_plan.digest(saved)
        with pytest.raises(files.NoPlan, match="is there already"):
            files.write(str(path), saved)

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"{", "no JSON"), (b"[" * 100000, "no JSON"), (b"[]", "no saved plan"), (b"\xff", "no JSON"),
            (b'{"kind": "muster plan", "schema": 9}', "another version"), (b" " * (saved_plan.LONGEST + 1), "longer"),
        ],
        ids=["cut", "deep", "list", "bytes", "version", "long"],
    )  # fmt: skip
    def test_that_is_something_else_is_refused(self, content: bytes, why: str, tmp_path: Path) -> None:
        path = tmp_path / "plan.json"
        path.write_bytes(content)
        with pytest.raises(files.NoPlan, match=why):
            files.digest_of_file(str(path))


class TestAStoppedSite:
    def test_starts_as_it_was(self, running: Room) -> None:
        running.run("move", instances=["scen2_srv_01"], to=another(running, "scen2_srv_01"))
        running.run("open", instances=["scen2_hci_02"], console="console_1")
        running.run("stop", instances=["scen2_srv_03"])
        before = {n: (c["host"], c["phase"]) for n, c in running.ledger()[0]["claims"].items() if "srv" in n}
        wanted = {n: w for n, w in running.ledger()[0]["wanted"].items() if "srv" in n}
        running.run("site_stop", why="power works")
        assert {c["phase"] for c in running.ledger()[0]["claims"].values()} == {"free"}
        assert {n: w for n, w in running.ledger()[0]["wanted"].items() if "srv" in n} == wanted
        assert {w["state"] for w in running.published("watch.json")["wanted"].values()} == {"stopped"}
        for kind in ("reconcile", "deploy"):
            quiet = running.run(kind)
            assert quiet["requests"] == {} and "so nothing is started" in str(quiet["plan"]["actions"])
        for kind in ("start", "restart", "open", "move"):
            assert refusals(running.plan(kind, instances=["scen2_srv_01"], to="server_1"))
        running.run("site_start")
        claims = running.ledger()[0]["claims"]
        assert {n: (c["host"], c["phase"]) for n, c in claims.items() if "srv" in n} == before
        assert claims["scen2_hci_02"]["phase"] == "free"
        assert not any(claim.get("back") for claim in claims.values() if claim["phase"] == "running")
        assert running.run()["requests"] == {}

    def test_goes_on_where_a_host_was_silent(self, running: Room) -> None:
        silent = home(running, "scen2_srv_01")
        running.run("site_stop", silent=(silent,))
        assert running.claim("scen2_srv_01")["phase"] == "stopping"
        state, revision = running.ledger()
        claim = dict(state["claims"]["scen2_srv_01"], actor=None)  # its run is over
        with_actor = {"claims": {"scen2_srv_01": claim}}
        with Ledger(os.path.join(running.site.state_dir, "ledger.db")) as ledger:
            ledger.commit(revision, with_actor)
        running.run()
        assert running.claim("scen2_srv_01")["phase"] == "free"
        running.run("site_start")
        assert home(running, "scen2_srv_01") == silent


def test_booked_moves_are_made_one_after_the_other_by_any_run(running: Room) -> None:
    for name in ("scen2_srv_01", "scen2_srv_02"):
        if home(running, name) != "server_1":
            running.run("move", instances=[name], to="server_1")
    running.run("rebalance", spread=21)
    left = len(running.ledger()[0]["moves"])
    running.run()
    assert len(running.ledger()[0]["moves"]) == max(0, left - 1)
    while running.ledger()[0]["moves"]:
        running.run()
    hosts = [home(running, "scen2_srv_%02d" % number) for number in (1, 2, 3)]
    assert max(hosts.count(host) for host in hosts) == 1, json.dumps(hosts)
    assert running.run()["requests"] == {}
