# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tcp probe: what it sees, and what it does not, as docs/probes.md says.

A bus that works, and one that is killed: `test_probes.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from monitor.judge.health import Kind
from tests.integration.probes.probing import Seen, probing, run, wire
from tests.integration.probes.real_buses import ADDRESS, bus, listener, until

MORE = 4


async def goes_on(seen: Seen) -> None:
    """It answers again and again, and says nothing else."""
    answers = seen.count(Kind.ANSWERED)
    await until(lambda: seen.count(Kind.ANSWERED) >= answers + MORE, "more answers")
    assert {result.kind for result in seen.results} == {Kind.ANSWERED}


def test_a_bus_that_hangs_stays_green_and_its_end_is_seen() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, probing(running.port, seen, "tcp"):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            running.freeze()
            await goes_on(seen)
            running.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")

    run(scenario)


def test_a_bus_that_takes_no_connections_any_more_is_unreachable_and_not_crashed() -> None:
    async def scenario(seen: Seen) -> None:
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind((ADDRESS, 0))
            full.listen(2)
            with probing(full.getsockname()[1], seen, "tcp"):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")
                for _ in range(6):  # its queue is full now: from here on the kernel drops what comes
                    client = stack.enter_context(socket.socket())
                    client.setblocking(False)
                    client.connect_ex(full.getsockname())
                await until(lambda: seen.count(Kind.UNREACHABLE) >= 2, "twice unreachable")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.ANSWERED, Kind.UNREACHABLE}


def test_garbage_is_not_looked_at() -> None:
    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"\x00garbage" * 8192)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen, "tcp"):
            await goes_on(seen)

    run(scenario)


def test_answers_that_come_late_or_never_are_not_missed_and_the_end_of_the_wire_is_seen() -> None:
    async def scenario(seen: Seen) -> None:
        with bus() as running, contextlib.ExitStack() as stack:
            cut = stack.enter_context(wire(running.port))
            with probing(cut.port, seen, "tcp"):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer")
                cut.delay = 1.0  # longer than the probe's patience
                await goes_on(seen)
                cut.swallow = True  # loss without a word
                await goes_on(seen)
                await asyncio.to_thread(stack.close)
                await until(lambda: seen.count(Kind.GONE), "the end")

    assert "nothing listens at %s" % ADDRESS in run(scenario).first(Kind.GONE).why


def test_who_ends_every_connection_is_green_and_asked_no_more_often_than_others() -> None:
    taken: list[float] = []

    async def scenario(seen: Seen) -> None:
        loop = asyncio.get_running_loop()

        def talk(connection: socket.socket) -> None:
            taken.append(loop.time())

        with listener(talk) as port, probing(port, seen, "tcp", interval=0.2):
            began = loop.time()
            await goes_on(seen)
            await until(lambda: loop.time() - began > 1.0, "a while to count in")
            turns = (loop.time() - began) / 0.2
            assert len(taken) <= 2 * turns + 4, "it is stormed with connections"

    run(scenario)
