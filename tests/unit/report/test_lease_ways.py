# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a trial of the ways of leases: what keeps a deploy from going on, and what is only told."""

from __future__ import annotations

from typing import Any

from monitor.core.report.lease_ways import Found, judge, refusal

WITNESSES = [("one", "10.0.0.1", 26990), ("two", "10.0.0.2", 26990), ("three", "10.0.0.3", 26990)]
LISTENING = {name: {"port": "listens"} for name, _address, _port in WITNESSES}
OPEN = {"port": "free", "silent": []}


def found(
    asked: dict[str, Any], listening: dict[str, Any] | None = None, unheard: tuple[str, ...] = (), leased: bool = False
) -> Found:
    return judge(WITNESSES, LISTENING if listening is None else listening, asked, unheard, leased)


def test_open_ways_are_proven_and_nothing_is_said() -> None:
    assert found({"one": OPEN, "four": OPEN}) == Found((), (), ("one", "four"))


def test_a_closed_way_names_both_ends_and_what_to_open() -> None:
    one = found({"one": OPEN, "four": {"port": "free", "silent": ["two"]}})
    assert one.problems == (
        "four gets no answer from the witness two: let UDP pass between port 26990 of each host and port 26990 of"
        " 10.0.0.2, both ways",
    )
    assert one.proven == ("one",)
    for words in ("nothing was changed", "exclusion: none", one.problems[0]):
        assert words in refusal(one)


def test_each_witness_that_somebody_misses_has_one_line() -> None:
    silent = {"port": "free", "silent": ["one", "three"]}
    said = found({"four": silent, "five": silent}).problems
    assert len(said) == 2 and all(line.startswith("each of the 2 hosts gets no answer") for line in said)
    many = {"h%d" % at: silent for at in range(30)}
    assert "and 11 more get no answer" in found({**many, "one": OPEN}).problems[0]


def test_a_controller_that_is_not_heard_is_a_problem_until_the_site_has_leases() -> None:
    [said] = found({"one": OPEN}, unheard=("two",)).problems
    assert said.startswith("the controller gets no answer from the witness two")
    later = found({"one": OPEN}, unheard=("two",), leased=True)
    assert not later.problems and later.hints
    assert found({"one": OPEN}, unheard=("one", "two"), leased=True).problems, "no host could be fenced"


def test_a_host_with_a_lease_goes_on_without_one_witness_and_not_without_two() -> None:
    few = found({"four": {"port": "ours", "known": ["one"], "silent": ["two"]}})
    assert not few.problems and "four gets no answer from the witness two" in few.hints[0] and not few.proven
    assert found({"four": {"port": "ours", "known": ["one"], "silent": ["two", "three"]}}).problems


def test_a_port_that_somebody_else_has_is_a_problem() -> None:
    taken = {"port": "taken", "why": "UDP port 26990 at 10.0.0.4 cannot be used (Address already in use)"}
    said = found({"four": taken}).problems
    assert said[0].startswith("four: UDP port 26990") and "lease_port" in said[0]
    assert found({"four": OPEN}, {**LISTENING, "one": taken}).problems[0].startswith("one: UDP port 26990")


def test_a_witness_that_was_not_reached_leaves_ways_untried() -> None:
    partly = {name: LISTENING[name] for name in ("one", "three")}
    found_ = found({"four": OPEN}, partly)
    assert not found_.problems and not found_.proven
    assert found_.hints == ("the ways to two were not tried, as nothing can listen there now",)
