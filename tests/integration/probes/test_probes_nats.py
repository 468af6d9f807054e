# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nats probe with accounts and TLS; test_probes_contract.py has what it shares with other kinds."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from monitor.core.model.probe import Tls
from monitor.judge.health import Kind
from tests.integration.probes.probing import Authority, Seen, probing, run, secret
from tests.integration.probes.real_buses import ADDRESS, bus, listener, until


def test_a_password_from_a_file_is_shown_and_never_told(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        wrong, right = secret(tmp_path, "wrong", "sesame"), secret(tmp_path, "right", 'open "sesame"')
        with bus("--user", "probe", "--pass", 'open "sesame"') as running:
            with probing(running.port, seen, user="probe", password_file=wrong):
                await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice turned away")
            assert seen.count(Kind.ANSWERED) == 0
            with probing(running.port, seen, user="probe", password_file=right):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE, Kind.ANSWERED}
    assert not any("sesame" in result.why for result in seen.results)


def test_a_changed_password_file_is_read_at_the_next_connection(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        path = secret(tmp_path, "token", "old")
        with bus("--auth", "new") as running, probing(running.port, seen, token_file=path):
            await until(lambda: seen.count(Kind.UNSURE), "turned away")
            secret(tmp_path, "token", "new")
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")

    run(scenario)


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        missing = str(tmp_path / "missing")
        with bus() as running, probing(running.port, seen, user="probe", password_file=missing):
            await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice unsure")

    seen = run(scenario)
    assert seen.results[0].why == "%s cannot be read: No such file or directory" % (tmp_path / "missing")


def test_a_password_file_open_to_all_is_told_with_every_answer(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        path = secret(tmp_path, "password", "x", mode=0o644)
        with (
            bus("--user", "probe", "--pass", "x") as running,
            probing(running.port, seen, user="probe", password_file=path),
        ):
            await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")

    seen = run(scenario)
    assert all("everybody can read" in result.warning for result in seen.results)


class TestTls:
    @pytest.fixture
    def ours(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def options(self, ours: Authority, *addresses: str) -> list[str]:
        certificate, key = ours.issue("bus.example", *addresses)
        return ["--tls", "--tlscert", certificate, "--tlskey", key]

    def test_answers_crash_and_hang_as_without(self, ours: Authority) -> None:
        async def scenario(seen: Seen) -> None:
            with (
                bus(*self.options(ours, ADDRESS)) as running,
                probing(running.port, seen, timeout=1.0, tls=Tls(ca=ours.ca)),
            ):
                await until(lambda: seen.count(Kind.ANSWERED) >= 3, "answers")
                running.freeze()
                await until(lambda: seen.count(Kind.MISSED) >= 2, "misses")
                assert seen.count(Kind.GONE) == 0 and seen.count(Kind.UNREACHABLE) == 0
                answers = seen.count(Kind.ANSWERED)
                running.thaw()
                await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer after the thaw")
                running.kill()
                await until(lambda: seen.count(Kind.GONE), "the crash")

        run(scenario)

    def test_an_unknown_authority_leaves_it_unsure(self, ours: Authority, tmp_path: Path) -> None:
        other = Authority(tmp_path, "others")

        async def scenario(seen: Seen) -> None:
            with (
                bus(*self.options(ours, ADDRESS)) as running,
                probing(running.port, seen, timeout=1.0, tls=Tls(ca=other.ca)),
            ):
                await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice unsure")

        seen = run(scenario)
        assert {result.kind for result in seen.results} == {Kind.UNSURE}
        assert "shows a certificate that is not accepted" in seen.results[0].why

    def test_the_name_in_the_certificate_counts_unless_told_otherwise(self, ours: Authority) -> None:
        async def scenario(seen: Seen) -> None:
            with bus(*self.options(ours)) as running:  # valid for bus.example only
                with probing(running.port, seen, timeout=1.0, tls=Tls(ca=ours.ca)):
                    await until(lambda: seen.count(Kind.UNSURE), "unsure")
                assert seen.count(Kind.ANSWERED) == 0
                for tls in (Tls(ca=ours.ca, server_name="bus.example"), Tls(ca=ours.ca, verify_name=False)):
                    answers = seen.count(Kind.ANSWERED)
                    with probing(running.port, seen, timeout=1.0, tls=tls):
                        await until(lambda answers=answers: seen.count(Kind.ANSWERED) > answers, "an answer")

        assert "not valid for" in run(scenario).first(Kind.UNSURE).why

    def test_a_certificate_of_the_probe_s_own(self, ours: Authority) -> None:
        mine = ours.issue("muster-monitor")

        async def scenario(seen: Seen) -> None:
            with bus(*self.options(ours, ADDRESS), "--tlsverify", "--tlscacert", ours.ca) as running:
                with probing(running.port, seen, timeout=1.0, tls=Tls(ca=ours.ca, certificate=mine[0], key=mine[1])):
                    await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")
                bare = Seen()
                with probing(running.port, bare, timeout=1.0, tls=Tls(ca=ours.ca)):
                    await until(lambda: bare.results, "a result without a certificate")
                assert bare.count(Kind.ANSWERED) == 0

        run(scenario)

    def test_is_never_left_out(self, ours: Authority, tmp_path: Path) -> None:
        """A server that offers none gets no password, and one that wants it is told so."""
        heard: list[bytes] = []

        def talk(connection: socket.socket) -> None:
            connection.sendall(b'INFO {"server_id":"x","max_payload":1048576}\r\n')
            heard.append(connection.recv(1000))

        async def scenario(seen: Seen) -> None:
            account = {"user": "probe", "password_file": secret(tmp_path, "password", "open sesame")}
            with listener(talk) as port, probing(port, seen, tls=Tls(ca=ours.ca), **account):
                await until(lambda: heard and seen.count(Kind.UNSURE), "the refusal")
            with bus(*self.options(ours, ADDRESS)) as running, probing(running.port, seen):
                await until(lambda: "give the probe tls" in seen.results[-1].why, "the advice")

        seen = run(scenario)
        assert set(heard) == {b""}
        assert "offers no TLS" in seen.results[0].why

    def test_a_file_that_is_no_certificate_is_told(self, ours: Authority, tmp_path: Path) -> None:
        async def scenario(seen: Seen) -> None:
            broken = secret(tmp_path, "broken.pem", "hello")
            with bus(*self.options(ours, ADDRESS)) as running, probing(running.port, seen, tls=Tls(ca=broken)):
                await until(lambda: seen.count(Kind.UNSURE), "unsure")
                await asyncio.sleep(0)

        assert "broken.pem holds no certificates of authorities" in run(scenario).results[0].why
