# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common contract of the probes of every kind of bus, on real servers; clients of other authors are the oracle.

Each test that ends with a verdict also asks an independent client at the same server: it must find the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monitor.core.model.probe import Tls
from monitor.judge.health import Kind
from tests.integration.probes.independent_clients import SECONDS, SHORT, Login, Mqtt, Nats, Setup
from tests.integration.probes.probing import Authority, Seen, needs_mosquitto, probing, run, secret, serving, wire
from tests.integration.probes.real_buses import ADDRESS, free_port, until

Bus = Nats | Mqtt


@pytest.fixture(params=[pytest.param(Nats(), id="nats"), pytest.param(Mqtt(), id="mqtt", marks=needs_mosquitto)])
def bus(request: pytest.FixtureRequest) -> Bus:
    found: Bus = request.param
    return found


def subject(bus: Bus, *words: str) -> str:
    return bus.separator.join(words)


def test_messages_are_well_formed_as_an_independent_client_receives_them(bus: Bus, tmp_path: Path) -> None:
    """One subject per probe, numbered payloads in order, nothing retained, no answer asked for."""

    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, Setup())) as server:
            async with bus.listening(server.port, Login(), bus.prefix) as listener:
                with probing(server.port, seen, bus.name):
                    await until(lambda: seen.count(Kind.ANSWERED) >= 5, "five answers")
                answers = seen.count(Kind.ANSWERED)
                await until(lambda: len(listener.heard) >= answers, "every message, as others see it")
                heard.extend(listener.heard)

    heard: list[Any] = []
    assert {result.kind for result in run(scenario).results} == {Kind.ANSWERED}
    assert len({message.subject for message in heard}) == 1
    assert re.fullmatch(re.escape(bus.prefix) + "[0-9a-f]{12}", heard[0].subject)
    assert [message.payload for message in heard] == [b"%06d" % (number + 1) for number in range(len(heard))]
    assert {(message.reply, message.retain, message.qos) for message in heard} == {("", False, 0)}


def test_messages_of_others_on_its_subject_are_no_answer(bus: Bus, tmp_path: Path) -> None:
    """An independent client floods the probe's subject; the probe still goes by its own messages only."""

    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, Setup())) as server, wire(server.port) as way:
            async with bus.listening(server.port, Login(), bus.prefix) as listener:
                with probing(way.port, seen, bus.name):
                    await until(lambda: seen.count(Kind.ANSWERED) >= 2 and listener.heard, "answers")
                    name = listener.heard[0].subject
                    for payload in (b"", b"0", b"000000", b"999999", b"x" * 70000, b"\r\nPONG\r\n"):
                        published = listener.publish(name, payload)
                        if bus.name == "nats":
                            await published
                    answers = seen.count(Kind.ANSWERED)
                    await until(lambda: seen.count(Kind.ANSWERED) >= answers + 3, "answers among foreign messages")

    seen = run(scenario)
    assert seen.count(Kind.GONE) == 0


def test_several_probes_at_one_bus_do_not_answer_each_other(bus: Bus, tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, Setup())) as server, wire(server.port) as way:
            other = Seen()
            with probing(server.port, other, bus.name), probing(way.port, seen, bus.name):
                await until(lambda: seen.count(Kind.ANSWERED) and other.count(Kind.ANSWERED), "answers for both")
                way.swallow = True
                answers = other.count(Kind.ANSWERED)
                await until(lambda: seen.count(Kind.MISSED) >= 3, "misses on the wire that swallows")
                await until(lambda: other.count(Kind.ANSWERED) > answers, "answers beside it")

    run(scenario)


def test_a_frozen_server_misses_and_a_killed_one_is_gone_as_the_independent_client_finds(
    bus: Bus, tmp_path: Path
) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, Setup())) as server, probing(server.port, seen, bus.name):
            await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")
            assert await bus.round_trip(server.port, Login(), subject(bus, "any", "where"), SECONDS)
            server.freeze()
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")
            assert seen.count(Kind.GONE) == 0
            assert not await bus.round_trip(server.port, Login(), subject(bus, "any", "where"), SHORT)
            answers = seen.count(Kind.ANSWERED)
            server.thaw()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer after the thaw")
            assert await bus.round_trip(server.port, Login(), subject(bus, "any", "where"), SECONDS)
            server.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")
            assert not await bus.round_trip(server.port, Login(), subject(bus, "any", "where"), SHORT)
            answers = seen.count(Kind.ANSWERED)
            server.start()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "the successor")

    run(scenario)


def test_a_server_that_comes_late_is_found(bus: Bus, tmp_path: Path) -> None:
    port = free_port()

    async def scenario(seen: Seen) -> None:
        with probing(port, seen, bus.name):
            await until(lambda: seen.count(Kind.REFUSED), "nothing listens")
            with serving(bus.server(tmp_path, Setup()), port):
                await until(lambda: seen.count(Kind.ANSWERED), "the first answer")

    run(scenario)


def test_messages_lost_without_a_word_are_missed(bus: Bus, tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        with (
            serving(bus.server(tmp_path, Setup())) as server,
            wire(server.port) as way,
            probing(way.port, seen, bus.name),
        ):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            way.swallow = True
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")
            assert seen.count(Kind.GONE) == 0
            answers = seen.count(Kind.ANSWERED)
            way.swallow = False
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer again")

    run(scenario)


def test_a_slow_answer_shows_its_time(bus: Bus, tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        with (
            serving(bus.server(tmp_path, Setup())) as server,
            wire(server.port) as way,
            probing(way.port, seen, bus.name, interval=0.5, timeout=10.0),
        ):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            way.delay = 0.2
            answers = seen.count(Kind.ANSWERED)
            await until(lambda: seen.count(Kind.ANSWERED) >= answers + 2, "slow answers")
            assert seen.results[-1].latency >= 0.2

    assert {result.kind for result in run(scenario).results} == {Kind.ANSWERED}


def test_accounts_are_accepted_and_refused_as_those_of_the_independent_client(bus: Bus, tmp_path: Path) -> None:
    setup = Setup(account=("probe", 'open "sesame"'))
    anywhere = subject(bus, "any", "where")

    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, setup)) as server:
            for login in (Login(), Login("probe", "sesame"), Login("eve", 'open "sesame"')):
                assert not await bus.round_trip(server.port, login, anywhere, SHORT)
                account = (
                    {"user": login.user, "password_file": secret(tmp_path, "password", login.password)}
                    if login.user
                    else {}
                )
                unsure = seen.count(Kind.UNSURE)
                with probing(server.port, seen, bus.name, **account):
                    await until(lambda unsure=unsure: seen.count(Kind.UNSURE) >= unsure + 2, "twice turned away")
            assert seen.count(Kind.ANSWERED) == 0
            right = Login(*setup.account)  # type: ignore[misc]
            assert await bus.round_trip(server.port, right, anywhere, SECONDS)
            path = secret(tmp_path, "password", right.password)
            with probing(server.port, seen, bus.name, user="probe", password_file=path):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE, Kind.ANSWERED}
    assert not any("sesame" in result.why for result in seen.results)


def test_an_account_for_one_subject_works_there_and_nowhere_else(bus: Bus, tmp_path: Path) -> None:
    allowed = subject(bus, "plant", "probe", "")
    other = subject(bus, "plant", "other", "")
    setup = Setup(account=("probe", "x"), allowed=allowed)
    account = {"user": "probe", "password_file": secret(tmp_path, "password", "x")}

    async def scenario(seen: Seen) -> None:
        with serving(bus.server(tmp_path, setup)) as server:
            assert await bus.round_trip(server.port, Login("probe", "x"), allowed + "me", SECONDS)
            with probing(server.port, seen, bus.name, topic=allowed, **account):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers on its own subject")
            assert not await bus.round_trip(server.port, Login("probe", "x"), other + "me", SHORT)
            elsewhere = Seen()
            with probing(server.port, elsewhere, bus.name, topic=other, **account):
                await until(lambda: elsewhere.results, "a result on another subject")
            assert elsewhere.count(Kind.ANSWERED) == 0

    run(scenario)


class TestTls:
    """The server's certificate, the authority, the name in it, and a certificate that clients must show."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def test_it_answers_over_tls_when_the_independent_client_does(
        self, bus: Bus, authority: Authority, tmp_path: Path
    ) -> None:
        stranger = Authority(tmp_path, "stranger")
        certificate = ("", *authority.issue("bus.example", ADDRESS))

        async def scenario(seen: Seen) -> None:
            with serving(bus.server(tmp_path, Setup(certificate=certificate))) as server:
                for ca, works in ((authority.ca, True), (stranger.ca, False)):
                    login = Login(tls=(ca, "", ""))
                    found = await bus.round_trip(server.port, login, "anywhere", SECONDS if works else SHORT)
                    assert found is works
                    seen.results.clear()
                    with probing(server.port, seen, bus.name, timeout=2.0, tls=Tls(ca=ca)):
                        await until(lambda: len(seen.results) >= 2, "two results")
                    expected = {Kind.ANSWERED} if works else {Kind.UNSURE}
                    assert {result.kind for result in seen.results} == expected

        run(scenario)

    def test_a_certificate_for_another_name_is_refused_by_both(
        self, bus: Bus, authority: Authority, tmp_path: Path
    ) -> None:
        certificate = ("", *authority.issue("bus.example"))

        async def scenario(seen: Seen) -> None:
            with serving(bus.server(tmp_path, Setup(certificate=certificate))) as server:
                assert not await bus.round_trip(server.port, Login(tls=(authority.ca, "", "")), "anywhere", SHORT)
                with probing(server.port, seen, bus.name, timeout=2.0, tls=Tls(ca=authority.ca)):
                    await until(lambda: seen.count(Kind.UNSURE), "unsure")
                assert seen.count(Kind.ANSWERED) == 0

        assert "not valid for" in run(scenario).first(Kind.UNSURE).why

    def test_a_server_that_wants_a_certificate_gets_it_from_both(
        self, bus: Bus, authority: Authority, tmp_path: Path
    ) -> None:
        certificate = (authority.ca, *authority.issue("bus.example", ADDRESS))
        own = authority.issue("muster-monitor")

        async def scenario(seen: Seen) -> None:
            with serving(bus.server(tmp_path, Setup(certificate=certificate))) as server:
                assert await bus.round_trip(server.port, Login(tls=(authority.ca, *own)), "anywhere", SECONDS)
                shown = Tls(ca=authority.ca, certificate=own[0], key=own[1])
                with probing(server.port, seen, bus.name, timeout=2.0, tls=shown):
                    await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")
                assert not await bus.round_trip(server.port, Login(tls=(authority.ca, "", "")), "anywhere", SHORT)
                bare = Seen()
                with probing(server.port, bare, bus.name, timeout=2.0, tls=Tls(ca=authority.ca)):
                    await until(lambda: bare.results, "a result without a certificate")
                assert bare.count(Kind.ANSWERED) == 0

        run(scenario)
