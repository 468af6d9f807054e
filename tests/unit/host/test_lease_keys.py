# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's key for leases was lost with its controller: hosts get another one, and none stops answering."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest

from monitor.core.host.lease import messages
from monitor.core.host.lease.settings import Settings
from monitor.core.host.prepare import _keys

HOSTS = ("one", "two", "three")
OLD, NEW = os.urandom(32), os.urandom(32)


def lease(host: str, master: bytes) -> dict[str, Any]:
    return {
        "site_id": "s", "host": host, "address": "127.0.0.1", "port": 1, "length": 2.0, "margin": 0.5, "error": 0.001,
        "longest": 2.0, "keys": [[messages.key_name(master).hex(), messages.derive(master, host).hex()]],
        "masters": [master.hex()], "witnesses": {name: ["127.0.0.1", 1] for name in HOSTS},
    }  # fmt: skip


def prepared(known: dict[str, Any], master: bytes) -> dict[str, Any]:
    coming = lease(known["host"], master)
    return {**coming, **_keys(known, coming)}


def answers(asker: dict[str, Any], witness: dict[str, Any]) -> bool:
    """Whether a witness can read a question of another host, and that host its answer."""
    asks, at = Settings(asker), Settings(witness)
    sending = asks.own.sending(asks.host)
    assert sending is not None
    name, key = sending
    return at.masters.key(name, asks.host) == key


@pytest.mark.parametrize("order", list(itertools.permutations(HOSTS)))
def test_hosts_that_get_another_key_one_by_one_answer_each_other_all_the_time(order: tuple[str, ...]) -> None:
    known = {name: lease(name, OLD) for name in HOSTS}
    for _deploy in range(3):
        for host in order:
            known[host] = prepared(known[host], NEW)
            for asker, witness in itertools.product(HOSTS, HOSTS):
                assert answers(known[asker], known[witness]), (host, asker, witness)
    assert all(document["masters"] == [NEW.hex()] for document in known.values()), "the lost key is gone"


def test_the_steps_of_a_rotation_are_taken_as_they_come() -> None:
    both = {key: [*lease("one", OLD)[key], *lease("one", NEW)[key]] for key in ("keys", "masters")}
    turned = {key: both[key][::-1] for key in both}
    known = lease("one", OLD)
    for step in ({**known, **both}, {**known, **turned}, lease("one", NEW)):
        known = {**step, **_keys(known, step)}
        assert known == step


def test_a_host_of_another_site_gets_the_new_key_alone() -> None:
    before = {**lease("one", OLD), "site_id": "other"}
    assert prepared(before, NEW)["masters"] == [NEW.hex()]
