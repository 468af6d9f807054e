# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts about hosts: which signals make one suspect or down, what speaks against it, when nothing is concluded."""

from __future__ import annotations

import pytest

from monitor.core.model.words import DOWN, SUSPECT, UP
from monitor.judge.hosts import TOGETHER_SECONDS, Hosts, Line, Signal, Verdict

AFTER = 2.0
SILENT = Line(Signal.LOST, 10.0, "no bus on server_1 answers any more")
REFUSED = Line(Signal.GONE, 10.0, "no bus on server_1 answers any more")
ANSWERS = Line(Signal.FINE, 10.0)
SIX = ("server_1", "server_2", "server_3", "server_4", "console_1", "console_2")


class Site:
    """Hosts whose lines are fine, all of them holding something; their buses answered once."""

    def __init__(self, *names: str, lines: bool = True) -> None:
        self.names = names or SIX
        self.hosts = Hosts()
        self.hosts.follow(self.names)
        self.hosts.judge(dict.fromkeys(self.names, ANSWERS), [], [], AFTER, 0.0)
        for name in self.names if lines else ():
            self.hosts.line(name, Signal.FINE, "", 0.0)

    def lose(self, at: float, *names: str, signal: Signal = Signal.LOST) -> None:
        for name in names:
            self.hosts.line(name, signal, "%s is silent" % name, at)

    def judge(self, now: float, buses: dict[str, Line] | None = None, **more: list[str]) -> dict[str, Verdict]:
        holding = more.get("holding", list(self.names))
        return self.hosts.judge(buses or {}, holding, more.get("down", []), AFTER, now)

    def states(self, now: float, buses: dict[str, Line] | None = None, **more: list[str]) -> dict[str, str]:
        return {name: v.state for name, v in self.judge(now, buses, **more).items() if v.state != UP}


def test_all_is_well_while_lines_are_fine() -> None:
    assert Site().states(100.0) == {}


def test_a_question_that_was_not_answered_once_says_nothing_yet() -> None:
    site = Site()
    site.lose(10.0, "server_1", signal=Signal.DOUBT)
    assert site.states(20.0, {"server_1": SILENT}) == {}


def test_one_signal_makes_suspect_however_long_it_lasts() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    assert site.states(500.0) == {"server_1": SUSPECT}


def test_two_signals_make_down_once_one_of_them_has_lasted() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    assert site.states(10.0 + AFTER - 0.1, {"server_1": SILENT}) == {"server_1": SUSPECT}
    [verdict] = [v for v in site.judge(10.0 + AFTER, {"server_1": SILENT}).values() if v.state == DOWN]
    assert verdict.why == "server_1 is silent; no bus on server_1 answers any more"
    assert verdict.since == 10.0


def test_a_bus_that_was_lost_long_before_does_not_shorten_the_wait() -> None:
    site = Site()
    site.lose(99.0, "server_1", signal=Signal.DOUBT)
    site.lose(100.0, "server_1")
    old = {"server_1": Line(Signal.LOST, 10.0, "no bus on server_1 answers any more")}
    assert site.states(100.5, old) == {"server_1": SUSPECT}
    assert site.judge(101.0, old)["server_1"] == Verdict(
        "server_1", DOWN, "server_1 is silent; no bus on server_1 answers any more", 99.0, 2
    )


CUT = Line(Signal.LOST, 12.5, "no bus on server_1 answers any more", cut=True)


def test_a_machine_that_takes_no_connection_is_down_after_one_interval_and_the_wait_of_silence() -> None:
    """Its last answer is what counts, not when two questions and the buses were given up."""
    site = Site()
    site.hosts.line("server_1", Signal.FINE, "", 10.0)
    site.lose(12.0, "server_1", signal=Signal.DOUBT)
    assert site.states(13.5, {"server_1": CUT}) == {}, "one question without an answer is no signal"
    site.lose(12.9, "server_1")
    assert site.states(12.9, {"server_1": CUT}) == {"server_1": SUSPECT}
    assert site.hosts.next_time(AFTER, 12.95) == 10.0 + 1.0 + AFTER
    assert site.states(10.0 + 1.0 + AFTER, {"server_1": CUT}) == {"server_1": DOWN}


def test_a_busy_machine_takes_connections_and_is_given_the_whole_wait_after_the_second_signal() -> None:
    late = Line(Signal.LOST, 12.5, "no bus on server_1 answers any more")
    site = Site()
    site.hosts.line("server_1", Signal.FINE, "", 10.0)
    site.lose(12.0, "server_1", signal=Signal.DOUBT)
    site.lose(13.0, "server_1")
    assert site.states(12.5 + AFTER - 0.1, {"server_1": late}) == {"server_1": SUSPECT}
    assert site.states(12.5 + AFTER, {"server_1": late}) == {"server_1": DOWN}


def test_two_signals_are_needed_however_silent_one_of_them_is() -> None:
    site = Site()
    site.hosts.line("server_1", Signal.FINE, "", 10.0)
    site.lose(13.0, "server_1")
    assert site.states(500.0) == {"server_1": SUSPECT}
    assert Site().states(500.0, {"server_1": CUT}) == {}
    unheard = Site(lines=False)
    unheard.lose(13.0, "server_1")
    assert unheard.states(13.0 + AFTER / 2, {"server_1": CUT}) == {"server_1": SUSPECT}, "it never answered here"


def test_of_a_host_that_holds_nothing_one_signal_suffices() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    assert site.states(12.0, holding=["server_2"]) == {"server_1": DOWN}


def test_buses_that_answer_speak_against_a_lost_line() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    [verdict] = [v for v in site.judge(500.0, {"server_1": ANSWERS}).values() if v.state != UP]
    assert (verdict.state, verdict.why) == (SUSPECT, "server_1 is silent, but its buses answer")


def test_a_line_that_is_fine_speaks_for_the_host_whatever_its_buses_do() -> None:
    assert Site().states(500.0, {"server_1": SILENT}) == {}


def test_a_run_that_got_no_answer_is_the_second_signal() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    site.hosts.silent("server_1", "no answer on port 22", 11.0)
    assert site.states(12.0) == {"server_1": DOWN}


def test_a_run_that_looked_before_the_loss_does_not_count() -> None:
    for report in ("answered", "silent"):
        site = Site()
        if report == "answered":
            site.hosts.answered("server_1", 9.0)
        else:
            site.hosts.silent("server_1", "no answer on port 22", 9.0)
        site.lose(10.0, "server_1")
        assert site.states(500.0) == {"server_1": SUSPECT}, report
        assert site.states(500.0, {"server_1": SILENT}) == {"server_1": DOWN}, report


def test_a_second_run_without_an_answer_counts_although_the_first_one_was_before_the_loss() -> None:
    site = Site()
    site.hosts.silent("server_1", "no answer on port 22", 9.0)
    site.lose(10.0, "server_1")
    site.hosts.silent("server_1", "no answer on port 22", 11.0)
    assert site.states(13.0) == {"server_1": DOWN}


def test_a_run_that_got_there_after_the_loss_speaks_against_it() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    site.hosts.answered("server_1", 11.0)
    [verdict] = [v for v in site.judge(500.0, {"server_1": SILENT}).values() if v.state != UP]
    assert (verdict.state, "but a run reached it" in verdict.why) == (SUSPECT, True)


def test_a_line_that_comes_back_clears_everything() -> None:
    site = Site()
    site.lose(10.0, "server_1")
    assert site.states(20.0, {"server_1": SILENT}) == {"server_1": DOWN}
    site.hosts.line("server_1", Signal.FINE, "", 21.0)
    assert site.states(21.0, {"server_1": SILENT}) == {}


class TestWhereNoLineIsHeld:
    def test_a_host_of_which_nothing_is_known_is_up(self) -> None:
        assert Site(lines=False).states(500.0) == {}

    def test_silent_buses_make_suspect_and_a_run_without_an_answer_makes_down(self) -> None:
        site = Site(lines=False)
        assert site.states(500.0, {"server_1": SILENT}) == {"server_1": SUSPECT}
        site.hosts.silent("server_1", "no answer on port 22", 12.0)
        assert site.states(500.0, {"server_1": SILENT}) == {"server_1": DOWN}

    def test_a_run_that_gets_there_afterwards_shows_that_only_the_buses_are_silent(self) -> None:
        """Else a bus that hangs alone on its host would wait for ever for the host's verdict."""
        site = Site(lines=False)
        site.hosts.answered("server_1", 12.0)
        assert site.states(500.0, {"server_1": SILENT}) == {}

    def test_a_run_that_was_there_before_does_not(self) -> None:
        site = Site(lines=False)
        site.hosts.answered("server_1", 9.0)
        assert site.states(500.0, {"server_1": SILENT}) == {"server_1": SUSPECT}

    def test_a_machine_that_refuses_connections_is_there(self) -> None:
        site = Site(lines=False)
        assert site.states(500.0, {"server_1": REFUSED}, holding=[]) == {}


class TestAServiceManagerThatIsGone:
    def test_takes_its_buses_along_and_that_is_one_signal(self) -> None:
        site = Site()
        site.lose(10.0, "server_1", signal=Signal.GONE)
        verdict = site.judge(500.0, {"server_1": REFUSED})["server_1"]
        assert (verdict.state, verdict.there) == (SUSPECT, True)

    def test_with_a_run_without_an_answer_the_host_is_down(self) -> None:
        site = Site()
        site.lose(10.0, "server_1", signal=Signal.GONE)
        site.hosts.silent("server_1", "no route to server_1", 11.0)
        verdict = site.judge(500.0, {"server_1": REFUSED})["server_1"]
        assert (verdict.state, verdict.there) == (DOWN, False)


class TestStorm:
    def test_more_than_half_at_once_and_nothing_is_concluded(self) -> None:
        site = Site()
        site.lose(10.0, *SIX[:4])
        buses = dict.fromkeys(SIX[:4], SILENT)
        assert site.states(20.0, buses) == dict.fromkeys(SIX[:4], SUSPECT)
        assert site.hosts.storm.startswith("4 of 6 hosts for services fell silent together (server_1, server_2, ")

    def test_half_of_them_are_just_down(self) -> None:
        site = Site()
        site.lose(10.0, *SIX[:3])
        assert site.states(20.0, dict.fromkeys(SIX[:3], SILENT)) == dict.fromkeys(SIX[:3], DOWN)
        assert site.hosts.storm == ""

    def test_it_is_seen_before_the_first_of_them_can_be_believed_down(self) -> None:
        site = Site()
        site.lose(10.0, *SIX[:3])
        site.lose(11.5, *SIX[3:5], signal=Signal.DOUBT)
        assert site.states(12.0, dict.fromkeys(SIX[:3], SILENT)) == dict.fromkeys(SIX[:3], SUSPECT)

    def test_losses_far_apart_are_no_storm(self) -> None:
        site = Site()
        at = {name: 10.0 + number * (TOGETHER_SECONDS + 1) for number, name in enumerate(SIX[:4])}
        for name in at:
            site.lose(at[name], name)
        buses = {name: Line(Signal.LOST, at[name], "no bus answers") for name in at}
        assert site.states(100.0, buses) == dict.fromkeys(SIX[:4], DOWN)

    def test_it_ends_when_enough_of_them_are_back(self) -> None:
        site = Site()
        site.lose(10.0, *SIX[:4])
        buses = dict.fromkeys(SIX[:4], SILENT)
        site.judge(20.0, buses)
        assert site.hosts.storm
        site.hosts.line("server_1", Signal.FINE, "", 21.0)
        assert site.states(21.0, buses) == dict.fromkeys(SIX[1:4], SUSPECT), "the others are back a moment later"
        assert site.hosts.storm == ""
        assert site.hosts.next_time(AFTER, 21.0) == 21.0 + AFTER
        assert site.states(21.0 + AFTER, buses) == dict.fromkeys(SIX[1:4], DOWN)

    def test_hosts_that_a_person_confirmed_down_leave_it(self) -> None:
        site = Site()
        site.lose(10.0, *SIX[:4])
        buses = dict.fromkeys(SIX[:4], SILENT)
        assert set(site.states(20.0, buses, down=list(SIX[:4])).values()) == {DOWN}
        assert site.hosts.storm == ""

    def test_hosts_that_were_away_before_were_not_there_to_vanish(self) -> None:
        site = Site("server_1", "server_2", "server_3", "console_1")
        site.lose(10.0, "console_1")
        site.lose(100.0, "server_1", "server_2")
        site.judge(101.0)
        assert site.hosts.storm.startswith("2 of 3 hosts for services")

    def test_machines_that_answer_are_no_part_of_it(self) -> None:
        """Everything was switched on again, without service managers: only a run starts those."""
        site = Site()
        site.lose(10.0, *SIX, signal=Signal.GONE)
        site.judge(20.0, dict.fromkeys(SIX, REFUSED))
        assert site.hosts.storm == ""

    def test_a_host_that_only_a_run_reported_is_no_part_of_it(self) -> None:
        """In a storm no run would ever look at it again."""
        site = Site(lines=False)
        for name in SIX:
            site.hosts.silent(name, "no answer on port 22", 10.0)
        site.judge(20.0)
        assert site.hosts.storm == ""


def test_when_a_verdict_may_change_although_nothing_is_heard() -> None:
    site = Site()
    assert site.hosts.next_time(AFTER, 10.0) is None
    site.lose(10.0, "server_1")
    assert site.hosts.next_time(AFTER, 11.0) == 10.0 + AFTER
    assert site.hosts.next_time(AFTER, 12.0) is None


@pytest.mark.parametrize("report", ["line", "answered", "silent"])
def test_a_host_that_left_the_site_is_not_heard_any_more(report: str) -> None:
    site = Site("server_1", "server_2")
    site.hosts.follow(["server_2"])
    if report == "line":
        assert not site.hosts.line("server_1", Signal.LOST, "", 5.0)
    elif report == "answered":
        site.hosts.answered("server_1", 5.0)
    else:
        site.hosts.silent("server_1", "gone", 5.0)
    assert list(site.judge(20.0)) == ["server_2"]


def test_the_state_of_a_host_is_kept_when_others_join_and_leave() -> None:
    site = Site("server_1", "server_2")
    site.lose(10.0, "server_1")
    site.hosts.follow(["server_1", "server_3"])
    assert site.states(20.0, holding=["server_1"]) == {"server_1": SUSPECT}


def test_an_absence_is_from_when_a_host_fell_silent_until_it_answered_again() -> None:
    site = Site()
    assert site.hosts.absence("server_1") is None
    site.lose(10.0, "server_1", signal=Signal.DOUBT)
    assert site.hosts.absence("server_1") is None, "it is not back"
    site.hosts.line("server_1", Signal.FINE, "", 11.0)
    assert site.hosts.absence("server_1") == (10.0, 11.0), "one question was not answered"
    site.lose(20.0, "server_1", signal=Signal.DOUBT)
    site.lose(21.0, "server_1")
    assert site.hosts.absence("server_1") == (10.0, 11.0)
    site.hosts.line("server_1", Signal.FINE, "", 21.5)
    site.lose(30.0, "server_1", signal=Signal.DOUBT)
    assert site.hosts.absence("server_1") == (20.0, 21.5)
    assert site.hosts.absence("nosuch") is None
