# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Req 25: a console that lost the link to its services, which are well, is degraded; nothing of it is touched."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from site_lab import ROOT, SiteLab, site_lab, wait_for

NAME = "scen2_hci_bus.conf.j2"


class Relay:
    """Takes connections for an address and hands them on, until it is cut; what then connects is ended at once."""

    def __init__(self, host: str, to: tuple[str, int]) -> None:
        self._to = to
        self._listening = socket.create_server((host, 0))
        self.port = int(self._listening.getsockname()[1])
        self._ends: list[socket.socket] = []
        self._open = True
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._open = False
            self._end()

    def mend(self) -> None:
        with self._lock:
            self._open = True

    def close(self) -> None:
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _end(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):  # the other side was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_hand_on, args=(one, other), daemon=True).start()


def _hand_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was cut
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def lab() -> Iterator[SiteLab]:
    with site_lab(76, muster_items=["01"]) as deployed:
        yield deployed


def test_req_25_a_lost_link_is_degraded_and_nothing_is_done(lab: SiteLab) -> None:
    bus = lab.status()["instances"]["scen2_srv_01"]
    relay = Relay(bus["address"], (bus["address"], bus["ports"]["leaf"]))
    own = lab.inventory / "templates"
    own.mkdir()
    way = '["nats-leaf://%s:%d"]' % (bus["address"], relay.port)
    (own / NAME).write_text((ROOT / "roles/programs/templates" / NAME).read_text().replace("$SCEN2_LEAF_URLS", way))
    lab.good("deploy")
    lab.start_monitor()
    lab.good("open", instances=["scen2_hci_01"], host="console_1")
    windows, services = lab.programs("scen2_hci_01"), lab.programs("scen2_srv_01")
    _shown(lab, "operational")

    relay.cut()
    verdict = _shown(lab, "degraded")
    assert verdict["cause"].startswith("services of item 01 not reachable: no link to their bus"), verdict
    assert (verdict["hci"]["state"], verdict["services"]["state"]) == ("running", "running")

    relay.mend()
    _shown(lab, "operational")
    assert (lab.programs("scen2_hci_01"), lab.programs("scen2_srv_01")) == (windows, services)
    assert {claim["epoch"] for claim in lab.claims().values()} == {1}
    relay.close()


def _shown(lab: SiteLab, verdict: str) -> dict[str, object]:
    def found() -> dict[str, object] | None:
        seen = lab.verdict("01")
        return seen if seen["verdict"] == verdict else None

    return wait_for(found, verdict, lambda: lab.verdict("01"))
