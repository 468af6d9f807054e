# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where hosts need leases, what a silent host holds waits for its fence, which is lifted when it is used again."""

from __future__ import annotations

from monitor.core.model.words import DOWN, HOST_DOWN, UP
from monitor.judge.effects import Effect, Fence
from monitor.judge.fencing import Fencing
from monitor.judge.intents import Intents
from monitor.judge.watch_list import Watch
from monitor.judge.wishes import Wish
from tests.unit.monitor.brain_alone import NAMES
from tests.unit.monitor.watch_lists import entry

SAID = "server_1 is fenced, its lease ended at 12:03:07.4"
WISH = Wish("", 0, HOST_DOWN, "evacuate", "server_1 is silent", host="server_1")


def watch(state: str = UP, leases: bool = True, holds: bool = True) -> Watch:
    instances = {"scen2_srv_01": entry("scen2_srv_01")} if holds else {}
    return Watch(revision=1, instances=instances, hosts={**dict.fromkeys(NAMES, UP), "server_1": state}, leases=leases)


def fences(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(effect.host, effect.what) for effect in effects if isinstance(effect, Fence)]


def begun() -> Fencing:
    fencing = Fencing()
    assert set(fences(fencing.sift([], watch(), Intents("t"))[1])) == {(name, "lift") for name in NAMES}
    return fencing


def test_without_leases_nothing_waits() -> None:
    assert Fencing().sift([WISH], watch(leases=False), Intents("t")) == ([WISH], [])


def test_an_evacuation_waits_for_its_fence_and_then_says_so() -> None:
    fencing, intents = begun(), Intents("t")
    kept, effects = fencing.sift([WISH], watch(), intents)
    assert (kept, fences(effects)) == ([], [("server_1", "fence")])
    assert fencing.sift([WISH], watch(), intents) == ([], [])
    fencing.told("server_1", SAID)
    (wish,) = fencing.sift([WISH], watch(), intents)[0]
    assert wish.why == "server_1 is silent; " + SAID
    fencing.told("server_1", "")  # the witnesses are silent: it is no longer known
    assert fencing.sift([WISH], watch(), intents) == ([], [])


def test_other_wishes_and_hosts_that_hold_nothing_do_not_wait() -> None:
    fencing = begun()
    crash = Wish("scen2_srv_01", 1, "bus_crash", "restart", "it crashed")
    assert fencing.sift([crash], watch(), Intents("t")) == ([crash], [])
    assert fencing.sift([WISH], watch(holds=False), Intents("t")) == ([WISH], [])


def test_a_host_that_answers_before_it_is_down_is_answered_again() -> None:
    fencing = begun()
    fencing.sift([WISH], watch(), Intents("t"))
    assert fences(fencing.sift([], watch(), Intents("t"))[1]) == [("server_1", "lift")]
    assert fencing.sift([], watch(), Intents("t")) == ([], [])


def test_not_while_a_run_may_still_move_what_it_holds() -> None:
    fencing, intents = begun(), Intents("t")
    fencing.sift([WISH], watch(), intents)
    fencing.told("server_1", SAID)
    offered = intents.offer(fencing.sift([WISH], watch(), intents)[0], 0.0)
    intents.taken(offered, "run 1")
    assert fencing.sift([], watch(), intents) == ([], [])


def test_a_host_that_is_down_stays_fenced_until_it_is_used_again() -> None:
    fencing = begun()
    fencing.sift([WISH], watch(), Intents("t"))
    assert fences(fencing.sift([], watch(DOWN), Intents("t"))[1]) == [("server_1", "rest")]
    assert fencing.sift([], watch(DOWN), Intents("t")) == ([], [])
    assert fences(fencing.sift([], watch(UP), Intents("t"))[1]) == [("server_1", "lift")]


def test_a_monitor_that_starts_lifts_what_an_earlier_one_left() -> None:
    fencing = Fencing()
    assert fencing.sift([], Watch(leases=True), Intents("t")) == ([], [])
    assert ("server_1", "lift") not in fences(fencing.sift([], watch(DOWN), Intents("t"))[1])
    assert fences(fencing.sift([], watch(UP), Intents("t"))[1]) == [("server_1", "lift")]
