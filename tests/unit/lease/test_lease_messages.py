# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datagrams: only what is whole, proven, for this site and this receiver is taken in."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from monitor.core.host.lease import messages

MASTER = b"m" * 32
NAME, KEY = messages.key_name(MASTER), messages.derive(MASTER, "one")
ASK = {"k": "ask", "s": "site", "t": "two", "n": 7, "b": 0, "w": 2.0}


def opened(data: bytes, key: bytes = KEY, site: str = "site", to: str = "two") -> Any:
    return messages.open_sealed(data, key, site, to) if messages.envelope(data) is not None else None


def sealed(**other: Any) -> bytes:
    return messages.seal(NAME, KEY, "one", {**ASK, **other})


def test_a_datagram_says_what_was_sealed() -> None:
    assert messages.envelope(sealed()) == (NAME, "one")
    assert opened(sealed()) == ASK
    assert len(sealed()) < 200


@pytest.mark.parametrize("what", ["key", "site", "to"])
def test_what_is_for_others_is_dropped(what: str) -> None:
    other: dict[str, Any] = {what: b"x" * 32 if what == "key" else "other"}
    assert opened(sealed(), **other) is None


def test_a_change_of_any_byte_is_noticed() -> None:
    data = sealed()
    for position in range(len(data)):
        damaged = data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]
        assert opened(damaged) is None, position


def test_parts_and_noise_are_dropped() -> None:
    data, chance = sealed(), random.Random(1)
    for length in range(len(data)):
        assert opened(data[:length]) is None
    for _unused in range(2000):
        assert opened(b"MSL1" + chance.randbytes(chance.randrange(200))) is None
    assert messages.envelope(data + b"x" * messages.LARGEST) is None


@pytest.mark.parametrize(
    "field",
    [{"n": "7"}, {"n": -1}, {"n": True}, {"n": 2**64}, {"b": None}, {"w": "2"}, {"w": -1.0}, {"w": float("nan")},
     {"k": 3}, {"h": ["x"]}, {"rest": 1e9}, {"f": 1.5}],
)  # fmt: skip
def test_fields_of_another_kind_are_dropped(field: dict[str, Any]) -> None:
    assert opened(sealed(**field)) is None


def test_deep_nesting_is_dropped() -> None:
    data = NAME + bytes((3,)) + b"one" + b"[" * 900
    assert opened(b"MSL1" + data + b"\0" * 32) is None


def test_each_host_has_a_key_of_its_own() -> None:
    host = messages.Keys(own=[(NAME, KEY)])
    assert host.key(NAME, "anybody") == KEY
    witness = messages.Keys([MASTER])
    assert witness.key(NAME, "one") == KEY != witness.key(NAME, "two")
    assert witness.key(b"none", "one") is None
    assert witness.sending("one") == (NAME, KEY)
    assert messages.Keys().sending("one") is None


def test_with_two_keys_both_are_taken_and_the_first_is_sent_with() -> None:
    new = b"n" * 32
    keys = messages.Keys([new, MASTER])
    assert keys.key(NAME, "one") == KEY
    assert keys.sending("one") == (messages.key_name(new), messages.derive(new, "one"))


def test_a_datagram_of_the_longest_names_fits() -> None:
    name = "h" * 200
    data = messages.seal(NAME, KEY, name, {**ASK, "t": name, "h": name, "f": 2**62, "n": 2**62, "b": 2**62})
    assert len(data) <= messages.LARGEST
    assert json.loads(data[9 + len(name) : -32])["h"] == name
