# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster of etcd on loopback, and a wire in front of it that fails on purpose."""

from __future__ import annotations

import http.client
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import etcd

ETCD = os.environ.get("MUSTER_ETCD") or shutil.which("etcd") or ""
WITHIN = 120.0  # s


def needed() -> None:
    """Skip where etcd is not installed."""
    if not ETCD:
        pytest.skip("etcd is not installed (apt-get install etcd-server)")


class Cluster:
    """Members on ports of 127.0.0.1; they end with `end`."""

    def __init__(self, folder: Path, members: int = 3, tls: Path | None = None, quota: int = 0) -> None:
        """
        :param tls: a folder that `certificates` filled: members let in only who has a certificate.
        :param quota: bytes of data that each may have; 0: as usual.
        """
        self._quota = quota
        ports = _free_ports(2 * members)
        self._tls = tls
        scheme = "https" if tls else "http"
        self.clients = ["%s://127.0.0.1:%d" % (scheme, port) for port in ports[:members]]
        self._peers = ["http://127.0.0.1:%d" % port for port in ports[members:]]
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * members
        for number in range(members):
            self.start(number)
        self.wait()

    def start(self, number: int) -> None:
        every = ",".join("m%d=%s" % pair for pair in enumerate(self._peers))
        log = (self._folder / ("m%d.log" % number)).open("ab")
        self._processes[number] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", ETCD, "--name", "m%d" % number,
             "--data-dir", str(self._folder / ("m%d" % number)), "--initial-cluster", every,
             "--listen-client-urls", self.clients[number], "--advertise-client-urls", self.clients[number],
             "--listen-peer-urls", self._peers[number], "--initial-advertise-peer-urls", self._peers[number],
             "--initial-cluster-token", self._folder.name, "--heartbeat-interval", "100", "--election-timeout", "1000",
             "--logger", "zap", *self._secure(), "--quota-backend-bytes", str(self._quota)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()

    def _secure(self) -> list[str]:
        if self._tls is None:
            return []
        return ["--client-cert-auth", "--trusted-ca-file", str(self._tls / "ca.pem"),
                "--cert-file", str(self._tls / "member.pem"), "--key-file", str(self._tls / "member.key")]  # fmt: skip

    def client(self) -> etcd.Client:
        """One that members let in."""
        files = [str(self._tls / name) for name in ("ca.pem", "controller.pem", "controller.key")] if self._tls else []
        return etcd.Client(self.clients, *files)

    def wait(self) -> None:
        """Until a majority answers."""
        client, deadline = self.client(), time.monotonic() + WITHIN
        while True:
            try:
                client.ask("/v3/kv/txn", {"success": [etcd.get("/ready")]}, time.monotonic() + 2, again=True)
                client.close()
                return
            except etcd.EtcdError:
                assert time.monotonic() < deadline, "no majority of etcd's members answers"
                time.sleep(0.05)

    def send(self, number: int, what: signal.Signals) -> None:
        process = self._processes[number]
        assert process is not None
        process.send_signal(what)
        if what is signal.SIGKILL:
            process.wait(WITHIN)

    def ended(self, number: int) -> bool:
        process = self._processes[number]
        return process is None or process.poll() is not None

    def end(self) -> None:
        for process in self._processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(WITHIN)


def certificates(folder: Path, *addresses: str) -> None:
    """An authority, and what it signed for members and for controllers, at 127.0.0.1 or at these addresses."""
    names = ",".join("IP:" + address for address in addresses or ("127.0.0.1",))

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    for name in ("member", "controller"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name,
                "-keyout", name + ".key", "-out", name + ".csr")  # fmt: skip
        (folder / "san").write_text("subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n" % names)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "2", "-extfile", "san", "-out", name + ".pem")  # fmt: skip


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _unused in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class BadWire:
    """Stands before a member. Of each question it makes, by a seeded choice, one of these: passed on and answered; lost
    before it arrives; carried out with its answer lost; carried out later, when the one who asked has given up."""

    def __init__(self, target: str, seed: int, share: float = 0.5) -> None:
        self.choice = random.Random(seed)
        self.share = share  # of questions that fail
        self.lost = {"before": 0, "answer": 0, "late": 0}
        wire, host = self, target.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fate = wire.fate()
                if fate == "late":
                    threading.Timer(0.2, _passed, (host, self.path, body)).start()
                elif fate != "before":
                    status, text = _passed(host, self.path, body)
                    if not fate:
                        self.send_response(status)
                        self.send_header("Content-Length", str(len(text)))
                        self.end_headers()
                        self.wfile.write(text)
                        return
                self.close_connection = True

            def log_message(self, *_unused: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def fate(self) -> str:
        if self.choice.random() >= self.share:
            return ""
        fate = self.choice.choice(sorted(self.lost))
        self.lost[fate] += 1
        return fate

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _passed(host: str, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
