# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which member of etcd is asked first."""

from __future__ import annotations

import socket

import pytest

from monitor.core.controller.etcd import Client, is_here


@pytest.mark.parametrize("url, here", [
    ("https://127.0.0.1:2379", True), ("http://192.0.2.7:2379", False), ("http://[2001:db8::7]:2379", False),
    ("http://%s:2379" % socket.gethostname(), True), ("http://no-such-name.example:2379", False), ("nonsense", False),
])  # fmt: skip
def test_a_member_is_here_when_this_machine_has_its_address(url: str, here: bool) -> None:
    assert is_here(url) == here


def test_the_member_of_this_machine_is_asked_first_and_the_others_in_their_order() -> None:
    """A controller without power was the first in the list: each process of each run waited for it."""
    client = Client(["http://192.0.2.7:1", "http://127.0.0.1:2", "http://192.0.2.9:3"])
    assert [member.url[-1] for member in client._members] == ["2", "1", "3"]
