# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of bus for tests of probes: its real server, and a client that others wrote (nats-py, paho-mqtt).

The client says independently of the probe whether a round trip works, and records what the probe sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nats
import paho.mqtt.client as paho
from nats.errors import Error as NatsError

from tests.integration.probes.probing import mosquitto
from tests.integration.probes.real_buses import ADDRESS, nats_server

SECONDS = 5.0  # for what must work
SHORT = 1.0  # for what must not


@dataclass(frozen=True)
class Message:
    """A message as an independent subscriber received it. `reply`, `retain`, `qos`: as far as the protocol has them."""

    subject: str
    payload: bytes
    reply: str = ""
    retain: bool = False
    qos: int = 0


@dataclass
class Login:
    """How a client gets in. `tls`: (authority, certificate, key) as paths, the last two may be empty."""

    user: str = ""
    password: str = ""
    tls: tuple[str, str, str] | None = None

    def context(self) -> ssl.SSLContext | None:
        if self.tls is None:
            return None
        authority, certificate, key = self.tls
        context = ssl.create_default_context(cafile=authority)
        if certificate:
            context.load_cert_chain(certificate, key)
        return context


@dataclass
class Setup:
    """What a server demands. `account`: (user, password). `allowed`: prefix of the only subjects the account may use.

    `certificate`: (authority of clients or "", certificate, key).
    """

    account: tuple[str, str] | None = None
    allowed: str = ""
    certificate: tuple[str, str, str] | None = None


Command = Callable[[int], list[str]]


class Kind(Protocol):
    name: str
    prefix: str  # of the probe's subjects, by default
    separator: str

    def server(self, folder: Path, setup: Setup) -> Command: ...

    async def round_trip(self, port: int, login: Login, subject: str, seconds: float) -> bool:
        """Whether a message published by this client comes back to its own subscription in time."""
        ...

    def listening(self, port: int, login: Login, pattern: str) -> contextlib.AbstractAsyncContextManager[Listener]: ...


@dataclass
class Listener:
    """An independent subscriber. `publish`: (subject, payload)."""

    heard: list[Message] = field(default_factory=list)
    publish: Callable[[str, bytes], Any] = lambda subject, payload: None


class Nats:
    name, prefix, separator, everything = "nats", "_muster.probe.", ".", ">"

    def server(self, folder: Path, setup: Setup) -> Command:
        lines = []
        if setup.account:
            user, password = setup.account
            rights = ""
            if setup.allowed:
                rights = ', permissions: {publish: "%s>", subscribe: "%s>"}' % (setup.allowed, setup.allowed)
            quoted = (json.dumps(user), json.dumps(password), rights)
            lines.append("authorization { users: [ {user: %s, password: %s%s} ] }" % quoted)
        if setup.certificate:
            authority, certificate, key = setup.certificate
            ask = ', ca_file: "%s", verify: true' % authority if authority else ""
            lines.append('tls { cert_file: "%s", key_file: "%s"%s }' % (certificate, key, ask))
        config = folder / "nats.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return lambda port: [nats_server(), "-c", str(config), "-a", ADDRESS, "-p", str(port)]

    async def _client(self, port: int, login: Login, seconds: float) -> Any:
        async def ignore(_error: Exception) -> None:
            pass

        options: dict[str, Any] = {"tls": login.context()} if login.tls else {}
        if login.user:
            options.update(user=login.user, password=login.password)
        scheme = "tls" if login.tls else "nats"
        return await asyncio.wait_for(
            nats.connect(
                "%s://%s:%d" % (scheme, ADDRESS, port),
                allow_reconnect=False, max_reconnect_attempts=0, connect_timeout=seconds, error_cb=ignore, **options,
            ),
            seconds + 1,
        )  # fmt: skip

    async def round_trip(self, port: int, login: Login, subject: str, seconds: float) -> bool:
        try:
            client = await self._client(port, login, seconds)
        except (OSError, NatsError, TimeoutError):
            return False
        try:
            mine = await client.subscribe(subject)
            await client.publish(subject, b"hello")
            return bool((await mine.next_msg(seconds)).data == b"hello")
        except (OSError, NatsError, TimeoutError):
            return False
        finally:
            with contextlib.suppress(OSError, NatsError, TimeoutError):
                await client.close()

    @contextlib.asynccontextmanager
    async def listening(self, port: int, login: Login, pattern: str) -> AsyncIterator[Listener]:
        client = await self._client(port, login, SECONDS)
        listener = Listener(publish=client.publish)

        async def heard(message: Any) -> None:
            listener.heard.append(Message(message.subject, message.data, message.reply))

        try:
            await client.subscribe(pattern + self.everything, cb=heard)
            await client.flush()
            yield listener
        finally:
            await client.close()


class Mqtt:
    name, prefix, separator, everything = "mqtt", "_muster/probe/", "/", "#"

    def server(self, folder: Path, setup: Setup) -> Command:
        lines = []
        if setup.account:
            user, password = setup.account
            passwords = folder / "passwords"
            subprocess.run(
                ["mosquitto_passwd", "-c", "-b", str(passwords), user, password],
                check=True, stderr=subprocess.DEVNULL, timeout=30,
            )  # fmt: skip
            passwords.chmod(0o644)
            lines += ["allow_anonymous false", "password_file %s" % passwords]
            if setup.allowed:
                rights = folder / "acl"
                rights.write_text("user %s\ntopic readwrite %s#\n" % (user, setup.allowed), encoding="utf-8")
                lines.append("acl_file %s" % rights)
        if setup.certificate:
            authority, certificate, key = setup.certificate
            lines += ["certfile %s" % certificate, "keyfile %s" % key]
            if authority:
                lines += ["cafile %s" % authority, "require_certificate true"]
        return mosquitto(folder, *lines)

    def _client(self, login: Login) -> paho.Client:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if login.user:
            client.username_pw_set(login.user, login.password)
        context = login.context()
        if context is not None:
            client.tls_set_context(context)
        return client

    async def round_trip(self, port: int, login: Login, subject: str, seconds: float) -> bool:
        client, back = self._client(login), threading.Event()

        def connected(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if not reason.is_failure:
                client.subscribe(subject)

        client.on_connect = connected
        client.on_subscribe = lambda *_unused: client.publish(subject, b"hello")
        client.on_message = lambda _client, _data, message: back.set() if message.payload == b"hello" else None
        try:
            await asyncio.to_thread(client.connect, ADDRESS, port)
        except OSError:
            return False
        client.loop_start()
        try:
            return await asyncio.to_thread(back.wait, seconds)
        finally:
            client.disconnect()
            client.loop_stop()

    @contextlib.asynccontextmanager
    async def listening(self, port: int, login: Login, pattern: str) -> AsyncIterator[Listener]:
        client, ready = self._client(login), threading.Event()
        listener = Listener(publish=client.publish)

        def heard(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
            listener.heard.append(Message(message.topic, message.payload, "", message.retain, message.qos))

        client.on_connect = lambda *_unused: client.subscribe(pattern + self.everything)
        client.on_subscribe = lambda *_unused: ready.set()
        client.on_message = heard
        client.connect(ADDRESS, port)
        client.loop_start()
        try:
            assert await asyncio.to_thread(ready.wait, SECONDS), "no subscription"
            yield listener
        finally:
            client.disconnect()
            client.loop_stop()
