# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are ready later than they run: the next rank waits for them, whatever the service manager."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.machine import notify
from tests.integration.host.host_in_a_folder import Host, host_fixture, program, wait_for  # noqa: F401 - a fixture
from tests.integration.host.host_texts import PYTHON

SAYS = """
import os, socket, sys, time
root = os.environ["MUSTER_ROOT"]
while not os.path.exists(root + "/var/go"):
    time.sleep(0.01)
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for text in sys.argv[1:]:
    one.sendto(text.encode().replace(b"|", b"\\n"), os.environ["NOTIFY_SOCKET"])
time.sleep(1000)
"""
LISTENS = """
import os, socket, sys, time
root = os.environ["MUSTER_ROOT"]
one = socket.socket()
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
one.bind((os.environ["MUSTER_ADDRESS"], int(os.environ["MUSTER_PORT_CLIENT"])))
one.listen()
while True:
    other = one.accept()[0]
    said = other.recv(4096).decode()
    status = "204 Fine" if os.path.exists(root + "/var/go") and "GET /up " in said else "503 Not yet"
    other.sendall(("HTTP/1.1 %s\\r\\n\\r\\n" % status).encode())
    other.close()
"""
# A short-lived child says it and is gone before anybody looks, as systemd-notify is.
CHILD = ("import os,socket;socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b'READY=1',"
         "os.environ['NOTIFY_SOCKET'])")


def script(host: Host, name: str, text: str) -> str:
    path = Path(host.folder, name)
    path.write_text(text)
    return str(path)


def notifying(host: Host, *texts: str, **extra: Any) -> dict[str, Any]:
    path = notify.below("app_01", "core")
    return program("core", 2, [PYTHON, script(host, "says.py", SAYS), *texts], ready={"type": "notify"},
                   environment={"NOTIFY_SOCKET": "@@root@@" + path}, **extra)


def started(host: Host) -> Callable[[], dict[str, Any]]:
    """Start app_01 aside. :return: what waits for the result."""
    found: list[dict[str, Any]] = []
    aside = threading.Thread(target=lambda: found.append(host.do("start", "app_01", 1)))
    aside.start()

    def over() -> dict[str, Any]:
        aside.join(60)
        return found[0]

    return over


def runs(host: Host) -> set[str]:
    return {process.program for process in host.processes("app_01")}


def go(host: Host) -> None:
    Path(host.root, "var/go").touch()


@pytest.mark.parametrize("texts", [("STATUS=soon", "READY=1"), ("STATUS=here|READY=1|MAINPID=1",)])
def test_the_next_rank_waits_until_it_says_so(host: Host, texts: tuple[str, ...]) -> None:
    host.define("app_01", [program("bus", 1), notifying(host, *texts), program("edge", 3)])
    over = started(host)
    wait_for(lambda: runs(host) >= {"bus", "core"}, "it runs, and is not ready")
    path = Path(host.root + notify.below("app_01", "core"))
    wait_for(path.exists, "its socket")
    assert "edge" not in runs(host)
    go(host)
    assert over()["result"] == "running"
    assert set(host.pids("app_01")) == {"bus", "core", "edge"}
    assert not path.exists()


def test_a_child_that_is_gone_may_have_said_it(host: Host) -> None:
    says = '"%s" -c "%s"; exec sleep 1000' % (PYTHON, CHILD)
    core = {**notifying(host), "command": ["/bin/sh", "-c", says]}
    host.define("app_01", [program("bus", 1), core, program("edge", 3)])
    answer = host.do("start", "app_01", 1)
    assert (answer["result"], answer["failed"]) == ("running", {}), answer


@pytest.mark.parametrize("text", ["READY=0", "XREADY=1", "STATUS=READY=1", ""])
def test_what_only_looks_like_it_is_not_enough(host: Host, text: str) -> None:
    host.define("app_01", [program("bus", 1), notifying(host, text, start_timeout=1.0), program("edge", 3)])
    go(host)
    answer = host.do("start", "app_01", 1)
    assert answer["result"] == "failed" and "did not become ready within 1" in answer["reason"], answer
    assert runs(host) == set()  # strategy stop


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can send as somebody else")
def test_another_user_cannot_say_it(host: Host) -> None:
    host.define("app_01", [program("bus", 1), notifying(host, "STATUS=no", start_timeout=3.0), program("edge", 3)])
    os.chmod(host.folder, 0o755)
    for name in ("", "/run"):
        os.chmod(host.root + name, 0o755)
    over = started(host)
    path = host.root + notify.below("app_01", "core")
    wait_for(lambda: os.path.exists(path) and "core" in runs(host), "its socket")
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", path)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0  # it was sent
    assert "did not become ready" in over()["reason"]


def test_an_end_before_it_is_ready_is_a_failure_at_once(host: Host) -> None:
    host.define("app_01", [program("bus", 1), {**notifying(host), "command": ["dummy/say", "no disk", "4"]},
                           program("edge", 3)])
    answer = host.do("start", "app_01", 1)
    assert answer["result"] == "failed" and "exited with 4 (no disk)" in answer["reason"], answer


def test_one_that_may_be_missing_delays_the_others_only(host: Host) -> None:
    host.define("app_01", [program("bus", 1), notifying(host, "STATUS=no", start_timeout=0.5, required=False),
                           program("edge", 3)])
    answer = host.do("start", "app_01", 1)
    assert answer["result"] == "running" and "did not become ready" in answer["failed"]["core"], answer
    assert "edge" in host.pids("app_01")


def test_a_port_that_answers(host: Host) -> None:
    ready = {"type": "tcp", "port": "client"}
    late = ["/bin/sh", "-c", 'until [ -e "$MUSTER_ROOT/var/go" ]; do sleep 0.02; done; exec "$0" "$1"',
            PYTHON, script(host, "listens.py", LISTENS)]
    host.define("app_01", [program("core", 1, late, ready=ready), program("edge", 2)],
                ports={"client": 23001})
    over = started(host)
    wait_for(lambda: "core" in runs(host), "it runs")
    assert "edge" not in runs(host)
    go(host)
    assert over()["result"] == "running"
    assert set(host.pids("app_01")) == {"core", "edge"}


def test_a_page_that_answers_well(host: Host) -> None:
    core = [PYTHON, script(host, "listens.py", LISTENS)]
    host.define("app_01", [program("core", 1, core, ready={"type": "http", "port": "client", "path": "/up"}),
                           program("edge", 2)], ports={"client": 23001})
    over = started(host)
    wait_for(lambda: "core" in runs(host), "it runs, and answers 503")
    assert "edge" not in runs(host)
    go(host)
    assert over()["result"] == "running"


def test_a_single_program_is_waited_for_too(host: Host) -> None:
    host.define("app_01", [program("bus", 1), notifying(host, "READY=1"), program("edge", 3)])
    go(host)
    assert host.do("start", "app_01", 1)["result"] == "running"
    answer = host.do("renew", "app_01", 1, only=["core"])
    assert (answer["result"], answer["failed"]) == ("running", {}), answer
