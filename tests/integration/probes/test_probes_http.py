# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The http probe against a real server of Python's library, over TLS too."""

from __future__ import annotations

import base64
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.core.model.probe import Tls
from monitor.judge.health import Kind
from tests.integration.probes.probing import Authority, Seen, probing, run, secret, serving, wire
from tests.integration.probes.real_buses import ADDRESS, listener, until

_SERVER = """
import http.server, ssl, sys
address, port, version, wanted, certificate, key = sys.argv[1:]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = version

    def do_GET(self):
        if wanted and self.headers.get("Authorization") != wanted:
            self.answer(401, b"who are you?")
        elif self.path == "/healthz":
            self.answer(200, b'{"status": "all is well"}')
        elif self.path == "/open-end":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"all is well")
        elif self.path == "/sick":
            self.answer(503, b"sick")
        else:
            self.answer(404, b"not here")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass

server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


def web(
    version: str = "HTTP/1.1", wanted: str = "", certificate: str = "", key: str = ""
) -> Callable[[int], list[str]]:
    return lambda port: [sys.executable, "-c", _SERVER, ADDRESS, str(port), version, wanted, certificate, key]


@pytest.mark.parametrize(
    ("version", "path"), [("HTTP/1.1", "/healthz"), ("HTTP/1.1", "/open-end"), ("HTTP/1.0", "/healthz")]
)
def test_a_server_that_works_answers_again_and_again(version: str, path: str) -> None:
    async def scenario(seen: Seen) -> None:
        with (
            serving(web(version)) as server,
            probing(server.port, seen, "http", timeout=2.0, path=path, text="all is well"),
        ):
            await until(lambda: seen.count(Kind.ANSWERED) >= 5, "five answers")

    assert {result.kind for result in run(scenario).results} == {Kind.ANSWERED}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"path": "/sick"}, "answers /sick with status 503, not 200"),
        ({"path": "/nowhere", "status": (200, 204)}, "answers /nowhere with status 404, not 200 or 204"),
        ({"path": "/healthz", "text": "perfect"}, "answers /healthz without the text 'perfect'"),
    ],
)
def test_another_answer_than_the_expected_is_a_miss_with_its_reason(how: dict[str, object], why: str) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(web()) as server, probing(server.port, seen, "http", timeout=2.0, **how):
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")
            server.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")

    assert run(scenario).results[0].why.endswith(why)


def test_a_status_that_is_expected_is_healthy_whatever_it_is() -> None:
    async def scenario(seen: Seen) -> None:
        with serving(web()) as server, probing(server.port, seen, "http", timeout=2.0, path="/x", status=(404,)):
            await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")

    run(scenario)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_killed_server_is_gone_and_its_successor_answers(version: str) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(web(version)) as server, probing(server.port, seen, "http", timeout=2.0, path="/healthz"):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            server.kill()
            await until(lambda: seen.count(Kind.GONE), "the crash")
            answers = seen.count(Kind.ANSWERED)
            server.start()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "the successor")

    run(scenario)


def test_a_frozen_server_misses_and_is_found_again() -> None:
    async def scenario(seen: Seen) -> None:
        with serving(web()) as server, probing(server.port, seen, "http", path="/healthz"):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            server.freeze()
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")
            assert seen.count(Kind.GONE) == 0
            answers = seen.count(Kind.ANSWERED)
            server.thaw()
            await until(lambda: seen.count(Kind.ANSWERED) > answers, "an answer after the thaw")

    run(scenario)


def test_lost_messages_are_misses_and_late_ones_show_their_time() -> None:
    async def scenario(seen: Seen) -> None:
        with (
            serving(web()) as server,
            wire(server.port) as way,
            probing(way.port, seen, "http", timeout=1.0, path="/healthz"),
        ):
            await until(lambda: seen.count(Kind.ANSWERED), "an answer")
            way.delay = 0.2
            await until(lambda: seen.results[-1].latency >= 0.2, "a slow answer")
            way.swallow = True
            await until(lambda: seen.count(Kind.MISSED) >= 2, "misses")
            assert seen.count(Kind.GONE) == 0

    run(scenario)


@pytest.mark.parametrize("token", [False, True])
def test_an_account_is_shown_and_a_wrong_one_leaves_the_probe_unsure(tmp_path: Path, token: bool) -> None:
    shown = "Bearer open sesame" if token else "Basic " + base64.b64encode(b"probe:open sesame").decode()

    def account(path: str) -> dict[str, str]:
        return {"token_file": path} if token else {"user": "probe", "password_file": path}

    async def scenario(seen: Seen) -> None:
        with serving(web(wanted=shown)) as server:
            wrong = secret(tmp_path, "wrong", "sesame")
            with probing(server.port, seen, "http", timeout=2.0, path="/healthz", **account(wrong)):
                await until(lambda: seen.count(Kind.UNSURE) >= 2, "twice turned away")
            right = secret(tmp_path, "right", "open sesame")
            with probing(server.port, seen, "http", timeout=2.0, path="/healthz", **account(right)):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE, Kind.ANSWERED}
    assert "refuses the probe: status 401" in seen.results[0].why
    assert not any("sesame" in result.why for result in seen.results)


@pytest.mark.parametrize(
    "noise", [b"* OK IMAP ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00" * 200000]
)
def test_something_that_is_no_web_server_does_not_answer(noise: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(noise)
        connection.recv(1000)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen, "http"):
            await until(lambda: seen.count(Kind.MISSED) >= 2, "two misses")

    seen = run(scenario)
    assert seen.count(Kind.ANSWERED) == 0
    assert any("does not speak HTTP" in result.why for result in seen.results)


def test_over_tls(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    others = Authority(tmp_path, "others")
    certificate, key = ours.issue("web", ADDRESS)

    async def scenario(seen: Seen) -> None:
        with serving(web(certificate=certificate, key=key)) as server:
            with probing(server.port, seen, "http", timeout=2.0, path="/healthz", tls=Tls(ca=ours.ca)):
                await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")
                server.kill()
                await until(lambda: seen.count(Kind.GONE), "the crash")
                server.start()
            with probing(server.port, seen, "http", timeout=2.0, path="/healthz", tls=Tls(ca=others.ca)):
                await until(lambda: seen.count(Kind.UNSURE), "the certificate is not accepted")
        plain = Seen()
        with serving(web()) as server, probing(server.port, plain, "http", timeout=2.0, tls=Tls(ca=ours.ca)):
            await until(lambda: plain.count(Kind.MISSED) >= 2, "a server without TLS")
        assert plain.count(Kind.ANSWERED) == 0

    assert "shows a certificate that is not accepted" in run(scenario).last(Kind.UNSURE).why
