# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mqtt probe against a real Mosquitto; test_probes_contract.py has what it shares with other kinds."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from monitor.judge.health import Kind
from tests.integration.probes.probing import (
    Authority,
    Seen,
    mosquitto,
    needs_mosquitto,
    probing,
    run,
    secret,
    serving,
)
from tests.integration.probes.real_buses import ADDRESS, listener, until

pytestmark = needs_mosquitto


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A password file of Mosquitto that knows `probe` with the password `open sesame`."""
    path = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", str(path), "probe", "open sesame"],
        check=True, stderr=subprocess.DEVNULL, timeout=30,
    )  # fmt: skip
    path.chmod(0o644)
    return path


def test_a_killed_broker_is_gone_and_its_successor_answers(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(mosquitto(tmp_path)) as broker, probing(broker.port, seen, "mqtt", interval=5.0, timeout=1.0):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            broker.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash", 4.0)  # before the next question
            answers = seen.count(Kind.ANSWERED)
            broker.start()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "the successor")

    run(scenario)


def test_a_wrong_password_leaves_the_probe_unsure(tmp_path: Path, passwords: Path) -> None:
    config = mosquitto(tmp_path, "allow_anonymous false", "password_file %s" % passwords)

    async def scenario(seen: Seen) -> None:
        wrong, right = secret(tmp_path, "wrong", "sesame"), secret(tmp_path, "right", "open sesame")
        with serving(config) as broker:
            with probing(broker.port, seen, "mqtt", user="probe", password_file=wrong):
                await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice turned away")
            with probing(broker.port, seen, "mqtt"):
                before = seen.count(Kind.UNSURE)
                await until(lambda: seen.count(Kind.UNSURE) > before, "turned away without an account")
            assert seen.count(Kind.ANSWERED) == 0
            with probing(broker.port, seen, "mqtt", user="probe", password_file=right):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers with the right one")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE, Kind.ANSWERED}
    assert "refuses the probe: not authorised" in seen.first(Kind.UNSURE).why
    assert not any("sesame" in result.why for result in seen.results)


def test_an_account_that_may_use_one_topic_only_needs_no_more(tmp_path: Path, passwords: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("user probe\ntopic readwrite plant/probe/#\n", encoding="utf-8")
    config = mosquitto(tmp_path, "allow_anonymous false", "password_file %s" % passwords, "acl_file %s" % acl)
    account = {"user": "probe", "password_file": secret(tmp_path, "password", "open sesame")}

    async def scenario(seen: Seen) -> None:
        with serving(config) as broker:
            with probing(broker.port, seen, "mqtt", topic="plant/probe/", **account):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers on its own topic")
            elsewhere = Seen()
            with probing(broker.port, elsewhere, "mqtt", topic="plant/other/", **account):
                await until(lambda: elsewhere.results, "a result on another topic")
            assert elsewhere.count(Kind.ANSWERED) == 0

    run(scenario)


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\x30\x00"])
def test_something_that_is_no_broker_does_not_answer(noise: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(noise)
        connection.recv(1000)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen, "mqtt"):
            await until(lambda: seen.count(Kind.MISSED) >= 2, "two misses")

    seen = run(scenario)
    assert seen.count(Kind.ANSWERED) == 0
    assert any("does not speak the MQTT protocol" in result.why for result in seen.results)


def test_tls_with_a_certificate_of_the_probe_s_own(tmp_path: Path) -> None:
    from monitor.core.model.probe import Tls

    ours = Authority(tmp_path)
    certificate, key = ours.issue("broker", ADDRESS)
    mine = ours.issue("muster-monitor")
    config = mosquitto(
        tmp_path, "cafile %s" % ours.ca, "certfile %s" % certificate, "keyfile %s" % key, "require_certificate true"
    )

    async def scenario(seen: Seen) -> None:
        with serving(config) as broker:
            shown = Tls(ca=ours.ca, certificate=mine[0], key=mine[1])
            with probing(broker.port, seen, "mqtt", timeout=2.0, tls=shown):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers over TLS")
                broker.kill()
                await until(lambda: seen.count(Kind.GONE), "the crash")
                broker.start()
            bare = Seen()
            with probing(broker.port, bare, "mqtt", timeout=2.0, tls=Tls(ca=ours.ca)):
                await until(lambda: bare.results, "a result without a certificate")
            assert bare.count(Kind.ANSWERED) == 0

    run(scenario)
