# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster-notify`: takes an alarm or a verdict from standard input, and tells it by mail, webhook, syslog, NATS, MQTT.

A hook's command may begin with that word. Secrets come from files, never from arguments. It ends with 0 once the other
side has taken the message, else with 1 and one sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import http.client
import json
import re
import smtplib
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ..core.model.text import printable
from . import notify_bus

Json = dict[str, Any]
SECONDS = 10.0  # for each step of the other side
TRIES = (0.0, 1.0, 3.0)  # s before each try
SEVERITY = {"high": 2, "medium": 4, "low": 5}  # of syslog: critical, warning, notice
INFORMATION = 6
FACILITY = 16  # local0
LOCAL = "/dev/log"


class NotTold(Exception):
    """The other side has not taken it; the text is one sentence."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        document = json.load(sys.stdin)
        options.way(options, document)
    except (NotTold, notify_bus.NotTaken) as error:
        print(_sentence(error))
        return 1
    except (OSError, ValueError, smtplib.SMTPException) as error:
        print("%s: %s" % (options.what, _sentence(error)))
        return 1
    return 0


def _sentence(error: Exception) -> str:
    """An error in one line: it may quote what the other side answered."""
    return " ".join(printable(str(error) or type(error).__name__).split())


def headline(document: Json) -> str:
    """One line: ``high raised: server_2 is down``."""
    if "alarm" in document:
        says = document["says"] or document["alarm"]
        text = "%s %s: %s" % (document["priority"], document["event"], says)
    else:
        text = "item %s is %s, was %s: %s" % tuple(document[k] for k in ("item", "verdict", "before", "cause"))
    return " ".join(printable(text.strip(), 200).split())


def mail(options: argparse.Namespace, document: Json) -> None:
    message = EmailMessage()
    message["Subject"] = "[%s] %s" % (printable(str(document["site"]), 60), headline(document))
    message["From"], message["To"] = options.sender, ", ".join(options.to)
    message["X-Muster-Id"] = "%s" % document.get("id", "")
    message.set_content(_text(document))
    host, port = _place(options.server, 25)
    server = smtplib.SMTP(host, port, timeout=SECONDS)
    try:
        if options.tls:
            server.starttls(context=ssl.create_default_context(cafile=options.ca or None))
        if options.user:
            server.login(options.user, _secret(options.password_file))
        refused = server.send_message(message)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()  # it has the mail, whatever it says now: to send it again would be a second one
    finally:
        server.close()
    if refused:
        raise NotTold("mail: %s took it for some only: %s" % (options.server, ", ".join(sorted(refused))))


def _text(document: Json) -> str:
    lines = [headline(document), ""]
    lines += ["%s: %s" % (key, ", ".join(value) if isinstance(value, list) else value)
              for key, value in document.items() if value not in ("", [], None) and key not in ("says", "at", "since")]
    if document.get("at"):
        lines.append("at: %s" % time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(document["at"])))
    return "\n".join(printable(line, 2000) for line in lines) + "\n"


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the message would go on as a GET without its body, or to a place that nobody named."""

    def redirect_request(self, *_facts: Any) -> None:
        return None


def webhook(options: argparse.Namespace, document: Json) -> None:
    """POST it. With a secret it is signed: HMAC-SHA256 over time stamp, a dot, and the body."""
    body, at = json.dumps(document, separators=(",", ":")).encode(), "%d" % time.time()
    address = _secret(options.url_file) if options.url_file else options.url
    if not address.startswith(("http://", "https://")):
        raise NotTold("webhook: %s is no http or https address" % (options.url_file or _shown(address)))
    headers = {"Content-Type": "application/json", "X-Muster-Timestamp": at}
    if options.secret_file:
        key = _secret(options.secret_file).encode()
        headers["X-Muster-Signature"] = "sha256=" + hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    context = ssl.create_default_context(cafile=options.ca or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Here())
    why = ""
    for pause in TRIES:
        time.sleep(pause)
        request = urllib.request.Request(address, body, headers, method="POST")
        try:
            with opener.open(request, timeout=SECONDS):
                return
        except urllib.error.HTTPError as error:
            why = "it answered with %d" % error.code
            if error.code < 500 and error.code != 429:
                break
        except http.client.InvalidURL:
            why = "there is a character in it that no address has"
            break
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
    raise NotTold("webhook: %s has not taken it: %s" % (_shown(address), why))


def _shown(address: str) -> str:
    """The server of an address, as logs may have it: path and query of a chat's address are its password."""
    scheme, _unused, rest = address.partition("://")
    return "%s://%s" % (scheme, re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2])


def syslog(options: argparse.Namespace, document: Json) -> None:
    """One line, RFC 5424 to a host, RFC 3164 to the local socket."""
    over = document.get("event") in ("cleared", "over", "acknowledged", "shelved")
    severity = INFORMATION if over else SEVERITY.get(str(document.get("priority")), INFORMATION)
    head, text = "<%d>" % (FACILITY * 8 + severity), "%s: %s" % (document["site"], headline(document))
    if options.server:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(document.get("at") or time.time()))
        line = "%s1 %s %s muster - %s - %s" % (head, stamp, socket.gethostname(), document.get("event") or "-", text)
        host, port = _place(options.server, 514)
        if options.tcp:
            with socket.create_connection((host, port), SECONDS) as connection:
                connection.sendall(b"%d %s" % (len(line.encode()), line.encode()))
            return
        family, _kind, _protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(line.encode(), address)
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(("%smuster: %s" % (head, text)).encode(), options.socket)


def nats(options: argparse.Namespace, document: Json) -> None:
    """Publish it below a subject: SUBJECT.<kind>, or SUBJECT.verdict."""
    subject = "%s.%s" % (options.subject, document.get("kind") or "verdict")
    password = _secret(options.password_file) if options.password_file else ""
    notify_bus.nats(_place(options.server, 4222), subject, _json(document), options.user, password, _tls(options))


def mqtt(options: argparse.Namespace, document: Json) -> None:
    """Publish it retained, one topic per alarm; one that is over leaves its topic."""
    name = str(document.get("alarm") or "item:%s" % document.get("item"))
    topic = "%s/%s" % (options.topic, "".join(c if c.isalnum() or c in "-_.:" else "_" for c in name))
    payload = b"" if document.get("event") == "over" else _json(document)
    password = _secret(options.password_file) if options.password_file else ""
    notify_bus.mqtt(_place(options.server, 1883), topic, payload, options.user, password, _tls(options))


def _json(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=options.ca or None) if options.tls else None


def _secret(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip()


def _place(written: str, port: int) -> tuple[str, int]:
    """HOST, HOST:PORT or [ADDRESS]:PORT."""
    host, colon, number = written.rpartition(":")
    if not colon or not number.isdigit() or (":" in host and not host.endswith("]")):
        return written.strip("[]"), port
    return host.strip("[]"), int(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="muster-notify", description=__doc__, allow_abbrev=False)
    ways = parser.add_subparsers(dest="what", required=True)

    def way(name: str, function: Any, text: str, server: str = "") -> argparse.ArgumentParser:
        sub = ways.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(way=function)
        if server:
            sub.add_argument("--server", default=server, metavar="HOST[:PORT]", help="default: %s" % server)
            sub.add_argument("--user", default="")
            sub.add_argument("--password-file", default="", metavar="FILE")
            sub.add_argument("--tls", action="store_true", help="encrypted, with the server's certificate checked")
        sub.add_argument("--ca", default="", metavar="FILE", help="certificates to check with; default: the system's")
        return sub

    post = way("mail", mail, "send a mail", "127.0.0.1:25")
    post.add_argument("--to", action="append", required=True, metavar="ADDRESS", help="may be repeated")
    post.add_argument("--from", dest="sender", default="muster@localhost", metavar="ADDRESS")
    hook = way("webhook", webhook, "POST to an address, signed")
    where = hook.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", default="", metavar="ADDRESS")
    where.add_argument("--url-file", default="", metavar="FILE", help="it has the address: that of a chat is a secret")
    hook.add_argument("--secret-file", default="", metavar="FILE", help="key of the signature")
    log = way("syslog", syslog, "write a line to syslog")
    log.add_argument("--socket", default=LOCAL, metavar="PATH", help="default: %s" % LOCAL)
    log.add_argument("--server", default="", metavar="HOST[:PORT]", help="instead of the local one")
    log.add_argument("--tcp", action="store_true", help="by TCP instead of UDP")
    way("nats", nats, "publish on NATS", "127.0.0.1:4222").add_argument("--subject", default="muster.alarms")
    way("mqtt", mqtt, "publish on MQTT, retained", "127.0.0.1:1883").add_argument("--topic", default="muster/alarms")
    return parser


if __name__ == "__main__":
    sys.exit(main())
