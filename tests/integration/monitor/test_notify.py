# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster-notify` beside real servers: what arrives there, and what it says when nothing does."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local_site import wait_for
from tests.integration.probes.probing import mosquitto, needs_mosquitto, secret, serving
from tests.integration.probes.real_buses import ADDRESS, bus

ROOT = Path(__file__).resolve().parents[3]
ALARM = {
    "site": "scenario_2", "id": 41, "alarm": "host:server_2", "event": "raised", "state": "unacknowledged",
    "before": "", "kind": "host", "priority": "high", "says": "server_2 is down: 2 items are moving", "items": ["02"],
    "hosts": ["server_2"], "who": "", "at": 1_700_000_000.0,
}  # fmt: skip


def notify(*arguments: str, document: Any = ALARM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor.tell.notify", *arguments], input=json.dumps(document), text=True,
        capture_output=True, timeout=60, cwd=ROOT, check=False,
    )  # fmt: skip


def good(*arguments: str, **more: Any) -> None:
    told = notify(*arguments, **more)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def listens(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), 5).close()
    except OSError:
        return False
    return True


def nobody() -> int:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        return int(taken.getsockname()[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_mail_says_in_its_subject_what_happened() -> None:
    smtpd = pytest.importorskip("smtpd")
    asyncore = pytest.importorskip("asyncore")
    mails: list[tuple[str, list[str], bytes]] = []
    sockets: dict[int, Any] = {}

    class Server(smtpd.SMTPServer):  # type: ignore[misc, name-defined]
        def process_message(self, _peer: Any, sender: str, to: list[str], data: bytes, **_more: Any) -> None:
            mails.append((sender, to, data))

    server = Server((ADDRESS, 0), None, map=sockets)
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            asyncore.loop(timeout=0.05, map=sockets, count=1)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        port = server.socket.getsockname()[1]
        good("mail", "--server", "%s:%d" % (ADDRESS, port), "--to", "shift@example.org", "--to", "eve@example.org")
    finally:
        over.set()
        thread.join()
        server.close()
    [(sender, to, data)] = mails
    mail = message_from_bytes(data)
    assert (sender, to) == ("muster@localhost", ["shift@example.org", "eve@example.org"])
    assert mail["Subject"] == "[scenario_2] high raised: server_2 is down: 2 items are moving"
    assert b"alarm: host:server_2" in mail.get_payload(decode=True)


def test_a_mail_that_was_taken_is_told_however_the_server_ends() -> None:
    taken: list[bytes] = []
    with socket.create_server((ADDRESS, 0)) as server:

        def answer() -> None:
            client, _address = server.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(b"220 here\r\n")
                for line in lines:
                    if line.upper().startswith(b"DATA"):
                        client.sendall(b"354 go on\r\n")
                        taken.extend(iter(lines.readline, b".\r\n"))
                    client.sendall(b"500 what?\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")

        threading.Thread(target=answer, daemon=True).start()
        good("mail", "--server", "%s:%d" % server.getsockname()[:2], "--to", "shift@example.org")
    assert any(line.startswith(b"Subject: [scenario_2] high raised") for line in taken)


@pytest.fixture
def web() -> Iterator[tuple[str, queue.Queue[tuple[dict[str, str], bytes]], list[int]]]:
    told: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.put((dict(self.headers), body))
            self.send_response(answers.pop(0) if answers else 204)
            self.send_header("Location", "/elsewhere")  # of what is no redirection it says nothing
            self.end_headers()

        def do_GET(self) -> None:
            told.put((dict(self.headers), b"GET"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_unused: Any) -> None: ...

    server = ThreadingHTTPServer((ADDRESS, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://%s:%d/hook" % server.server_address[:2], told, answers
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_over_time_and_body(web: Any, tmp_path: Path) -> None:
    url, told, _answers = web
    good("webhook", "--url", url, "--secret-file", secret(tmp_path, "key", "sesame"))
    headers, body = told.get(timeout=10)
    assert json.loads(body) == ALARM
    signed = hmac.new(b"sesame", headers["X-Muster-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Muster-Signature"] == "sha256=" + signed


def test_a_webhook_that_is_ill_is_tried_again_and_one_that_refuses_is_not(web: Any) -> None:
    url, told, answers = web
    answers[:] = [503, 204]
    good("webhook", "--url", url)
    assert told.qsize() == 2
    answers[:] = [403]
    refused = notify("webhook", "--url", url)
    server = url.rpartition("/")[0]
    assert (refused.returncode, refused.stdout) == (1, "webhook: %s has not taken it: it answered with 403\n" % server)
    assert told.qsize() == 3
    for code in (301, 302, 303, 307):
        answers[:] = [code]
        assert notify("webhook", "--url", url).stdout.endswith("it answered with %d\n" % code)
    assert [told.get()[1] for _unused in range(told.qsize())].count(b"GET") == 0
    assert "is no http or https address" in notify("webhook", "--url", "file:///etc/passwd").stdout


def test_the_address_of_a_chat_comes_from_a_file_and_no_log_has_it(web: Any, tmp_path: Path) -> None:
    url, told, answers = web
    chat = secret(tmp_path, "chat", url.replace("/hook", "/T0/sesame?key=sesame"))
    answers[:] = [403]
    refused = notify("webhook", "--url-file", chat)
    assert told.qsize() == 1
    assert "sesame" not in refused.stdout + refused.stderr
    odd = notify("webhook", "--url-file", secret(tmp_path, "odd", "http://127.0.0.1/sesame a"))
    assert "sesame" not in odd.stdout + odd.stderr
    assert odd.stdout.count("\n") == 1


def test_a_webhook_that_is_no_web_server_is_one_sentence() -> None:
    with socket.create_server((ADDRESS, 0)) as server:

        def answer() -> None:
            for _unused in range(3):
                client, _address = server.accept()
                with client:
                    client.recv(65536)
                    client.sendall(b"220 mail ready\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = "http://%s:%d/" % server.getsockname()[:2]
        told = notify("webhook", "--url", url)
    assert (told.returncode, told.stderr, told.stdout.count("\n")) == (1, "", 1), told
    told = notify("webhook", "--url", "http://127.0.0.1/a b")
    assert (told.returncode, told.stderr, told.stdout.count("\n")) == (1, "", 1), told


def test_syslog_gets_one_line_by_udp_and_at_the_local_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((ADDRESS, 0))
        receiver.settimeout(10)
        good("syslog", "--server", "%s:%d" % receiver.getsockname())
        line = receiver.recv(4096).decode()
    assert line.startswith("<130>1 2023-11-14T22:13:20Z ")
    assert line.endswith("scenario_2: high raised: server_2 is down: 2 items are moving")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        local.bind(str(tmp_path / "log"))
        local.settimeout(10)
        good("syslog", "--socket", str(tmp_path / "log"), document=dict(ALARM, event="cleared", says="a\nb"))
        assert local.recv(4096) == b"<134>muster: scenario_2: high cleared: a b"


def test_nats_carries_it_and_a_wrong_password_is_said(tmp_path: Path) -> None:
    with bus("--user", "muster", "--pass", "sesame") as running:
        wait_for(lambda: listens(running.port), "the server listens")
        with socket.create_connection((ADDRESS, running.port), 10) as reader:
            reader.sendall(b'CONNECT {"verbose":false,"user":"muster","pass":"sesame"}\r\nSUB muster.> 1\r\nPING\r\n')
            found = b""
            while b"PONG" not in found:
                found += reader.recv(4096)
            place, user = "%s:%d" % (ADDRESS, running.port), ("--user", "muster", "--password-file")
            good("nats", "--server", place, *user, secret(tmp_path, "right", "sesame"))
            found = b""
            while b"}\r\n" not in found:  # the server may say PING after it
                found += reader.recv(4096)
        wrong = notify("nats", "--server", place, *user, secret(tmp_path, "wrong", "no"))
    assert found.startswith(b"MSG muster.alarms.host 1 ")
    assert json.loads(found.split(b"\r\n")[1]) == ALARM
    assert (wrong.returncode, wrong.stdout) == (1, "nats: Authorization Violation\n")


@needs_mosquitto
def test_mqtt_keeps_it_until_it_is_over(tmp_path: Path) -> None:
    with serving(mosquitto(tmp_path)) as broker:
        place = "%s:%d" % (ADDRESS, broker.port)
        good("mqtt", "--server", place)
        assert retained(broker.port) == {"muster/alarms/host:server_2": ALARM}
        good("mqtt", "--server", place, document=dict(ALARM, event="over"))
        assert retained(broker.port) == {}


def retained(port: int) -> dict[str, Any]:
    """What a client gets that subscribes now."""
    from paho.mqtt import client as paho

    found: dict[str, Any] = {}
    done = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)

    def message(_client: Any, _unused: Any, said: Any) -> None:
        if said.topic == "end":
            done.set()
        elif said.retain:
            found[said.topic] = json.loads(said.payload)

    client.on_message = message
    client.on_subscribe = lambda *_unused: client.publish("end", b"")
    client.connect(ADDRESS, port)
    client.subscribe([("muster/#", 0), ("end", 0)])
    client.loop_start()
    assert done.wait(20)
    client.disconnect()
    client.loop_stop()
    return found


@pytest.mark.parametrize("way", [("mail", "--to", "a@b"), ("nats",), ("mqtt",), ("webhook",)])
def test_where_nobody_listens_it_ends_with_one_sentence(way: tuple[str, ...]) -> None:
    place = "%s:%d" % (ADDRESS, nobody())
    target = ("--url", "http://" + place) if way[0] == "webhook" else ("--server", place)
    told = notify(*way, *target)
    assert told.returncode == 1 and told.stderr == ""
    assert told.stdout.startswith(way[0] + ": ") and told.stdout.count("\n") == 1
