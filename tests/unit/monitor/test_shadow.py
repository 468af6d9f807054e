# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe in shadow: the monitor reports once what it would do, and does nothing."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.model.probe import Probe
from monitor.core.report.attention import MOST, notes
from monitor.judge.health import Kind
from monitor.judge.intents import Intents
from monitor.judge.shadow import Shadows
from monitor.judge.wishes import decide
from tests.unit.monitor.watch_lists import TARGET, common_bus, entry, health, watch

SHADOWED = replace(TARGET, how=Probe("nats", shadow=True))
BUS = ("scen2_srv_01", 1)


def test_its_wish_is_marked_and_never_queued() -> None:
    seen = watch(entry("scen2_srv_01", target=SHADOWED), entry("scen2_srv_02"))
    sick = {BUS: health(Kind.GONE), ("scen2_srv_02", 1): health(Kind.GONE)}
    wishes = decide(seen, sick, {}, 0.0)
    assert [(wish.instance, wish.what, wish.shadow) for wish in wishes] == [
        ("scen2_srv_01", "restart", True),
        ("scen2_srv_02", "restart", False),
    ]
    assert [intent.wish.instance for intent in Intents("x").offer(wishes, 0.0)] == ["scen2_srv_02"]


def test_a_gate_that_waits_for_a_service_in_shadow_stays_closed() -> None:
    deferred = {"deferred": ("check_common_data_bus",), "waits_for": "common_data_bus"}
    service = replace(common_bus("server_1"), target=SHADOWED)
    seen = watch(entry("scen2_srv_01", **deferred), services=[service])
    answers = {("common_data_bus", "server_1"): health(Kind.ANSWERED)}
    [wish] = decide(seen, {BUS: health(Kind.ANSWERED)}, answers, 0.0)
    assert (wish.what, wish.shadow) == ("continue", True)


def test_an_intent_that_was_queued_is_withdrawn_when_its_probe_goes_into_shadow() -> None:
    intents = Intents("x")
    sick = {BUS: health(Kind.GONE)}
    intents.offer(decide(watch(entry("scen2_srv_01")), sick, {}, 0.0), 0.0)
    assert len(intents) == 1
    intents.offer(decide(watch(entry("scen2_srv_01", target=SHADOWED)), sick, {}, 0.0), 0.0)
    assert len(intents) == 0


def test_its_wish_is_reported_once_while_it_lasts() -> None:
    shadows = Shadows()
    seen = watch(entry("scen2_srv_01", target=SHADOWED))
    wishes = decide(seen, {BUS: health(Kind.GONE)}, {}, 0.0)
    assert shadows.note(wishes, 100.0) == wishes
    assert shadows.note(wishes, 101.0) == []
    [told] = shadows.to_json()
    assert (told["instance"], told["what"], told["at"]) == ("scen2_srv_01", "restart", 100.0)
    assert shadows.note([], 102.0) == [] and shadows.to_json() == []
    assert shadows.note(wishes, 103.0) == wishes


class TestTheStatusTells:
    def test_a_paused_item_is_named_as_paused(self) -> None:
        held = {"what": "restart", "instance": "scen2_srv_01", "why": "it hangs", "paused": True}
        assert notes({"shadow": [held]}) == ["would restart scen2_srv_01, but it is paused: it hangs"]

    def test_notes_name_shadow_warnings_and_unknown_states(self) -> None:
        monitor = {
            "shadow": [{"what": "restart", "instance": "scen2_srv_01", "why": "it hangs"}],
            "buses": {
                "scen2_srv_01": {"state": "unhealthy", "why": "it hangs"},
                "scen2_srv_02": {"state": "healthy", "warning": "answers slowly"},
                "scen2_srv_03": {"state": "unknown", "why": "refuses the probe"},
                "scen2_srv_04": {"state": "unknown", "why": "not asked yet"},
            },
            "services": {"common_data_bus": {"server_1": {"state": "healthy", "warning": "disk nearly full"}}},
        }
        assert notes(monitor) == [
            "would restart scen2_srv_01, but its probe is in shadow: it hangs",
            "the bus of scen2_srv_02 works, with a warning: answers slowly",
            "whether the bus of scen2_srv_03 works is not known: refuses the probe",
            "common_data_bus on server_1 works, with a warning: disk nearly full",
        ]

    def test_the_first_of_many(self) -> None:
        many = {"i_%d" % number: {"state": "unknown", "why": "no route"} for number in range(100)}
        found = notes({"buses": many})
        assert len(found) == MOST and found[-1] == "and 81 more"

    def test_no_notes_without_a_monitor(self) -> None:
        assert notes({}) == []
