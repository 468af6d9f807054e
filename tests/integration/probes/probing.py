# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of probes: a probe at work, Mosquitto, a wire that can be cut without a word, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import pwd
import shutil
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from monitor.core.model.probe import Probe
from monitor.judge.health import Kind, Result
from monitor.judge.target import Target, Whose
from monitor.watch.probes import Asking, make
from tests.integration.probes.cut_wire import Wire
from tests.integration.probes.real_buses import ADDRESS, WAIT, Server

MOSQUITTO = os.environ.get("MUSTER_MOSQUITTO") or shutil.which(
    "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
)
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="the MQTT broker mosquitto is not installed (on Debian: apt install mosquitto)"
)


class Seen:
    """The results of one probe, newest last."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def count(self, kind: Kind) -> int:
        return sum(result.kind is kind for result in self.results)

    def first(self, kind: Kind) -> Result:
        return next(result for result in self.results if result.kind is kind)

    def last(self, kind: Kind) -> Result:
        return next(result for result in reversed(self.results) if result.kind is kind)


@contextlib.contextmanager
def probing(
    port: int,
    seen: Seen,
    probe: str = "nats",
    interval: float = 0.2,
    timeout: float = 0.3,
    whose: Whose | None = None,
    address: str = ADDRESS,
    **how: Any,
) -> Iterator[Asking]:
    """A probe at work; more settings as of `model.probe.Probe`."""
    target = Target(address, port, probe, interval, timeout, 3, Probe(probe, **how), whose)
    asking = make("a bus", target, seen.results.append)
    asking.start()
    try:
        yield asking
    finally:
        asking.stop()


def run(scenario: Callable[[Seen], Coroutine[Any, Any, None]]) -> Seen:
    seen = Seen()
    asyncio.run(scenario(seen))
    return seen


class ListeningServer(Server):
    """One that listens as soon as it is started."""

    def start(self) -> Self:
        super().start()
        end = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection((self.address, self.port), 1.0).close()
                return self
            except OSError:
                assert self.ended is None, "the server ended with exit code %s" % self.ended
                assert time.monotonic() < end, "the server does not listen"
                time.sleep(0.01)


@contextlib.contextmanager
def serving(command: Callable[[int], list[str]], port: int | None = None) -> Iterator[ListeningServer]:
    server = ListeningServer(command, port)
    try:
        yield server.start()
    finally:
        server.kill()


def mosquitto(folder: Path, *lines: str) -> Callable[[int], list[str]]:
    """The command of a broker with these lines of configuration besides its listener."""

    def command(port: int) -> list[str]:
        assert MOSQUITTO is not None
        config = folder / ("mosquitto-%d.conf" % port)
        text = ["per_listener_settings false", "user %s" % pwd.getpwuid(os.geteuid()).pw_name, "persistence false"]
        if not any(line.startswith("allow_anonymous") for line in lines):
            text.append("allow_anonymous true")
        config.write_text("\n".join([*text, "listener %d %s" % (port, ADDRESS), *lines]) + "\n", encoding="utf-8")
        return [MOSQUITTO, "-c", str(config)]

    return command


def secret(folder: Path, name: str, text: str, mode: int = 0o600) -> str:
    path = folder / name
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(mode)
    return str(path)


@contextlib.contextmanager
def wire(to: int, address: str = ADDRESS) -> Iterator[Wire]:
    """In front of a port of this address."""
    made = Wire((address, to), address)
    try:
        yield made
    finally:
        made.close()


class Authority:
    """Signs certificates for tests; files in PEM below `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        from cryptography import x509

        self._folder = folder
        self._key = _new_key()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = _signed(self._name, self._name, self._key.public_key(), self._key, [], True)
        self.ca = str(folder / (name + ".pem"))
        Path(self.ca).write_bytes(_pem(certificate))

    def issue(self, name: str, *addresses: str) -> tuple[str, str]:
        """(certificate, key) as paths, valid for the name and these addresses."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization as s

        key = _new_key()
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = _signed(subject, self._name, key.public_key(), self._key, names, False)
        paths = (self._folder / (name + ".crt"), self._folder / (name + ".key"))
        paths[0].write_bytes(_pem(certificate))
        paths[1].write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
        paths[1].chmod(0o600)
        return str(paths[0]), str(paths[1])


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _signed(subject: Any, issuer: Any, public: Any, key: Any, names: list[Any], authority: bool) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    data: bytes = certificate.public_bytes(Encoding.PEM)
    return data
