# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regular look goes over the lines; a reconcile follows where it finds something, and now and then in any case."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.monitor.brain_alone import Scene
from tests.unit.monitor.watch_lists import entry


def regular(reconcile_interval: float = 900.0) -> Scene:
    scene = Scene(entry("scen2_srv_01"))
    watch = replace(scene.brain.watch, observe_interval=60.0, reconcile_interval=reconcile_interval)
    scene.do(scene.brain.take_watch(watch, 0.0))
    return scene


def until(scene: Scene, end: int) -> None:
    """Let time pass; no look and no reconcile finds anything to do."""
    for now in range(1, end):
        before = len(scene.looks)
        scene.turn(float(now))
        if scene.brain.reconciling and len(scene.looks) > before:
            scene.do(scene.brain.look_over({"plan": {}}, ""))
        elif scene.brain.reconciling:
            scene.reconcile_over({"plan": {}}, float(now))


def test_the_first_regular_look_is_a_reconcile_and_the_next_ones_go_over_the_lines() -> None:
    scene = regular()
    until(scene, 400)
    assert (len(scene.reconciles), len(scene.looks)) == (1, 5)


def test_a_look_over_the_lines_becomes_a_reconcile_again_after_its_interval() -> None:
    scene = regular(180.0)
    until(scene, 600)
    assert (len(scene.reconciles), len(scene.looks)) == (3, 6)


def test_what_a_look_finds_is_done_by_a_reconcile_at_once() -> None:
    scene = regular()
    until(scene, 119)
    scene.turn(120.5)
    assert len(scene.looks) == 1
    scene.do(scene.brain.look_over({}, "the regular look found: start scen2_srv_01"))
    scene.turn(120.6)
    assert [why for why, _unused in scene.reconciles][1:] == ["the regular look found: start scen2_srv_01"]
