# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps an inventory may keep its keys in another order: what is made of it is the same to the byte.

Sources: AWX keeps an inventory as `ansible-inventory --list` prints it, with sorted keys, and so restarted every
application that a checkout had deployed, and the checkout those of AWX (ansible/ansible lib/ansible/cli/inventory.py,
`sort_keys=True`; ansible/awx#6773 and ansible/ansible#55041 are about the order of variables and hosts).
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.compile import compiler
from monitor.core.model import sequence, site
from tests.field.test_text import FEW, Renderer
from tests.unit.embedded_site import raw_site

# All that a site may name as a mapping.
ITEMS: list[Any] = [
    {"id": "01", "limits": {"low": 1, "high": {"warn": 7, "stop": 9}}, "area": "north"},
    {"id": "02", "limits": {"low": 2, "high": {"warn": 8, "stop": 9}}, "area": "south"},
]


def rich_site() -> dict[str, Any]:
    raw = raw_site(muster_items=copy.deepcopy(ITEMS))
    application = raw["muster_applications"]["scen2_srv"]
    program = next(iter(application["programs"].values()))
    program["environment"] = {"ALL": "{{ item.limits }}", "A": "1", "Z": "2", "LIST": "{{ levels | list }}"}
    application["program_rules"] = {"^sensor_": {"expected_loading": 3}, "^.ensor_": {"expected_loading": 4}}
    raw["inventory"]["hosts"]["server_2"]["muster_service_manager"] = "systemd"
    return raw


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(entry, chance) for entry in value] if isinstance(value, list) else value


def as_awx_has_it(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


def reordered(raw: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same inventory in another order of keys: hosts and groups are keys, too."""
    found: dict[str, Any] = shuffled(raw, chance)
    inventory = found["inventory"]
    for names in (inventory["muster_hosts"], *inventory["groups"].values()):
        chance.shuffle(names)
    for host in inventory["hosts"].values():
        chance.shuffle(host["groups"])
    return found


def text_of(raw: dict[str, Any]) -> str:
    return json.dumps(site.site_to_json(compiler.compile_site(raw)))


@FEW
@given(st.integers())
def test_the_site_is_the_same_whatever_the_order_of_keys(seed: int) -> None:
    assert text_of(reordered(rich_site(), random.Random(seed))) == text_of(rich_site())


def test_a_value_that_differs_makes_another_site() -> None:
    other = rich_site()
    other["muster_items"][0]["limits"]["high"]["stop"] = 10
    assert text_of(other) != text_of(rich_site())


@pytest.fixture(scope="module")
def render() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.end()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_rendered_is_the_same_whatever_the_order_of_keys(seed: int, render: Renderer) -> None:
    levels = {"warn": 1, "alarm": 2, "off": 3}
    chance = random.Random(seed)
    there = render(compiler.compile_site(rich_site()), levels=levels)
    other = render(compiler.compile_site(reordered(rich_site(), chance)), levels=shuffled(levels, chance))
    sorted_keys = render(compiler.compile_site(as_awx_has_it(rich_site())), levels=as_awx_has_it(levels))
    assert there["files"] and there["digests"]
    assert other == there
    assert sorted_keys == there


def test_the_order_of_starts_follows_ranks_and_names_and_services_come_before_windows() -> None:
    made = compiler.compile_site(reordered(rich_site(), random.Random(1)))
    assert [application.on_request for application in made.applications] == sorted(
        application.on_request for application in made.applications
    )
    for application in made.applications:
        ranks = [program.start_sequence or 1000 for program in application.programs]
        assert ranks == sorted(ranks)
    assert [host.name for host in made.hosts][:3] == ["server_1", "server_2", "server_3"]


@given(st.lists(st.text(st.sampled_from("ab019_"), max_size=6), max_size=8))
def test_names_have_one_order(names: list[str]) -> None:
    ordered = sorted(names, key=sequence.natural)
    names.reverse()
    assert sorted(names, key=sequence.natural) == ordered
    assert sorted(["s_10", "s_2", "s_02"], key=sequence.natural) == ["s_02", "s_2", "s_10"]
