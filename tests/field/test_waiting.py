# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service needs comes late: it waits in a gate as long as it takes, or is tried again slowly for ever.

Sources: Supervisor/supervisor#1219, #1528, #323 (what a program needs is not there yet after a power cut);
epics-extensions/EPNix PR#52 (the limit of restarts of a controller's program at boot).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.compile import errors as compile_errors
from monitor.core.model.sentences import clock
from monitor.core.model.site import AfterBudget, Program, Site, site_from_json, site_to_json
from monitor.core.plan.outcome import settle
from monitor.core.plan.plan import make_plan
from monitor.core.report import status, status_text, story
from monitor.core.report.verdict import verdicts
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state
from tests.unit.embedded_site import changed, raw_site
from tests.unit.plan.fleet_in_memory import World

NAME = "scen2_srv_01"
STARTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}
NOW = 5000.0
RETRY = 300.0


def site_with(**changes: Any) -> Site:
    site = small_site(items=1)
    services = dataclasses.replace(site.application("scen2_srv"), **changes)
    return dataclasses.replace(site, applications=(services, site.application("scen2_hci")))


class TestAServiceWhoseBudgetIsSpent:
    def world(self, hosts: int = 2) -> World:
        world = World(site_with(identifiers=SERVERS[:hosts], after_budget=AfterBudget(RETRY)))
        world.fails.add(NAME)
        return world

    def spend(self, world: World) -> None:
        for _unused in range(5):
            world.now += 10
            world.finish(world.begin("reconcile"))

    def status(self, world: World) -> dict[str, Any]:
        seen = {name: host.observe() for name, host in world.hosts.items()}
        return dict(status.status_document(world.site, world.state, world.revision, seen, {}, world.now))

    def test_is_tried_again_slowly_for_ever(self) -> None:
        world = self.world()
        self.spend(world)
        assert len(world.starts) == 5
        before = world.now
        for _unused in range(60):
            world.now += 60
            world.finish(world.begin("reconcile"))
        assert len(world.starts) == 5 + (world.now - before) // RETRY
        assert {host for _unused, host in world.starts[5:]} == set(SERVERS[:2]), "one after the other"

    def test_is_shown_as_that(self) -> None:
        world = self.world()
        self.spend(world)
        document = self.status(world)
        again = clock(world.now + RETRY, world.now)
        said = "5 attempts failed; muster tries again every 5 min, next at %s (last: %s exited 3)" % (again, NAME)
        item, instance = document["items"][0], document["instances"][NAME]
        assert (item["verdict"], item["cause"]) == ("waiting", said)
        assert instance["reason"] == said
        told = dict(story.facts(instance, document, NAME, world.now))
        assert told["cause"] == said
        assert told["failures"] == "5, and the budget is 5: when it is spent, muster tries again every 5 min"
        assert said in status_text.render_table(document, 400)

    def test_runs_as_soon_as_a_try_succeeds_and_has_its_budget_back(self) -> None:
        world = self.world()
        self.spend(world)
        world.fails.clear()
        world.now += RETRY
        world.finish(world.begin("reconcile"))
        assert world.state["claims"][NAME]["phase"] == "running"
        world.now += 5 * world.site.settings.stable_after
        assert self.status(world)["instances"][NAME]["failures"] == 0

    def test_is_tried_at_once_when_a_person_starts_it(self) -> None:
        world = self.world()
        self.spend(world)
        world.finish(world.begin("start", instances=[NAME]))
        assert len(world.starts) == 6

    def test_is_tried_slowly_when_it_starts_and_ends_again(self) -> None:
        world = self.world(hosts=1)
        world.fails.clear()
        world.dies.add(NAME)
        for _unused in range(200):
            world.now += 5
            world.finish(world.begin("reconcile"))
        tried = len(world.starts)
        for _unused in range(20):
            world.now += 60
            world.finish(world.begin("reconcile"))
        assert tried < len(world.starts) <= tried + 2 + 20 * 60 // RETRY
        assert "muster tries again every 5 min" in world.state["claims"][NAME]["reason"]

    def test_that_failed_before_the_site_said_so_is_tried_too(self) -> None:
        world = self.world()
        told, world.site = world.site, site_with(identifiers=SERVERS[:2])
        self.spend(world)
        world.now += 10 * RETRY
        world.finish(world.begin("reconcile"))
        assert len(world.starts) == 5, "without after_budget it stays failed"
        world.site = told
        world.finish(world.begin("reconcile"))
        assert len(world.starts) == 6

    def test_is_written_and_read_in_site_json(self) -> None:
        site = self.world().site
        assert site_from_json(site_to_json(site)) == site


def gate_first(**more: Any) -> Site:
    programs = (
        Program("instrument", ("check",), start_sequence=1, wait_exit=True, required=True, on_timeout="defer"),
        Program("internal_data_bus", ("bus",), start_sequence=2, required=True, expected_loading=2),
        Program("data_processing", ("idle",), start_sequence=3, required=True, expected_loading=20),
    )
    return site_with(programs=programs, **more)


DEFERRED = ("instrument", "internal_data_bus", "data_processing")
WAITS = {"epoch": 1, "epochs": [], "claim": 1, "last_epoch": 1, "digest": "d", "programs": {},
         "deferred": list(DEFERRED), "failed": {}}  # fmt: skip


class TestAGateInTheFirstRankThatDefers:
    """Nothing of the instance runs yet, and nobody stopped it."""

    def state(self) -> dict[str, Any]:
        up = {name: {"state": "up", "incarnation": "boot/1", "since": 0.0} for name in SERVERS}
        return small_state(
            wanted={NAME: STARTED}, claims={NAME: running("server_1", deferred=list(DEFERRED))}, hosts=up,
        )  # fmt: skip

    def seen(self, **more: Any) -> dict[str, Any]:
        found = {name: quiet_host(name) for name in SERVERS}
        found["server_1"] = quiet_host("server_1", instances={NAME: {**WAITS, **more}})
        return found

    def plan(self, kind: str = "reconcile", **more: Any) -> Any:
        request = {"kind": kind, "who": "eve", **more}
        return make_plan(gate_first(), self.state(), 7, self.seen(), request, NOW, "8", {NAME: "d"})

    def test_waits_for_ever_on_its_host(self) -> None:
        plan = self.plan()
        (action,) = plan.acts
        assert (action.kind, action.host, action.epoch, action.programs) == ("continue", "server_1", 1, DEFERRED)
        claim = plan.changes["claims"][NAME]
        assert (claim["phase"], claim["failures"]) == ("running", [])
        assert not any("past" in entry["what"] or "drift" in entry["what"] for entry in plan.trail)

    def test_that_goes_on_waiting_fills_no_trail(self) -> None:
        plan = self.plan()
        state = dict(self.state(), claims={NAME: plan.changes["claims"][NAME]})
        answers = {"server_1": {"results": {NAME: {"result": "running", "deferred": list(DEFERRED)}}}}
        changes, trail = settle(gate_first(), state, plan, answers, NOW + 3, final=True)
        assert (plan.trail, trail) == ([], [])
        assert changes["claims"][NAME]["actor"] is None

    def test_is_shown_as_waiting(self) -> None:
        found = verdicts(gate_first(), self.state(), self.seen(), {}, NOW)["01"]
        assert (found["verdict"], found["cause"]) == ("waiting", "waiting for instrument")

    def test_is_stopped_and_restarted_like_any_other(self) -> None:
        assert [action.kind for action in self.plan("stop", instances=[NAME]).acts] == ["stop"]
        assert [action.kind for action in self.plan("restart", instances=[NAME]).acts] == ["start"]

    def test_is_gone_when_its_programs_ran_and_ended(self) -> None:
        state = self.state()
        state["claims"][NAME]["deferred"] = []
        seen = self.seen(deferred=[])
        plan = make_plan(gate_first(), state, 7, seen, {"kind": "reconcile"}, NOW, "8", {NAME: "d"})
        assert [action.kind for action in plan.acts] == ["start"]


PLACE = "muster_applications/scen2_srv/after_budget"
BEGINS = "muster_applications.scen2_srv.after_budget"


class TestHowASiteSaysIt:
    @pytest.mark.parametrize(
        ("written", "seconds"),
        [
            (300, 300.0), ("300", 300.0), ("5min", 300.0), ("5 min", 300.0), ("5m", 300.0), ("90s", 90.0),
            ("1h30m", 5400.0),
        ],
    )  # fmt: skip
    def test_durations_are_seconds_or_text(self, written: Any, seconds: float) -> None:
        changes = {PLACE: {"retry": written}, "muster_settings": {"failure_window": written}}
        site = compiler.compile_site(changed(raw_site(), changes))
        assert site.application("scen2_srv").after_budget == AfterBudget(seconds)
        assert site.settings.failure_window == seconds

    def test_by_default_a_failed_service_stays_failed(self) -> None:
        assert compiler.compile_site(raw_site()).application("scen2_srv").after_budget is None

    @pytest.mark.parametrize(
        ("change", "begins", "says"),
        [
            ({PLACE: {"retry": "often"}}, BEGINS + '.retry: is "often", must be a number of seconds,',
             "or a duration such as 90s, 5min or 2h, of 10 or more"),
            ({PLACE: {"retry": "5mins"}}, BEGINS + ".retry: is", "a duration such as 90s, 5min or 2h"),
            ({PLACE: {"retry": "1s"}}, BEGINS + '.retry: is "1s", must be', "of 10 or more"),
            ({PLACE: {"retri": 3}}, BEGINS + ".retri: unknown key", "did you mean retry?"),
            ({PLACE: {}}, BEGINS + ": after_budget needs retry", ""),
            ({PLACE: "5min"}, BEGINS + ': is "5min", must be a mapping', ""),
            ({"muster_applications/scen2_hci/after_budget": {"retry": 60}},
             "muster_applications.scen2_hci.after_budget: after_budget is about services", "on request only"),
            ({"muster_settings": {"run_timeout": "soon"}}, 'muster_settings.run_timeout: is "soon", must be',
             "90s, 5min"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, change: dict[str, Any], begins: str, says: str) -> None:
        with pytest.raises(compile_errors.SiteErrors) as caught:
            compiler.compile_site(changed(raw_site(), change))
        (error,) = caught.value.lines()
        assert error.startswith(begins), error
        assert says in error
