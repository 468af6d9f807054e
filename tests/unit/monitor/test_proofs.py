# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ended is restarted once its host has answered after that; without an answer the verdict on the host decides."""

from __future__ import annotations

import pytest

from monitor.core.model.words import BUS_CRASH, BUS_HANG
from monitor.judge.effects import Effect, Question, Wake
from monitor.judge.hosts import Hosts, Signal
from monitor.judge.proofs import LONGEST_SECONDS, TOGETHER_SECONDS, Proofs
from monitor.judge.wishes import Wish
from tests.unit.monitor.watch_lists import entry, watch

WATCH = watch(entry("scen2_srv_01", host="server_1"), entry("scen2_srv_02", host="server_1"))


def wish(name: str, cause: str = BUS_CRASH) -> Wish:
    return Wish(name, 1, cause, "restart", "its bus ended")


def hosts(heard: float | None = 9.5) -> Hosts:
    found = Hosts()
    found.follow(["server_1"])
    if heard is not None:
        found.line("server_1", Signal.FINE, "", heard)
    return found


def test_a_crash_waits_for_one_answer_of_its_host_which_is_asked_once() -> None:
    proofs, line = Proofs(), hosts()
    both = [wish("scen2_srv_01"), wish("scen2_srv_02")]
    assert proofs.sift(both, WATCH, line, 10.0) == ([], [Question("server_1")])
    assert proofs.sift(both, WATCH, line, 10.1) == ([], [])
    line.line("server_1", Signal.FINE, "", 10.2)
    assert proofs.heard("server_1") == [Wake()]
    assert proofs.sift(both, WATCH, line, 10.2) == (both, [])
    assert proofs.due is None
    assert proofs.sift(both, WATCH, line, 99.0) == (both, []), "one answer is enough for this crash"
    assert proofs.heard("server_1") == list[Effect]()


def test_the_next_crash_needs_an_answer_of_its_own() -> None:
    proofs, line = Proofs(), hosts()
    proofs.sift([wish("scen2_srv_01")], WATCH, line, 10.0)
    line.line("server_1", Signal.FINE, "", 10.2)
    proofs.sift([wish("scen2_srv_01")], WATCH, line, 10.2)
    ready, asked = proofs.sift([wish("scen2_srv_01"), wish("scen2_srv_02")], WATCH, line, 11.0)
    assert (ready, asked) == ([wish("scen2_srv_01")], [Question("server_1")])


def test_a_host_in_doubt_is_waited_for_and_one_whose_line_is_lost_is_left_to_its_verdict() -> None:
    proofs, line = Proofs(), hosts()
    line.line("server_1", Signal.DOUBT, "slow", 10.5)
    assert proofs.sift([wish("scen2_srv_01")], WATCH, line, 11.0)[0] == []
    line.line("server_1", Signal.LOST, "silent", 12.0)
    assert proofs.sift([wish("scen2_srv_01")], WATCH, line, 12.0)[0] == [wish("scen2_srv_01")]


@pytest.mark.parametrize("signal", [Signal.NONE, Signal.REFUSED])
def test_where_no_line_is_held_nothing_waits(signal: Signal) -> None:
    line = hosts(None)
    line.line("server_1", signal, "", 9.0)
    assert Proofs().sift([wish("scen2_srv_01")], WATCH, line, 10.0) == ([wish("scen2_srv_01")], [])


def test_a_bus_that_hangs_needs_no_proof() -> None:
    hangs = [wish("scen2_srv_01", BUS_HANG)]
    assert Proofs().sift(hangs, WATCH, hosts(), 10.0) == (hangs, [])


def test_crashes_at_about_the_same_time_go_together_and_one_alone_waits_for_no_other() -> None:
    proofs, line = Proofs(), hosts(99.0)
    both = [wish("scen2_srv_01"), wish("scen2_srv_02")]
    assert proofs.sift(both, WATCH, line, 10.0) == ([], [])
    assert proofs.due == 10.0 + TOGETHER_SECONDS
    assert proofs.sift(both, WATCH, line, proofs.due) == (both, [])
    alone = Proofs()
    assert alone.sift(both[:1], WATCH, line, 10.0) == (both[:1], [])
    assert alone.sift(both, WATCH, line, 10.001) == (both, []), "the other is the only one that could wait"


def test_nobody_waits_long_for_crashes_that_keep_coming() -> None:
    proofs, line = Proofs(), hosts(99.0)
    names = ["scen2_srv_%02d" % number for number in range(30)]
    many = watch(*(entry(name, host="server_1") for name in names))
    for number in range(2, 30):
        now = 10.0 + 0.01 * number
        ready, _asked = proofs.sift([wish(name) for name in names[:number]], many, line, now)
        if ready:
            break
    assert now <= 10.02 + LONGEST_SECONDS + 0.01
