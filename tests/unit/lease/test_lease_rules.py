# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What witnesses answer, what a lease is worth, what the guard does, and when a fence stands."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.host.lease.holder import HELD, NONE, STOPPING, Holder, Keeper, Step
from monitor.core.host.lease.terms import ENDING, SPARE, Terms, fence_size, majority, newest
from monitor.core.host.lease.witness import Witness
from monitor.watch.fence import Fence, Talk

TERMS = Terms(2.0, 0.5, 0.0)


def test_a_majority_and_a_fence_always_share_a_witness() -> None:
    for count in range(1, 12):
        assert majority(count) + fence_size(count) == count + 1
    assert (newest([3.0, 1.0, 2.0], 2), newest([1.0], 2)) == (2.0, None)


def ask(number: int, birth: int = 9, length: float = 2.0) -> dict[str, Any]:
    return {"k": "ask", "n": number, "b": birth, "w": length}


def kind(answer: Any) -> Any:
    return answer and answer["k"]


class TestWitness:
    def test_it_is_silent_after_its_birth_and_says_who_it_is(self) -> None:
        witness = Witness(TERMS, 100.0, 9)
        assert kind(witness.handle("x", ask(1, birth=0), False, 100.1)) == "born"
        assert witness.handle("x", ask(1), False, 101.9) is None
        assert kind(witness.handle("x", ask(2), False, 102.1)) == "yes"

    def test_a_longer_lease_that_hosts_had_before_makes_the_silence_longer(self) -> None:
        witness = Witness(TERMS, 100.0, 9, longest=10.0)
        assert witness.handle("x", ask(1), False, 109.0) is None
        assert kind(witness.handle("x", ask(2), False, 110.1)) == "yes"

    def test_what_was_said_before_counts_once(self) -> None:
        witness = Witness(TERMS, 0.0, 9)
        assert kind(witness.handle("x", ask(5), False, 10.0)) == "yes"
        for number in (5, 4):
            assert witness.handle("x", ask(number), False, 10.1) is None
        assert witness.counts["replayed"] == 2
        assert kind(witness.handle("y", ask(4), False, 10.1)) == "yes"

    @pytest.mark.parametrize("length", [0.0, 2.1, 1e5])
    def test_a_lease_of_another_length_than_it_knows_is_not_answered(self, length: float) -> None:
        assert Witness(TERMS, 0.0, 9).handle("x", ask(1, length=length), False, 10.0) is None

    def test_a_fence_tells_how_long_its_last_answer_counts(self) -> None:
        witness = Witness(TERMS, 0.0, 9)
        witness.handle("x", ask(1), False, 10.0)
        fence = {"k": "fence", "n": 1, "b": 9, "h": "x", "f": 3}
        answer = witness.handle("m", fence, True, 10.5)
        assert answer == {"k": "fenced", "n": 1, "b": 9, "h": "x", "f": 3, "rest": pytest.approx(1.5, abs=0.002)}
        assert kind(witness.handle("x", ask(2), False, 10.6)) == "no"
        assert witness.fenced() == {"x": 3}

    def test_its_silence_counts_as_an_answer_that_it_gave(self) -> None:
        answer = Witness(TERMS, 10.0, 9).handle("m", {"k": "fence", "n": 1, "b": 9, "h": "x", "f": 3}, True, 10.5)
        assert answer is not None and answer["rest"] == pytest.approx(1.5, abs=0.002)

    def test_a_fence_is_lifted_by_its_number_or_a_higher_one(self) -> None:
        witness = Witness(TERMS, 0.0, 9)
        for number, what, fence, then in ((1, "fence", 5, "no"), (2, "lift", 4, "no"), (3, "lift", 5, "yes")):
            witness.handle("m", {"k": what, "n": number, "b": 9, "h": "x", "f": fence}, True, 10.0)
            assert kind(witness.handle("x", ask(number), False, 10.0 + number)) == then

    def test_only_the_monitor_fences(self) -> None:
        witness = Witness(TERMS, 0.0, 9)
        assert witness.handle("y", {"k": "fence", "n": 1, "b": 9, "h": "x", "f": 3}, False, 10.0) is None
        assert witness.handle("m", ask(1), True, 10.0) is None
        assert witness.fenced() == {}


class TestHolder:
    def answered(self, holder: Holder, witness: str, number: int, now: float, birth: int = 1) -> None:
        holder.heard(witness, {"k": "yes", "n": number, "b": birth}, now)

    def test_a_lease_counts_from_the_question_that_a_majority_answered(self) -> None:
        holder = Holder(TERMS, ["a", "b", "c"], 0)
        holder.questions(10.0)
        assert holder.until() is None
        self.answered(holder, "a", 1, 11.5)
        assert holder.until() is None
        self.answered(holder, "b", 1, 11.8)
        assert holder.until() == 12.0
        holder.questions(10.5)
        self.answered(holder, "a", 2, 11.9)
        assert holder.until() == 12.0
        self.answered(holder, "c", 2, 11.9)
        assert holder.until() == 12.5

    def test_answers_to_nothing_and_of_strangers_are_worth_nothing(self) -> None:
        holder = Holder(TERMS, ["a"], 0)
        holder.questions(10.0)
        self.answered(holder, "a", 7, 10.1)
        self.answered(holder, "z", 1, 10.1)
        assert holder.until() is None

    def test_other_witnesses_must_answer_for_themselves(self) -> None:
        holder = Holder(TERMS, ["a", "b", "c"], 0)
        holder.questions(10.0)
        self.answered(holder, "a", 1, 10.1)
        self.answered(holder, "b", 1, 10.1)
        holder.follow(["a", "b", "d"])
        assert holder.until() is None

    def test_a_witness_that_says_who_it_is_is_asked_again_at_once(self) -> None:
        holder = Holder(TERMS, ["a"], 0)
        assert holder.questions(10.0) == [("a", {"k": "ask", "n": 1, "b": 0, "w": 2.0})]
        assert holder.heard("a", {"k": "born", "n": 1, "b": 4}, 10.1) == {"k": "ask", "n": 1, "b": 4, "w": 2.0}
        assert holder.heard("a", {"k": "born", "n": 1, "b": 4}, 10.1) is None


class TestKeeper:
    def test_it_arms_before_it_allows_and_stops_before_the_end(self) -> None:
        keeper = Keeper(TERMS, 0.0)
        assert keeper.step(1.0, None, False) == Step()
        assert keeper.step(1.0, 3.0, False) == Step(arm=3.0, allow=2.5)
        assert keeper.step(1.5, 3.5, True) == Step(arm=3.5, allow=3.0)
        assert keeper.step(2.9, 3.5, True) == Step()
        assert keeper.step(3.0, 3.5, True) == Step(allow=0.0, stop=True)
        assert (keeper.state, keeper.step(3.1, 3.5, True)) == (STOPPING, Step(stop=True))
        assert (keeper.step(3.2, 3.5, False), keeper.state) == (Step(arm=0.0), NONE)

    def test_answers_while_it_stops_give_time_but_do_not_end_the_stop(self) -> None:
        keeper = Keeper(TERMS, 0.0)
        keeper.step(1.0, 3.0, False)
        keeper.step(2.5, 3.0, True)
        assert keeper.step(2.6, 4.6, True) == Step(arm=4.6, stop=True)
        assert keeper.step(2.7, 4.6, False) == Step(arm=0.0)
        assert keeper.step(2.7, 4.6, False) == Step(arm=4.6, allow=4.1)
        assert (keeper.state, keeper.sessions) == (HELD, 2)

    def test_a_lease_that_is_nearly_over_is_none(self) -> None:
        assert Keeper(TERMS, 0.0).step(2.6, 3.0, False) == Step()

    def test_where_leases_are_switched_on_what_runs_has_longer_but_not_behind_a_fence(self) -> None:
        keeper = Keeper(TERMS, 10.0, 30.0)
        assert not keeper.step(39.9, None, True).stop and keeper.step(40.1, None, True).stop
        refused = Keeper(TERMS, 10.0, 30.0)
        refused.refused = True
        assert refused.step(10.1, None, True).stop, "it may run elsewhere"
        once = Keeper(TERMS, 10.0, 30.0)
        once.step(11.0, 12.9, True)
        assert once.state == HELD
        once.step(12.5, None, True)
        once.step(12.95, None, False)
        assert once.step(13.0, None, True).stop, "only until the first lease"
        once.wait(50.0)
        assert not once.step(13.1, None, True).stop, "switched off and on again"

    def test_what_ran_before_there_were_leases_has_time_to_get_one(self) -> None:
        keeper = Keeper(TERMS, 10.0)
        assert keeper.step(11.0, None, True) == Step()
        assert keeper.step(11.5, 13.0, True) == Step(arm=13.0, allow=12.5)
        late = Keeper(TERMS, 10.0)
        assert late.step(12.1, None, True) == Step(stop=True)


class TestFence:
    def fenced(self, fence: Fence, witness: str, now: float, rest: float, asked: float, birth: int = 1) -> None:
        fence.told(witness, {"k": "fenced", "h": "x", "f": 1, "b": birth, "rest": rest}, now, asked)

    def test_the_longest_of_enough_witnesses_counts(self) -> None:
        fence = Fence("x", 1, [["a", "b", "c"]], TERMS)
        self.fenced(fence, "a", 10.0, 0.5, 9.9)
        assert fence.free_at(10.0) is None
        self.fenced(fence, "b", 10.0, 1.0, 9.9)
        assert fence.free_at(10.0) == pytest.approx(11.0 + ENDING + SPARE)
        self.fenced(fence, "c", 10.0, 0.1, 9.9)
        assert fence.free_at(10.0) == pytest.approx(10.5 + ENDING + SPARE)
        assert not fence.free(10.5) and fence.free(10.9)

    def test_a_refusal_counts_for_the_length_of_a_lease(self) -> None:
        fence = Fence("x", 1, [["a"]], TERMS)
        self.fenced(fence, "a", 10.0, 0.0, 9.0)
        assert fence.free(10.9) and not fence.free(11.1)
        assert fence.stands_until(10.9) == pytest.approx(11.0)
        self.fenced(fence, "a", 11.2, 0.0, 11.1)
        assert fence.free(12.0)

    def test_a_witness_that_was_born_again_refuses_anew(self) -> None:
        fence = Fence("x", 1, [["a"]], TERMS)
        self.fenced(fence, "a", 10.0, 0.0, 9.9)
        self.fenced(fence, "a", 10.6, 2.0, 10.5, birth=2)
        assert not fence.free(10.6)

    def test_every_set_that_the_host_may_ask_counts(self) -> None:
        fence = Fence("x", 1, [["a", "b", "c"], ["c", "d", "e"]], TERMS)
        for name in ("a", "b", "c"):
            self.fenced(fence, name, 10.0, 0.0, 9.9)
        assert fence.free_at(10.0) is None
        self.fenced(fence, "d", 10.0, 0.0, 9.9)
        assert fence.free(10.5)

    def test_of_another_host_fence_or_kind_nothing_counts(self) -> None:
        fence = Fence("x", 1, [["a"]], TERMS)
        for other in ({"h": "y"}, {"f": 2}, {"k": "lifted"}):
            fence.told("a", {"k": "fenced", "h": "x", "f": 1, "b": 1, "rest": 0.0, **other}, 10.0, 9.9)
        assert fence.free_at(10.0) is None
        lift = Fence("x", 1, [["a"]], TERMS, lift=True)
        lift.told("a", {"k": "lifted", "h": "x", "f": 1, "b": 1}, 10.0, 9.9)
        assert not lift.missing() and not lift.free(11.0)

    def test_they_are_asked_often_until_it_stands_and_then_now_and_then(self) -> None:
        fence, talk = Fence("x", 1, [["a"]], TERMS), Talk(100)
        assert [body["n"] for _name, body in talk.due(fence, 10.0)] == [101]
        assert talk.due(fence, 10.05) == []
        assert len(talk.due(fence, 10.11)) == 1
        assert talk.heard("a", {"k": "fenced", "h": "x", "f": 1, "n": 102, "b": 1, "rest": 0.0}, fence, 10.2)
        assert len(talk.due(fence, 10.2)) == 1  # something new was heard
        assert talk.due(fence, 10.6) == []
        assert len(talk.due(fence, 10.7)) == 1

    def test_an_answer_to_a_question_that_was_never_sent_is_dropped(self) -> None:
        fence, talk = Fence("x", 1, [["a"]], TERMS), Talk(100)
        assert not talk.heard("a", {"k": "fenced", "h": "x", "f": 1, "n": 50, "b": 1, "rest": 0.0}, fence, 10.2)
        assert talk.heard("a", {"k": "born", "n": 50, "b": 7}, None, 10.2)
        assert [body["b"] for _name, body in talk.due(fence, 11.0)] == [7]
