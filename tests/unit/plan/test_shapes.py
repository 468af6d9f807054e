# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy adds a program, or moves ports: what has not taken it is judged and started by what it runs with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.core.model import shape
from monitor.core.model.change import digest_of, effect
from monitor.core.model.records import apply_changes
from monitor.core.model.site import Program, Site
from monitor.core.plan.act_requests import act_requests
from monitor.core.plan.outcome import settle
from monitor.core.plan.plan import make_plan
from monitor.core.report import plan_text
from monitor.core.report.status import status_document
from monitor.core.report.watch_list import watch_document
from tests.small_site import quiet_host, small_site, small_state

NOW = 1_700_000_000.0
NAMES = ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]
WINDOW = "scen2_hci_01"
EXTRA = Program("extra", ("idle",), start_sequence=3, required=True, running_failure_strategy="restart_application")


def changed(site: Site) -> Site:
    """With a program and other ports for both applications."""
    made = []
    for application in site.applications:
        assert application.ports is not None
        ports = replace(application.ports, base=application.ports.base + 1000)
        made.append(replace(application, programs=(*application.programs, EXTRA), ports=ports))
    return replace(site, applications=tuple(made))


def digests(site: Site, word: str) -> dict[str, str]:
    return {name: digest_of(one.application, {"": [word]}) for name, one in site.by_name().items()}


class World:
    """What is wanted runs; hosts show what their acts said."""

    def __init__(self) -> None:
        self.site, self.word, self.runs = small_site(items=3), "one", 40
        self.state: dict[str, Any] = small_state()
        self.shown: dict[str, dict[str, Any]] = {host.name: {} for host in self.site.hosts}
        self.now = NOW

    def run(self, kind: str, **request: Any) -> Any:
        """A plan, carried out; its acts by instance."""
        self.runs += 1
        self.now += 30.0
        wanted = digests(self.site, self.word)
        seen = {name: quiet_host(name, instances=shown) for name, shown in self.shown.items()}
        plan = make_plan(self.site, self.state, self.runs, seen, {"kind": kind, "who": "eve", **request}, self.now,
                         str(self.runs), wanted)  # fmt: skip
        self.state = apply_changes(self.state, plan.changes)
        answers: dict[str, Any] = {}
        orders: dict[str, Any] = {}
        for phase in sorted({action.phase for action in plan.acts}):
            for host, sent in act_requests(self.site, self.state, plan, phase, wanted).items():
                for order in sent.instances:
                    orders[order.instance] = order
                    known = answers.setdefault(host, {"results": {}})
                    known["results"][order.instance] = self.carry_out(host, order)
            changes, _trail = settle(self.site, self.state, plan, answers, self.now)
            self.state = apply_changes(self.state, changes)
        changes, _trail = settle(self.site, self.state, plan, answers, self.now, final=True)
        self.state = apply_changes(self.state, changes)
        return orders

    def carry_out(self, host: str, order: Any) -> dict[str, Any]:
        if order.do == "stop":
            self.shown[host].pop(order.instance, None)
            return {"result": "stopped"}
        lasting = [p["name"] for p in order.programs if p["start_sequence"] > 0 and not p["wait_exit"]]
        self.shown[host][order.instance] = {
            "epoch": order.epoch, "claim": order.epoch, "digest": order.digest, "deferred": [], "failed": {},
            "programs": {name: {"pid": 1, "epoch": order.epoch} for name in lasting}, "load": 0.0,
        }  # fmt: skip
        return {"result": "running", "digest": order.digest, "deferred": [], "failed": {}}

    def programs(self, name: str) -> set[str]:
        [shown] = [shown[name] for shown in self.shown.values() if name in shown]
        return set(shown["programs"])


def changed_world() -> World:
    """All run, a window is open; then the deploy of the changed site: its canary has taken it."""
    world = World()
    world.run("deploy")
    world.run("start", instances=[WINDOW], console="console_1")
    assert all(world.programs(name) for name in (*NAMES, WINDOW))
    world.site, world.word = changed(world.site), "two"
    assert set(world.run("deploy")) == {"scen2_srv_02"}  # 01 has an open window: it comes last
    return world


def test_only_the_batch_gets_the_new_program_and_nothing_is_missed_elsewhere() -> None:
    world = changed_world()
    assert "extra" in world.programs("scen2_srv_02")
    assert not any("extra" in world.programs(name) for name in ("scen2_srv_01", "scen2_srv_03", WINDOW))
    site, state = world.site, world.state
    seen = {name: quiet_host(name, instances=shown) for name, shown in world.shown.items()}
    status = status_document(site, state, 1, seen, {}, world.now)
    assert {entry["item"]: entry["verdict"] for entry in status["items"]} == dict.fromkeys(
        ("01", "02", "03"), "operational")  # fmt: skip
    buses = {name: entry["bus"]["port"] for name, entry in watch_document(site, state, 1)["instances"].items()}
    new = {name: site.instance(name).ports["client"] for name in (*NAMES, WINDOW)}
    assert buses == {name: port - (0 if name == "scen2_srv_02" else 1000) for name, port in new.items()}


def test_what_is_not_reached_starts_again_with_the_programs_that_it_had() -> None:
    world = changed_world()
    [host] = [host for host, shown in world.shown.items() if "scen2_srv_03" in shown]
    del world.shown[host]["scen2_srv_03"]  # it crashed
    world.state["rollouts"]["current"]["state"] = "paused"
    orders = world.run("reconcile")
    assert set(orders) == {"scen2_srv_03"}
    order = orders["scen2_srv_03"]
    assert "extra" not in [program["name"] for program in order.programs]
    assert "extra" in [program["name"] for program in order.otherwise["programs"]]  # where that is not there any more
    assert "extra" not in world.programs("scen2_srv_03")


def test_the_rollout_ends_and_forgets_the_shapes_that_nothing_has() -> None:
    world = changed_world()
    for _again in range(3):
        world.run("reconcile")
    assert all("extra" in world.programs(name) for name in NAMES)
    assert "extra" not in world.programs(WINDOW)
    assert len(world.state["meta"][shape.SHAPES]) == 4  # the window's, and the rollout's way back
    world.run("restart", pending=True)
    assert "extra" in world.programs(WINDOW)


def test_the_way_back_has_the_programs_of_before() -> None:
    world = changed_world()
    orders = world.run("rollout_revert")
    orders.update(world.run("reconcile"))
    assert "extra" not in world.programs("scen2_srv_02")


def test_the_plan_names_the_shapes_that_are_kept_and_none_of_their_commands() -> None:
    site = small_site(items=1)
    plan = make_plan(site, small_state(), 1, {name.name: quiet_host(name.name) for name in site.hosts},
                     {"kind": "deploy", "who": "eve"}, NOW, "1", digests(site, "one"))  # fmt: skip
    services, windows = site.applications
    names = sorted(["%s of scen2_srv" % shape.shape_of(services), "%s of scen2_hci" % shape.shape_of(windows)])
    assert "  meta shapes: %s" % " and ".join(names) in plan_text.plan_lines(plan.to_json(), NOW)
    assert "idle" not in str(plan.changes["meta"])


def test_a_digest_without_a_shape_says_nothing() -> None:
    application = small_site(items=1).applications[0]
    assert shape.shape_in("3f2a") == "" and shape.shaped(application, "3f2a", {}) is application
    before, after = (digest_of(application, {"": ["text"], "reload": [word]}) for word in "ab")
    assert shape.shape_in(before) == shape.shape_of(application) and effect(application, before, after) == "reload"

