# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says about changed configurations: what it means, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.model import change
from monitor.core.model.shape import with_shape
from monitor.core.model.site import Application, site_from_json, site_to_json
from tests.unit.compile.refused_sites import GATE, HCI, PROGRAM, SERVICE, SRV, Case, each, refused
from tests.unit.embedded_site import changed, raw_site

SAID = "muster_applications.scen2_srv"
FILES = SRV + "/files"
RELOADED: dict[str, Any] = {FILES: {"own.conf": {"template": "own.conf.j2", "on_change": "reload"}}}

CASES: list[Case] = [
    ("a word that is unknown", {SRV + "/on_change": "reboot"}, SAID + '.on_change: "reboot" is not known here',
     ["allowed: restart, reload"]),
    ("another case", {SRV + "/on_change": "Restart"}, SAID + '.on_change: "Restart" is not known here',
     ["did you mean restart?"]),
    ("a file that nobody can reload", RELOADED, SAID + '.files["own.conf"].on_change: no program of scen2_srv can take',
     ["give a program reload"]),
    ("reload without files", {SRV + "/on_change": "reload", FILES: {}}, SAID + ".on_change: reload is about files",
     ["at a start only"]),
    ("reload that nothing asks for", {PROGRAM + "/reload": "HUP"},
     SAID + ".programs.data_processing.reload: nothing of", ["write on_change: reload"]),
    ("a gate that reloads", {**RELOADED, PROGRAM + "/reload": "HUP", GATE + "/reload": "HUP"},
     SAID + ".programs.check_common_data_bus.reload: check_common_data_bus is a gate", []),
    ("a signal that ends programs", {**RELOADED, PROGRAM + "/reload": "KILL"},
     SAID + '.programs.data_processing.reload: "KILL" is not a signal for this', ["allowed: HUP, USR1, USR2, WINCH"]),
    ("a command in one text", {**RELOADED, PROGRAM + "/reload": "nats-server --signal reload"},
     SAID + ".programs.data_processing.reload: ", ["a command is a list: [nats-server, --signal, reload]"]),
    ("a command that wants to be filled in", {**RELOADED, PROGRAM + "/reload": ["kill", "-HUP", "{{ pid }}"]},
     SAID + ".programs.data_processing.reload: ", ["MUSTER_PID"]),
    ("an unknown key of a rollout", {"muster_rollout": {"canaries": 1}}, "muster_rollout.canaries: unknown key",
     ["did you mean canary?"]),
    ("a share that is none", {"muster_rollout": {"max_parallel": "0%"}},
     'muster_rollout.max_parallel: is "0%", must be a whole number of 1 or more, or a share', []),
    ("nothing at a time", {"muster_rollout": {"max_parallel": 0}},
     "muster_rollout.max_parallel: is 0, must be of 1 or more", []),
    ("more canaries than may be down", {"muster_rollout": {"max_parallel": 2, "canary": 3}},
     "muster_rollout.canary: 3 items go ahead, but only 2 may be down", []),
    ("an unknown key of an application's rollout", {SRV + "/rollout": {"canaries": 1}},
     SAID + ".rollout.canaries: unknown key", ["did you mean canary?"]),
    ("more canaries than the application may have down", {SRV + "/rollout": {"max_parallel": 1, "canary": 2}},
     SAID + ".rollout.canary: 2 items go ahead, but only 1 may be down", []),
    ("fewer at a time than the site's canaries", {"muster_rollout": {"canary": 3, "max_parallel": 3},
                                                  SRV + "/rollout": {"max_parallel": 2}},
     SAID + ".rollout.max_parallel: 3 items go ahead, but only 2 may be down", []),
    ("a file of a host service", {SERVICE + "/files": {"a.conf": {"template": "a.j2", "on_change": "reload"}}},
     'muster_services.common_data_bus.files["a.conf"].on_change: on_change is about applications', []),
]  # fmt: skip


@each(CASES)
def test_what_cannot_be_meant_is_refused(case: Case) -> None:
    refused(case)


def application(name: str, changes: dict[str, Any]) -> Application:
    return compiler.compile_site(changed(raw_site(), changes)).application(name)


def test_without_a_word_services_restart_and_windows_keep_what_they_have() -> None:
    site = compiler.compile_site(raw_site())
    assert change.of_units(site.application("scen2_srv")) == "restart"
    assert change.of_units(site.application("scen2_hci")) == "when_closed"


def test_a_word_of_a_file_wins_over_that_of_its_application() -> None:
    found = application("scen2_srv", {**RELOADED, SRV + "/on_change": "by_hand", PROGRAM + "/reload": "SIGUSR1"})
    assert (change.of_units(found), change.of_file(found, found.files[0])) == ("by_hand", "reload")
    assert found.program("data_processing").reload == "USR1"


def test_commands_are_never_reloaded() -> None:
    said = {**RELOADED, SRV + "/on_change": "reload", PROGRAM + "/reload": ["dummy/reload", 1]}
    found = application("scen2_srv", said)
    assert (change.of_units(found), found.program("data_processing").reload) == ("restart", ("dummy/reload", "1"))
    window = application("scen2_hci", {HCI + "/on_change": "nothing"})
    assert change.of_units(window) == "nothing"


@pytest.mark.parametrize("reload", ["HUP", ["/bin/true"]])
def test_a_published_site_is_read_as_it_was_written(reload: Any) -> None:
    site = compiler.compile_site(changed(raw_site(), {**RELOADED, PROGRAM + "/reload": reload}))
    assert site_from_json(site_to_json(site)) == site


class TestTheDigest:
    def test_is_one_value_where_all_of_it_does_the_same(self) -> None:
        found = application("scen2_srv", {})
        assert change.digest_of(found, {"": ["a"], "restart": ["b"]}) == with_shape(change.digest(["a", "b"]), found)

    def test_tells_what_changed(self) -> None:
        found = application("scen2_srv", {})

        def of(unit: str, **files: str) -> str:
            return change.digest_of(found, {"": [unit], **{word: [text] for word, text in files.items()}})

        def effect(before: str, after: str) -> str:
            return change.effect(found, before, after)

        assert effect(of("a", reload="b"), of("a", reload="c")) == "reload"
        assert effect(of("a", reload="b", nothing="x"), of("a", reload="b", nothing="y")) == "nothing"
        assert effect(of("a", reload="b", by_hand="x"), of("a", reload="c", by_hand="y")) == "by_hand"
        assert effect(of("a", reload="b", when_closed="x"), of("z", reload="b", when_closed="y")) == "restart"
        assert effect(of("a"), of("a", reload="b")) == "reload"
