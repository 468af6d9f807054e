# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd v3 by its JSON gateway, with the standard library: one question, one answer, and whether it may have counted.

Of a question that got no answer nobody knows whether it was carried out: that is `Unknown`, and only who asked can find
out. `Refused` is an answer: nothing was changed.
"""

from __future__ import annotations

import base64
import copy
import http.client
import ipaddress
import json
import socket
import ssl
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

Json = Dict[str, Any]

# Answers after which nothing was changed, whatever was asked.
DEFINITE = ("mvcc: database space exceeded", "request is too large", "too many operations", "permission denied",
            "user name is empty", "invalid auth token", "duplicate key given", "InvalidArgument",
            "certificate verify failed")  # fmt: skip


class EtcdError(Exception):
    """etcd did not do what was asked; the text is a phrase."""


class Unknown(EtcdError):
    """No answer came in time: it may have been carried out, or may be yet."""


class Refused(EtcdError):
    """It was not carried out."""


class Member:
    """A held connection to one member."""

    def __init__(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        parts = urlsplit(url)
        self.url = url
        self._address = (parts.hostname or "", parts.port or 2379)
        self._context = context if parts.scheme == "https" else None
        self._open: Optional[http.client.HTTPConnection] = None

    def again(self) -> Member:
        """Another connection to it."""
        other = Member(self.url, None)
        other._context = self._context
        return other

    def ask(self, path: str, body: bytes, timeout: float) -> Tuple[int, bytes]:
        """:raises ConnectionRefusedError: when nothing can have arrived there.
        :raises OSError: when it may have.
        """
        fresh = self._open is None
        try:
            self._connect(timeout)
            return self._asked(path, body, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if fresh or isinstance(error, socket.timeout):
                raise _plain(error) from error
        # A connection that was held may have been closed meanwhile, so the question may have gone nowhere. Whether it
        # has is not known, and the caller asks again only what it may ask twice.
        raise OSError("the connection was closed")

    def _connect(self, timeout: float) -> None:
        if self._open is not None:
            return
        host, port = self._address
        made = (http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context) if self._context
                else http.client.HTTPConnection(host, port, timeout=timeout))  # fmt: skip
        try:
            made.connect()
        except OSError as error:
            made.close()
            raise ConnectionRefusedError(str(error.strerror or error)) from error
        if made.sock is not None:
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open = made

    def _asked(self, path: str, body: bytes, timeout: float) -> Tuple[int, bytes]:
        connection = self._open
        if connection is None:
            raise ConnectionRefusedError("it was closed")
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def lines(self, path: str, body: bytes, silence: float) -> Iterator[bytes]:
        """The lines of an answer that goes on. :raises OSError: when it ends, or `silence` seconds pass without one."""
        self._connect(silence)
        connection = self._open
        if connection is not None:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            yield from iter(answer.readline, b"")
        raise OSError("the answer ended")

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _plain(error: BaseException) -> OSError:
    return error if isinstance(error, OSError) else OSError(str(error) or type(error).__name__)


def is_here(url: str) -> bool:
    """Whether this machine has the address of a member. No name is resolved: a name server may be away."""
    host = urlsplit(url).hostname or ""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return host in (socket.gethostname(), socket.gethostname().partition(".")[0])
    try:
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


class Client:
    """The members of a cluster: the one that answered last first; before any has answered, the one of this machine.

    Each process begins with it, so that none has to wait first for a member whose machine is gone.
    """

    def __init__(self, urls: Sequence[str], ca: str = "", cert: str = "", key: str = "", timeout: float = 2.0) -> None:
        """
        :param timeout: seconds for one member to answer.
        :raises EtcdError: when the certificates cannot be read.
        """
        context = None
        if any(url.startswith("https:") for url in urls):
            try:
                context = ssl.create_default_context(cafile=ca or None)
                if cert:
                    context.load_cert_chain(cert, key or None)
            except (OSError, ssl.SSLError) as error:
                raise EtcdError("the certificates cannot be read: %s" % error) from error
        self._members = [Member(url, context) for url in sorted(urls, key=lambda url: not is_here(url))]
        self.timeout = timeout

    def apart(self) -> Tuple[List[Client], List[Client]]:
        """Clients of one member each, with connections of their own: members of this machine, and of others."""
        here: List[Client] = []
        others: List[Client] = []
        for member in self._members:
            alone = copy.copy(self)
            alone._members = [member.again()]
            (here if is_here(member.url) else others).append(alone)
        return here, others

    def ask(self, path: str, question: Mapping[str, Any], deadline: float, again: bool) -> Json:
        """:param again: whether it may be carried out twice: then other members are asked when one does not answer.
        :param deadline: by the monotonic clock.
        :raises Unknown: see there; with `again`, when no member answered.
        :raises Refused: see there.
        """
        body = json.dumps(question).encode()
        sent, why = False, "no member was asked"
        for member in list(self._members):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                status, text = member.ask(path, body, min(self.timeout, left))
            except ConnectionRefusedError as error:
                why = "%s: %s" % (member.url, error)
                continue
            except OSError as error:
                why = "%s: %s" % (member.url, error or "no answer")
                sent = True
                if not again:
                    break
                continue
            answer = _document(text)
            if status == 200 and answer is not None:
                self._members.remove(member)
                self._members.insert(0, member)
                return answer
            said = str((answer or {}).get("message") or (answer or {}).get("error") or "HTTP %d" % status)
            why = "%s: %s" % (member.url, said)
            if any(word in said for word in DEFINITE):
                raise Refused(why)
            sent = True
            if not again:
                break
        self._members.append(self._members.pop(0))
        raise Unknown(why) if sent else Refused(why)

    def watch(self, start: str, end: str, silence: float) -> Iterator[List[Tuple[str, bool]]]:
        """Changes of the keys from one to before another: (key, whether it is there), as they happen.

        The first is empty, once nothing can be missed any more. It ends when nothing happened for `silence` seconds;
        the next one asks another member, since this one may be cut off.

        :raises OSError: when the member ends it, or cannot be reached.
        """
        member = self._members[0].again()  # with a connection of its own
        question = {"create_request": {"key": encoded(start), "range_end": encoded(end)}}
        try:
            for line in member.lines("/v3/watch", json.dumps(question).encode(), silence):
                events = ((_document(line) or {}).get("result") or {}).get("events") or ()
                yield [(decoded(event["kv"]["key"]), event.get("type") != "DELETE") for event in events]
        except socket.timeout:
            return
        except (OSError, http.client.HTTPException) as error:
            raise _plain(error) from error
        finally:
            member.close()
            if self._members[0].url == member.url:
                self._members.append(self._members.pop(0))

    def close(self) -> None:
        for member in self._members:
            member.close()


def _document(text: bytes) -> Optional[Json]:
    try:
        found = json.loads(text.decode("utf-8"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# --- the gateway's forms


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8")


def after(prefix: str) -> str:
    """The first key behind all that begin with this."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def put(key: str, value: str, lease: str = "") -> Json:
    """:param lease: with which it ends."""
    return {"request_put": {"key": encoded(key), "value": encoded(value), **({"lease": lease} if lease else {})}}


def delete(key: str, end: str = "") -> Json:
    question = {"key": encoded(key)}
    if end:
        question["range_end"] = encoded(end)
    return {"request_delete_range": question}


def get(key: str, end: str = "", limit: int = 0, newest: bool = False, keys_only: bool = False) -> Json:
    question: Json = {"key": encoded(key)}
    if end:
        question["range_end"] = encoded(end)
    if limit:
        question["limit"] = str(limit)
    if newest:
        question.update(sort_order="DESCEND", sort_target="KEY")
    if keys_only:
        question["keys_only"] = True
    return {"request_range": question}


def unchanged(key: str, mod_revision: int) -> Json:
    """A comparison: the key was last written then; 0: it is not there."""
    return {"key": encoded(key), "target": "MOD", "mod_revision": str(mod_revision), "result": "EQUAL"}


def made(key: str, revision: int) -> Json:
    """A comparison: the key was made then, and is the same one since; 0: it is not there."""
    return {"key": encoded(key), "target": "CREATE", "create_revision": str(revision), "result": "EQUAL"}


class Found:
    """A key and its value."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.key = decoded(document["key"])
        self.value = decoded(document.get("value") or "")
        self.mod_revision = int(document.get("mod_revision") or 0)
        self.create_revision = int(document.get("create_revision") or 0)
        self.lease = str(document.get("lease") or "")


def found(response: Mapping[str, Any]) -> List[Found]:
    """What a range of a transaction's answer holds."""
    return [Found(entry) for entry in (response.get("response_range") or {}).get("kvs") or ()]
