# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether datagrams of leases travel, tried by the real agent between addresses of this machine, without any guard."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import lease_ways as controller_ways
from monitor.core.host.lease import messages
from plugins.plugin_utils import _agent_files
from tests.integration.addresses import NET
from tests.integration.local_site import wait_for

PORT = 27010
SITE = "ways-%d" % os.getpid()
MASTER = os.urandom(32)
ADDRESSES = {name: "%s.8.%d" % (NET, at) for at, name in enumerate(("one", "two", "three", "four"), 1)}
WITNESSES = {name: [ADDRESSES[name], PORT] for name in ("one", "two", "three")}
DOCUMENT = {"site_id": SITE, "keys": [MASTER.hex()], "sets": [[[name, *where] for name, where in WITNESSES.items()]]}


def lease(name: str, master: bytes = MASTER) -> dict[str, Any]:
    key = messages.key_name(master).hex(), messages.derive(master, name).hex()
    return {
        "site_id": SITE, "host": name, "address": ADDRESSES[name], "port": PORT, "keys": [key], "length": 2.0,
        "masters": [master.hex()] if name in WITNESSES else [], "witnesses": WITNESSES, "margin": 0.5, "error": 0.001,
    }  # fmt: skip


def agent(root: Path, name: str, step: str, tried: list[str], master: bytes = MASTER) -> dict[str, Any]:
    """The agent in a process of its own, from memory, as on a host where nothing is installed yet."""
    files = _agent_files.texts()
    request = {"verb": "ways", "step": step, "tried": tried, "lease": lease(name, master),
               "host": {"host": name, "root": str(root / name)}, "agent": {"hash": "", "files": files}}  # fmt: skip
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _agent_files.CARRIED], input=json.dumps(request) + "\n",
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.partition("MUSTER:")[2])
    return answer


def end(*names: str) -> set[str]:
    return controller_ways.spoken([(name, *WITNESSES[name]) for name in names], DOCUMENT, "end")  # type: ignore[misc]


def free(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ADDRESSES[name], PORT))
        except OSError:
            return False
    return True


@pytest.fixture(name="listening")
def listening_fixture(tmp_path: Path) -> Iterator[Path]:
    for name in WITNESSES:
        assert agent(tmp_path, name, "listen", []) == {"port": "listens"}
    yield tmp_path
    assert end(*[name for name in WITNESSES if not free(name)]) is not None
    for name in WITNESSES:
        wait_for(lambda: free(name), "nothing is left of the trial")  # noqa: B023


def test_each_host_is_answered_by_each_witness_and_nothing_is_left(listening: Path) -> None:
    for name in ADDRESSES:
        found = agent(listening, name, "ask", list(WITNESSES))
        assert found["silent"] == [], name
        assert found["port"] == ("listens" if name in WITNESSES else "free")
        assert not (listening / name).exists(), "nothing is written"
    assert controller_ways.spoken([(n, *w) for n, w in WITNESSES.items()], DOCUMENT, "lift") == set(WITNESSES)  # type: ignore[misc]
    assert end(*WITNESSES) == set(WITNESSES)
    for name in WITNESSES:
        wait_for(lambda: free(name), "the listener ends on that order")  # noqa: B023


def test_only_the_witness_that_does_not_answer_is_named(listening: Path) -> None:
    assert end("one", "two") == {"one", "two"}
    wait_for(lambda: free("one") and free("two"), "their listeners are gone")
    assert agent(listening, "one", "listen", []) == {"port": "listens"}
    assert agent(listening, "four", "ask", list(WITNESSES))["silent"] == ["two"]
    assert agent(listening, "one", "ask", list(WITNESSES))["silent"] == ["two"], "a witness asks through its listener"


def test_a_listener_that_nobody_could_end_makes_room_for_the_next_trial(listening: Path) -> None:
    other = os.urandom(32)  # in check mode before the first deploy, each trial has a key of its own
    assert agent(listening, "one", "listen", [], other) == {"port": "listens"}
    assert agent(listening, "four", "ask", ["one"], other)["silent"] == []
    assert agent(listening, "one", "listen", []) == {"port": "listens"}


def test_who_has_no_key_of_the_site_is_not_answered(listening: Path) -> None:
    assert agent(listening, "four", "ask", ["one"], os.urandom(32))["silent"] == ["one"]
    name, key = messages.key_name(MASTER), messages.derive(MASTER, "four")
    body = {"k": "end", "n": 1, "b": 0, "s": SITE, "t": "one"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(20)
        line.sendto(messages.seal(name, key, "four", body), (ADDRESSES["one"], PORT))
        answer = messages.open_sealed(line.recv(2048), key, SITE, "four")
    assert answer is not None and answer["k"] == "born", "only the controller ends a listener"
    assert not free("one")


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ADDRESSES["one"], PORT))
        assert agent(tmp_path, "one", "listen", [])["port"] == "taken"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ADDRESSES["four"], PORT))
        found = agent(tmp_path, "four", "ask", ["one"])
    assert found["port"] == "taken" and "UDP port %d at %s" % (PORT, ADDRESSES["four"]) in found["why"]


def test_a_port_that_a_guard_of_ours_has_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "four" / "etc").mkdir(parents=True)
    (tmp_path / "four" / "etc" / "lease.json").write_text(json.dumps(dict(lease("four"), longest=2.0)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as guard:
        guard.bind((ADDRESSES["four"], PORT))
        found = agent(tmp_path, "four", "ask", list(WITNESSES))
    assert found["port"] == "ours" and found["silent"] == []
    assert found["known"] == sorted(WITNESSES), "it asks them already"


def test_a_host_asks_from_the_port_of_its_guard(tmp_path: Path) -> None:
    seen = []

    def take(line: socket.socket) -> None:
        seen.append(line.recvfrom(2048)[1])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(20)
        line.bind((ADDRESSES["one"], PORT))
        thread = threading.Thread(target=take, args=[line])
        thread.start()
        assert agent(tmp_path, "four", "ask", ["one"])["silent"] == ["one"]
        thread.join()
    assert seen == [(ADDRESSES["four"], PORT)]
