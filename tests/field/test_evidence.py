# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as evidence about a host: who makes a hold, what a second signal is, what a refusal of ssh means.

Sources: Netflix/eureka#1073, kubernetes/kubernetes#128528 (many clients end on purpose, and nothing is done any more);
kubernetes-sigs/kubespray PR#1883 (runs reach the hosts through a bastion, other connections do not);
ClusterLabs/crmsh PR#1024 (a node that is taken for dead by one path only); ansible/ansible#86325 (sshd bans an address
that tries a refused key again and again).
"""

from __future__ import annotations

import pytest

from monitor.core.model.words import DOWN, SUSPECT, UP
from monitor.core.report import attention, watch_list
from monitor.judge.brain import Brain
from monitor.judge.health import Kind, Result
from monitor.judge.hosts import Hosts, Line, Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from monitor.judge.watch_list import parse
from monitor.watch import lines_ssh
from tests.small_site import small_site
from tests.unit.monitor.brain_alone import NAMES, Scene
from tests.unit.monitor.watch_lists import entry, health

AFTER = 2.0
SERVERS = ["s1", "s2", "s3"]
CONSOLES = ["c%d" % number for number in range(1, 7)]
T = 1000.0
CLOSED = Line(Signal.LOST, T, "no bus on s1 answers any more", cut=True)
REFUSED = "no line held: Connection closed by 192.0.2.11 port 22"
NOTHING_LISTENS = "no line to s1: ssh: connect to host s1 port 22: Connection refused"


def site(*names: str, lines: bool = True) -> Hosts:
    hosts = Hosts()
    hosts.follow(names)
    for name in names if lines else ():
        hosts.line(name, Signal.FINE, "", T - 500)
    return hosts


def answer(names: list[str], since: float = T) -> dict[str, Line]:
    return {name: Line(Signal.FINE, since) for name in names}


class TestAHold:
    """Netflix/eureka#1073, kubernetes/kubernetes#128528."""

    @pytest.mark.parametrize("later", [1.0, 60.0, 3600.0, 8 * 3600.0])
    def test_is_not_made_by_consoles_that_are_switched_off(self, later: float) -> None:
        hosts = site(*SERVERS, *CONSOLES)
        for number, name in enumerate(CONSOLES):
            hosts.line(name, Signal.LOST, "no line to %s" % name, T + 0.1 * number)
        found = hosts.judge(answer(SERVERS), SERVERS, [], AFTER, T + later, serving=SERVERS)
        assert hosts.storm == ""
        assert [found[name].state for name in SERVERS] == [UP] * 3
        if later > 2 * AFTER:
            assert {found[name].state for name in CONSOLES} == {DOWN}, "each of them is judged on its own"

    def test_is_made_by_servers_and_ends_when_half_of_them_answer(self) -> None:
        hosts = site(*SERVERS, "s4", *CONSOLES[:1])
        four = [*SERVERS, "s4"]
        for name in SERVERS:
            hosts.line(name, Signal.LOST, "no line to %s" % name, T)
        silent = {name: Line(Signal.LOST, T, "no bus answers", cut=True) for name in SERVERS}
        found = hosts.judge(silent, four, [], AFTER, T + 10, serving=four)
        assert hosts.storm.startswith("3 of 4 hosts for services fell silent together (s1, s2, s3)")
        assert (found["s1"].state, found["s1"].answers, found["s4"].answers) == (SUSPECT, False, True)
        hosts.judge({**silent, "s1": Line(Signal.FINE, T + 11)}, four, [], AFTER, T + 11, serving=four)
        assert hosts.storm == "", "its buses answer, although its line does not"

    def test_is_not_made_where_more_hosts_answer_than_servers_are_silent(self) -> None:
        hosts = site(*SERVERS, *CONSOLES[:2])
        for name in SERVERS[:2]:
            hosts.line(name, Signal.LOST, "no line to %s" % name, T)
        hosts.judge({}, SERVERS, [], AFTER, T + 1, serving=SERVERS)
        assert hosts.storm == ""

    def test_is_made_when_no_server_answers_however_many_consoles_do(self) -> None:
        hosts = site(*SERVERS, *CONSOLES)
        for name in SERVERS:
            hosts.line(name, Signal.LOST, "no line to %s" % name, T)
        hosts.judge({}, SERVERS, [], AFTER, T + 1, serving=SERVERS)
        assert hosts.storm.startswith("3 of 3 hosts for services")

    def test_ends_when_a_run_reached_the_hosts(self) -> None:
        hosts = site(*SERVERS)
        for name in SERVERS:
            hosts.line(name, Signal.LOST, "no line to %s" % name, T)
        hosts.judge({}, SERVERS, [], AFTER, T + 1, serving=SERVERS)
        assert hosts.storm
        for name in SERVERS:
            hosts.answered(name, T + 2)
        hosts.judge({}, SERVERS, [], AFTER, T + 3600, serving=SERVERS)
        assert hosts.storm == ""

    def test_serves_the_hosts_that_answer(self) -> None:
        scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02", host="console_2"))
        scene.lose(10.0, *NAMES[:4])
        scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 10.0)
        scene.buses["scen2_srv_02", 1] = health(Kind.GONE, 10.0)
        scene.turn(10.0)
        assert scene.brain.hosts.storm
        assert [intent["instance"] for intent in scene.intents] == ["scen2_srv_02"]
        assert scene.reconciles == []


class TestASignalThatWasNeverFine:
    """ClusterLabs/crmsh PR#1024."""

    @pytest.mark.parametrize("later", [0.0, 2.0, 3.0, 600.0])
    def test_closed_ports_are_no_second_signal(self, later: float) -> None:
        hosts = site(*SERVERS)
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        found = hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + later)
        assert (found["s1"].state, found["s1"].lost) == (SUSPECT, 1)

    def test_closed_ports_and_a_line_that_never_came_up_prove_nothing(self) -> None:
        hosts = site(*SERVERS, lines=False)
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 600)["s1"].state == SUSPECT

    def test_a_host_that_was_dead_before_the_monitor_began_is_down_when_a_run_does_not_reach_it(self) -> None:
        hosts = site(*SERVERS, lines=False)
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        hosts.silent("s1", "no answer on port 22", T + 1)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 5)["s1"].state == DOWN

    def test_buses_that_answered_once_count(self) -> None:
        hosts = site(*SERVERS)
        hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T - 1)
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + AFTER)["s1"].state == DOWN

    def test_what_was_heard_before_the_host_was_configured_again_does_not_count(self) -> None:
        hosts = site(*SERVERS)
        hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T - 1)
        hosts.configured("s1")
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 600)["s1"].state == SUSPECT

    def test_a_line_that_never_came_up_does_not_make_a_host_suspect_whose_buses_answer(self) -> None:
        """kubernetes-sigs/kubespray PR#1883."""
        hosts = site(*SERVERS, lines=False)
        hosts.line("s1", Signal.LOST, "no line to s1", T)
        assert hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T + 600)["s1"].state == UP


class TestARefusalBySshd:
    """ClusterLabs/crmsh PR#1024, kubernetes-sigs/kubespray PR#1883."""

    def test_is_no_lost_signal_while_buses_answer(self) -> None:
        hosts = site(*SERVERS)
        hosts.line("s1", Signal.REFUSED, REFUSED, T)
        assert hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T + 600)["s1"].state == UP

    def test_with_closed_ports_and_a_run_that_is_refused_too_does_not_make_the_host_down(self) -> None:
        hosts = site(*SERVERS)
        hosts.line("s1", Signal.REFUSED, REFUSED, T)
        hosts.silent("s1", "Connection refused", T + 2.5)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 600)["s1"].state == SUSPECT

    def test_of_the_port_of_ssh_by_line_and_run_is_one_signal(self) -> None:
        hosts = site(*SERVERS)
        hosts.line("s1", Signal.LOST, NOTHING_LISTENS, T)
        hosts.silent("s1", "Connection refused", T + 2.5)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 600)["s1"].state == SUSPECT

    def test_of_the_port_of_ssh_and_buses_that_died_are_two_signals(self) -> None:
        hosts = site(*SERVERS)
        hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T - 1)
        hosts.line("s1", Signal.LOST, NOTHING_LISTENS, T)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 5)["s1"].state == DOWN

    def test_leaves_a_crashed_bus_to_a_run_at_once(self) -> None:
        hosts = site(*SERVERS)
        hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T - 1)
        hosts.line("s1", Signal.REFUSED, "no line held: s1 refuses the monitor's key", T - 100)
        gone = {"s1": Line(Signal.GONE, T, "no bus on s1 answers any more")}
        verdict = hosts.judge(gone, SERVERS, [], AFTER, T)["s1"]
        assert (verdict.state, verdict.there) == (SUSPECT, True)

    def test_does_not_keep_a_host_whose_buses_died_and_that_no_run_reaches(self) -> None:
        hosts = site(*SERVERS)
        hosts.judge(answer(["s1"]), SERVERS, [], AFTER, T - 1)
        hosts.line("s1", Signal.REFUSED, REFUSED, T)
        hosts.silent("s1", "Connection refused", T + 1)
        assert hosts.judge({"s1": CLOSED}, SERVERS, [], AFTER, T + 5)["s1"].state == DOWN

    @pytest.mark.parametrize(
        ("words", "signal", "why"),
        [
            ("eve@s1: Permission denied (publickey).", Signal.REFUSED,
             "no line held: s1 refuses the monitor's key: eve@s1: Permission denied (publickey)."),
            ("Host key verification failed.", Signal.REFUSED, "no line held: Host key verification failed."),
            ("ssh: connect to host s1 port 22: Connection refused", Signal.LOST, NOTHING_LISTENS),
            ("Connection closed by 192.0.2.11 port 22", Signal.REFUSED,
             "no line held: Connection closed by 192.0.2.11 port 22"),
            ("ssh: Could not resolve hostname gate: Name or service not known", Signal.NONE,
             "no line held: ssh: Could not resolve hostname gate: Name or service not known"),
            ("eve@gate: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", Signal.NONE,
             "no line held: the way to s1 refuses the monitor's key: Connection closed by UNKNOWN port 65535"),
            ("channel 0: open failed: connect failed: No route to host\nConnection closed by UNKNOWN port 65535",
             Signal.LOST, "no line to s1: Connection closed by UNKNOWN port 65535"),
            ("ssh: connect to host s1 port 22: Connection timed out", Signal.LOST,
             "no line to s1: ssh: connect to host s1 port 22: Connection timed out"),
        ],
    )  # fmt: skip
    def test_is_told_from_silence_by_the_words_of_ssh(self, words: str, signal: Signal, why: str) -> None:
        assert lines_ssh.meaning("s1", words, words.splitlines()[-1]) == (signal, why)

    def test_is_shown_in_status(self) -> None:
        shown = attention.notes({"hosts": {"s1": {"line": "refused", "no_line": REFUSED}, "s2": {"line": "fine"}}})
        assert shown == ["s1: " + REFUSED]


def test_a_refused_key_is_tried_at_growing_distances() -> None:
    """ansible/ansible#86325."""
    waits = [lines_ssh.again(Signal.REFUSED, 0, refused) for refused in range(1, 9)]
    assert waits == [1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 300.0, 300.0]
    assert lines_ssh.again(Signal.REFUSED, 0, 0) == 1.0, "a port that is closed may be open in a moment"


def test_no_run_is_asked_for_to_look_at_a_host_that_runs_leave_out() -> None:
    """Its service manager does not answer yet, but the copy of a host service there does."""
    scene = Scene(entry("scen2_srv_01", host="server_2"))
    scene.lose(1.0, "server_1")
    down = {**dict.fromkeys(NAMES, "up"), "server_1": "down"}
    scene.show(entry("scen2_srv_01", host="server_2"), now=4.0, hosts=down, by="monitor")
    answering = scene.brain.services["common_data_bus", "server_1"] = health()
    for now in (5.0, 8.0, 60.0):
        answering.note(Result(Kind.ANSWERED, now, latency=0.001))
        scene.turn(now)
    assert scene.brain.verdicts["server_1"].state == SUSPECT
    assert scene.brain.left_out() == ["server_1"]
    assert scene.reconciles == []
    scene.line("server_1", Signal.FINE, 61.0)
    scene.turn(61.0)
    assert [out for _why, out in scene.reconciles] == [[]], "its line shows that it is back"


def test_the_watch_list_says_which_hosts_hold_or_may_hold_services() -> None:
    made = small_site()
    state = {"hosts": {}, "claims": {}, "wanted": {}, "meta": {}}
    machines = parse(watch_list.watch_document(made, state, 1)).machines
    assert [name for name, machine in machines.items() if machine.serves] == list(made.groups["servers"])
    state["claims"] = {"scen2_srv_01": {"host": "console_1", "epoch": 1, "phase": "running"}}
    assert parse(watch_list.watch_document(made, state, 2)).machines["console_1"].serves, "it holds one"


def test_the_monitor_makes_holds_from_the_hosts_for_services_of_its_watch_list() -> None:
    made = small_site()
    state = {"hosts": {}, "claims": {}, "wanted": {}, "meta": {}}
    brain = Brain({}, {}, Intents("t"), Schedule(0.0))
    brain.take_watch(parse(watch_list.watch_document(made, state, 1)), 0.0)
    names = [host.name for host in made.hosts]
    for name in names:
        brain.line_changed(name, Signal.FINE, "", 0.0)
    for name in made.groups["consoles"]:
        brain.line_changed(name, Signal.LOST, "silent", 10.0)
    brain.turn(10.0, 10.0)
    assert brain.hosts.storm == ""
    for name in made.groups["servers"][:2]:
        brain.line_changed(name, Signal.LOST, "silent", 10.5)
    brain.turn(10.5, 10.5)
    assert brain.hosts.storm.startswith("2 of 3 hosts for services")
