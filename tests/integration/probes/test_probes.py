# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes against real buses: a crash within milliseconds, a hang after N round trips, and what is neither."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from monitor.judge.health import Kind
from monitor.judge.target import Target
from monitor.watch.probes import ProbeError, make
from tests.integration.probes.probing import Seen, probing, run
from tests.integration.probes.real_buses import ADDRESS, Bus, bus, free_port, listener, until


@pytest.mark.parametrize("probe", ["nats", "tcp"])
def test_a_bus_that_works_answers_again_and_again(probe: str) -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen, probe):
            await until(lambda: seen.count(Kind.ANSWERED) >= 5, "five answers")

    began = time.monotonic()
    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.ANSWERED}
    assert 0 < sum(result.latency for result in seen.results) < time.monotonic() - began, "one after the other"
    assert all(result.latency > 0 for result in seen.results)


@pytest.mark.parametrize("probe", ["nats", "tcp"])
def test_a_killed_bus_is_gone_long_before_the_next_question(probe: str) -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen, probe, interval=3600.0, timeout=3600.0):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            running.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")
            assert "its connection ended and nothing listens at %s" % ADDRESS in seen.first(Kind.GONE).why

    run(scenario)


def test_a_frozen_bus_misses_its_round_trips_and_is_found_again_when_it_goes_on() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            running.freeze()
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")
            assert seen.count(Kind.GONE) == 0
            assert "takes connections but did not answer within 0.3 s" in seen.results[-1].why
            answers = seen.count(Kind.ANSWERED)
            running.thaw()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer after the thaw")

    run(scenario)


def test_a_bus_that_is_killed_while_it_hangs_is_gone() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            running.freeze()
            await until(lambda: seen.count(Kind.MISSED), "a miss")
            running.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")

    run(scenario)


def test_a_slow_start_is_waited_for_and_the_next_bus_on_the_port_is_taken() -> None:
    async def scenario(seen: Seen) -> None:
        late = Bus()
        with probing(late.port, seen):
            await until(lambda: seen.count(Kind.REFUSED), "nothing listens")
            assert seen.results[0].why == "nothing listens at %s:%d" % (ADDRESS, late.port)
            try:
                late.start()
                await until(lambda: seen.count(Kind.ANSWERED), "the first answer")
                late.kill()
                await until(lambda: seen.count(Kind.GONE), "the crash")
                late.start()
                answers = seen.count(Kind.ANSWERED)
                await until(lambda: seen.count(Kind.ANSWERED) > answers, "the successor")
            finally:
                late.kill()

    run(scenario)


def test_something_that_is_no_nats_server_does_not_answer() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(1000)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen):
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")

    seen = run(scenario)
    assert seen.count(Kind.ANSWERED) == 0
    assert "does not speak the NATS protocol, it said 'HTTP/1.1 400 Bad Request'" in seen.results[-1].why


def test_endless_noise_is_cut_off() -> None:
    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 65536)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen, timeout=5.0):
            await until(lambda: seen.count(Kind.MISSED), "a miss")

    assert "does not speak the NATS protocol" in run(scenario).results[-1].why


def test_something_silent_does_not_answer() -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen):
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")

    assert run(scenario).count(Kind.ANSWERED) == 0


def test_something_that_hangs_up_from_the_beginning_is_not_known() -> None:
    async def scenario(seen: Seen) -> None:
        with listener(lambda connection: None) as port, probing(port, seen):
            await until(lambda: seen.count(Kind.UNSURE) >= 3, "three results")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE}
    assert "takes connections and ends them again" in seen.results[-1].why


def test_a_bus_that_refuses_the_probe_says_so() -> None:
    async def scenario(seen: Seen) -> None:
        with bus("--user", "somebody", "--pass", "secret") as running, probing(running.port, seen):
            await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice turned away")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE}
    assert "refuses the probe: Authorization Violation" in seen.results[-1].why


def test_a_machine_that_takes_no_connection_is_unreachable_and_not_crashed() -> None:
    async def scenario(seen: Seen) -> None:
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind((ADDRESS, 0))
            full.listen(0)  # its queue is filled below: from then on the kernel drops what comes
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(full.getsockname())
            with probing(full.getsockname()[1], seen):
                await until(lambda: seen.count(Kind.UNREACHABLE) >= 2, "twice unreachable")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNREACHABLE}
    assert "cannot be reached: no answer in time" in seen.results[-1].why


def test_a_probe_that_slept_itself_counts_no_miss() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            for _ in range(3):
                time.sleep(1.0)  # the whole process stands still, as after SIGSTOP or on a machine that swaps
                await asyncio.sleep(0.1)
            await until(lambda: seen.count(Kind.ANSWERED) >= 5, "more answers")

    assert {result.kind for result in run(scenario).results} == {Kind.ANSWERED}


def test_a_nudge_asks_at_once() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen, interval=60.0) as asking:
            await until(lambda: seen.count(Kind.ANSWERED), "the first answer")
            asking.nudge()
            await until(lambda: seen.count(Kind.ANSWERED) == 2, "the second answer", 1.0)

    run(scenario)


def test_a_stopped_probe_says_nothing_more() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running:
            with probing(running.port, seen):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            said = len(seen.results)
            running.kill()
            await asyncio.sleep(0.3)
            assert len(seen.results) == said

    run(scenario)


@pytest.mark.parametrize("name", ["carrier_pigeon", "_held", "../nats", ""])
def test_a_probe_that_does_not_exist_is_reported(name: str) -> None:
    async def scenario(seen: Seen) -> None:
        with pytest.raises(ProbeError, match="a bus"):
            make("a bus", Target(ADDRESS, free_port(), name, 1.0, 1.0, 3), seen.results.append)

    run(scenario)


def test_an_unexpected_error_is_logged_and_the_probe_continues() -> None:
    async def scenario(seen: Seen) -> None:
        with probing(4222, seen, address="x" * 80):  # too long for a name: neither an OSError nor a silence
            await until(lambda: seen.count(Kind.UNSURE) >= 2, "a second try")
        assert "failed: UnicodeError" in seen.results[0].why

    run(scenario)
