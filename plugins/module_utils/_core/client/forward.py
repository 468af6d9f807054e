# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster page`: forwards the browser of one user of a console to the monitor."""

from __future__ import annotations

import argparse
import os
import socket
import threading

from ..host import relay
from . import api, peer
from .commands import FAILED, NO_ANSWER, say

PORT = 8770


class NoWay(Exception):
    """The monitor cannot be reached from here; the text is one sentence.

    :param code: the exit code.
    """

    def __init__(self, sentence: str, code: int = NO_ANSWER) -> None:
        super().__init__(sentence)
        self.code = code


def page(options: argparse.Namespace, remote: api.Remote) -> int:
    """Forward the browser of this user, and of no other user, to the monitor, until this command ends."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", options.port))
    except OSError as error:
        raise NoWay("port %d is not available (%s): choose another one with --port" % (
            options.port, error.strerror or error), FAILED) from None
    made.listen(64)
    page = "http://127.0.0.1:%d/" % made.getsockname()[1]
    say(page + " is the page of this console for you, until you end this command with Ctrl-C")
    while True:
        person = made.accept()[0]
        threading.Thread(target=_let_in, args=(person, remote.path), daemon=True).start()


def _let_in(person: socket.socket, path: str) -> None:
    """Forward one connection, if it is of this user: other users of the machine reach its loopback as well."""
    with person:
        try:
            who = peer.tcp_user(person.getpeername()[:2], person.getsockname()[:2])
            if who != os.getuid():
                person.recv(relay.MAX_PART_BYTES)
                person.sendall(_answer("403 Forbidden", "this is the page of another user: run `muster page` yourself"))
                return
            monitor = api.connect(path)
            if monitor is None:
                person.recv(relay.MAX_PART_BYTES)
                person.sendall(_answer("503 Service Unavailable", "the monitor has no line to this machine now"))
                return
            with monitor:
                monitor.settimeout(None)
                relay.join(person, monitor)
        except OSError:
            return  # one end is gone


def _answer(status: str, sentence: str) -> bytes:
    head = "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n"
    return (head % (status, sentence)).encode("utf-8")
