# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in a site's variables, it compiles or is refused with sentences: nothing in it ends the compiler.

Sources: yaml/pyyaml#123 and its like (what is written is not what was meant: octal numbers, booleans, empty values),
python/cpython#95778 (numbers of thousands of digits), amphp/http-server#372, openwisp/openwisp-controller#367,
urllib3/urllib3#1297, openbikesensor/portal#301 (names of hosts), hjson and templates of Ansible that make any type of
any value.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from monitor.core.compile.compiler import compile_site
from monitor.core.compile.errors import SiteErrors
from tests.unit.embedded_site import raw_site

ODD: list[Any] = [
    None, True, -1, 0, 1e308, float("nan"), float("inf"), -0.0, 10**5000, 10**18, "", " ", "\u00b2", "\x00", "\n",
    "a\nb", "\ud800", "{{ x }}", "%s", "x" * 100000, "9" * 4400, "01\n", "../x", "/", "~", "-rf", "\u202ex", "1e400",
    "0x1F", "\u0661", b"x", "nan",
    [], {}, [[]], [None], {"": ""}, {1: 2}, {None: None}, {"probe": 1}, [{}], {"a": {"b": {}}},
]  # fmt: skip
KEYS = ["", "\u00b2", "None", "a b", "x" * 1000, "\n", 1, None]


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document that can get another value. Names of hosts and groups are Ansible's."""
    found = [way] if way and (way[0] != "inventory" or (len(way) > 3 and way[3] != "groups")) else []
    if way[:2] == ("inventory", "groups"):
        return []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        found += places(entry, (*way, key))
    return found


def spoiled(raw: dict[str, Any], chance: random.Random) -> tuple[dict[str, Any], list[Any]]:
    """A copy with an odd value, or an odd key, in one or two places."""
    changed, what = copy.deepcopy(raw), []
    for _unused in range(chance.choice((1, 1, 2))):
        way, odd = chance.choice(places(changed)), copy.deepcopy(chance.choice(ODD))
        holder: Any = changed
        for key in way[:-1]:
            holder = holder[key]
        if isinstance(holder, dict) and chance.random() < 0.2:
            odd, way = holder[way[-1]], (*way[:-1], chance.choice(KEYS))
        holder[way[-1]] = odd
        what.append((way, repr(odd)[:60] if not isinstance(odd, int) else "a number"))
    return changed, what


@pytest.mark.parametrize("seed", range(4))
def test_a_site_with_odd_values_compiles_or_is_refused_with_sentences(seed: int) -> None:
    raw, chance = raw_site(), random.Random(seed)
    refused = 0
    for _unused in range(300):
        changed, what = spoiled(raw, chance)
        try:
            compile_site(changed)
        except SiteErrors as errors:
            refused += 1
            assert all(line.isprintable() for line in str(errors).splitlines()), what
        except Exception as error:
            raise AssertionError("%s: %s" % (what, error)) from error
    assert refused > 100


@pytest.mark.parametrize("address", [
    "::1", "2001:db8::", "fd00::1", "server_1", "my_host.local", "host.example.org.", "127.1", "10.0.0.1", "X-1",
])  # fmt: skip
def test_an_address_may_be_whatever_leads_to_a_host(address: str) -> None:
    site = compile_site(raw_site(inventory__hosts__server_1__muster_address=address))
    assert site.host("server_1").address == address


@pytest.mark.parametrize("address", [
    "10.0.0.1:22", "host:80", "fe80::1%eth0", "[::1]", "b\u00fcro.local", "-a", "a b", "::1::", "", ".", "a..b",
    "x" * 64, "a\n", 7, None,
])  # fmt: skip
def test_what_leads_to_none_is_refused(address: Any) -> None:
    with pytest.raises(SiteErrors, match="must be an IP address or a host name"):
        compile_site(raw_site(inventory__hosts__server_1__muster_address=address))
