# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ordinary user of the machine does to the API: `python3 flood.py KIND ADDRESS PORT COUNT`.

It runs as that user, with the standard library only, until it is ended. It says "ready" once all is under way.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading
import time

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/v1/what-if HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
STATUS = b"/api/v1/status"
STREAM = b"/api/v1/events/stream?after=0"


def connected(place: tuple[str, int]) -> socket.socket | None:
    made = socket.socket()
    made.settimeout(5)
    try:
        made.connect(place)
    except OSError:
        made.close()
        return None
    return made


def held(place: tuple[str, int], count: int, first: bytes, drip: bytes = b"", read: bool = True) -> None:
    """Hold so many connections, each made again as soon as it ends; send `drip` to each every second."""
    links: dict[socket.socket, None] = {}
    look = selectors.DefaultSelector()
    told = False
    while True:
        for _unused in range(count - len(links)):
            made = connected(place)
            if made is None:
                break
            with contextlib.suppress(OSError):
                made.sendall(first)
            links[made] = None
            if read:
                look.register(made, selectors.EVENT_READ)
        if not told:
            told = True
            print("ready", flush=True)
        end = time.monotonic() + 1.0
        while read and time.monotonic() < end:
            for key, _mask in look.select(max(0.0, end - time.monotonic())):
                link = key.fileobj
                assert isinstance(link, socket.socket)
                try:
                    if link.recv(1 << 16):
                        continue
                except OSError:
                    pass
                look.unregister(link)
                links.pop(link, None)
                link.close()
        if not read:
            time.sleep(1.0)
        for link in links if drip else ():
            with contextlib.suppress(OSError):
                link.sendall(drip)


def asked(place: tuple[str, int], count: int, request: bytes) -> None:
    """Send a request again and again, from so many threads, and read the answers."""

    def again() -> None:
        while True:
            made = connected(place)
            if made is None:
                continue
            with made, contextlib.suppress(OSError):
                made.settimeout(30)
                made.sendall(request)
                while made.recv(1 << 16):
                    pass

    for _unused in range(count):
        threading.Thread(target=again, daemon=True).start()
    print("ready", flush=True)
    time.sleep(3600)


def posted(body: bytes) -> bytes:
    return POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def main() -> None:
    kind, address, port, count = sys.argv[1:5]
    place, many = (address, int(port)), int(count)
    keys = json.dumps({str(number): 1 for number in range(1000, 7500)}).encode()
    names = json.dumps({"down": ["server_%d" % number for number in range(2000)]}).encode()
    query = STATUS + b"?" + b"&".join(b"a%d=1" % number for number in range(2000))
    close = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    if kind == "idle":
        held(place, many, b"")
    elif kind == "slow-head":
        held(place, many, b"GET /api/v1/status HTTP/1.1\r\n", b"X: y\r\n")
    elif kind == "slow-body":
        held(place, many, POST + b"Content-Length: 60000\r\n\r\n", b" ")
    elif kind == "huge-body":
        asked(place, many, POST + b"Connection: close\r\nContent-Length: 10000000\r\n\r\n" + b" " * 10_000_000)
    elif kind == "endless-body":
        held(place, many, POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 0x1000 + b"\r\n")
    elif kind == "streams":
        held(place, many, GET % STREAM)
    elif kind == "unread":
        held(place, many, GET % STREAM + GET % STATUS, GET % STATUS, read=False)
    elif kind == "keys":
        asked(place, many, posted(keys))
    elif kind == "names":
        asked(place, many, posted(names))
    elif kind == "query":
        asked(place, many, close % query)
    elif kind == "status":
        asked(place, many, close % STATUS)


if __name__ == "__main__":
    main()
