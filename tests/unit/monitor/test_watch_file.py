# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list that a controller publishes, as the monitor reads it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import run_process
from monitor.core.controller.places import WATCH_FILE
from monitor.core.model.site import Hook
from monitor.core.model.words import WATCH_SCHEMA
from monitor.core.report import watch_list
from monitor.judge.watch_list import WatchError, parse
from monitor.watch.watch_file import WatchList
from tests.small_site import SITE_ID, small_site

CLAIM: dict[str, Any] = {
    "host": "server_2", "epoch": 7, "phase": "running", "target": None,
    "actor": {"run": "41", "deadline": 1700000060.0}, "deferred": ["check_common_data_bus", "common_bus_interface"],
    "failed": {}, "failures": [], "reason": "", "since": 0.0, "digest": "d",
}  # fmt: skip
STATE: dict[str, Any] = {
    "meta": {"site_id": SITE_ID, "site": "scenario_2", "schema": 1, "last_run": 1},
    "wanted": {"scen2_srv_01": {"state": "started", "host": None, "by": "eve", "why": "", "at": 0.0}},
    "claims": {"scen2_srv_01": CLAIM},
    "hosts": {"server_3": {"state": "drained", "since": 0.0, "evidence": "", "by": "eve"}},
}


def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(watch_list.watch_document(small_site(), STATE, 9)))
    return document


def test_the_monitor_reads_what_the_controller_publishes() -> None:
    seen = parse(published())
    entry = seen.instances["scen2_srv_01"]
    assert (seen.revision, seen.site_id) == (9, SITE_ID)
    assert (entry.host, entry.epoch, entry.phase, entry.item) == ("server_2", 7, "running", "01")
    assert (entry.strategy, entry.waits_for, entry.deadline) == ("restart_application", "common_data_bus", 1700000060.0)
    assert entry.target is not None
    assert (entry.target.port, entry.target.probe, entry.target.failures) == (20004, "nats", 3)
    assert seen.hosts["server_3"] == "drained"
    assert seen.wanted == {"scen2_srv_01": "started"}


def test_a_run_at_work_whose_process_ends_is_noticed_without_a_new_list(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "inf"])
    try:
        claim = {**CLAIM, "actor": {**CLAIM["actor"], "process": run_process.text_of(process.pid)}}
        document = watch_list.watch_document(small_site(), {**STATE, "claims": {"scen2_srv_01": claim}}, 9)
        (tmp_path / WATCH_FILE).write_text(json.dumps(document))
        seen = WatchList(tmp_path, pytest.fail)
        assert seen.refresh() and not seen.watch.gone and not seen.refresh()
    finally:
        process.kill()
        process.wait()
    assert seen.refresh() and seen.watch.gone == {claim["actor"]["process"]}
    assert not seen.refresh()


def test_the_run_that_carries_a_rollout_counts_while_it_lives(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "inf"])
    try:
        record = {"state": "running", "batches": [["scen2_srv_01"], ["scen2_srv_02"]], "at": 0, "due": 100.0,
                  "carrier": run_process.text_of(process.pid)}  # fmt: skip
        document = watch_list.watch_document(small_site(), {**STATE, "rollouts": {"current": record}}, 9)
        (tmp_path / WATCH_FILE).write_text(json.dumps(document))
        seen = WatchList(tmp_path, lambda why: None)
        assert seen.refresh() and seen.watch.rollout_carried and not seen.refresh()
    finally:
        process.kill()
        process.wait()
    assert seen.refresh() and not seen.watch.rollout_carried and not seen.watch.gone


def test_the_numbers_of_the_site_arrive() -> None:
    document = published()
    document["settings"].update(run_timeout=7.0, observe_interval=0.0, artifacts=3)
    seen = parse(document)
    assert (seen.run_timeout, seen.observe_interval, seen.artifacts) == (7.0, 0.0, 3)


def test_writer_and_reader_have_one_schema() -> None:
    document = published()
    assert document["schema"] == WATCH_SCHEMA
    with pytest.raises(WatchError, match="schema %d, this monitor reads %d" % (WATCH_SCHEMA + 1, WATCH_SCHEMA)):
        parse(dict(document, schema=WATCH_SCHEMA + 1))


def test_all_that_the_site_says_arrives() -> None:
    site = replace(small_site(), hooks=(Hook(("/usr/bin/env", "a b"), ("degraded",), 1.5, 3.0),))
    pauses = {"site": {"until": None}, "item/01": {"until": 1700000100.0}}
    state = dict(STATE, pauses=pauses)
    seen = parse(json.loads(json.dumps(watch_list.watch_document(site, state, 9))))
    assert (seen.site, seen.controller, seen.hooks) == (site.name, site.controller, site.hooks)
    assert seen.pauses == {"site": None, "item/01": 1700000100.0} and seen.ends == (1700000100.0,)
    for host in site.hosts:
        watched = seen.machines[host.name]
        assert (watched.address, watched.root, watched.connection) == (host.address, host.root, host.connection)
        assert (watched.reach, watched.ssh) == (host.reach, host.ssh)
    assert set(seen.programs) == {application.name for application in site.applications}
    asked = {(service.name, host): service for service in site.services if service.probe for host in service.hosts}
    assert set(seen.services) == set(asked)
    for key, service in asked.items():
        assert seen.services[key].label == service.label
        assert seen.services[key].target.probe == service.probe.type


def test_an_instance_that_left_the_site_is_watched_without_a_bus() -> None:
    state = dict(STATE, claims={"scen2_srv_99": CLAIM})
    seen = parse(json.loads(json.dumps(watch_list.watch_document(small_site(), state, 9))))
    assert seen.instances["scen2_srv_99"].target is None


def test_keys_that_are_not_known_are_left_alone() -> None:
    document = published()
    document["news"] = document["instances"]["scen2_srv_01"]["news"] = 1
    parse(document)


@pytest.mark.parametrize("damage", [[], {"schema": 1}, {"schema": 1, "revision": 1, "instances": {"a": {}}}])
def test_a_document_that_is_no_watch_list_is_refused(damage: object) -> None:
    with pytest.raises(WatchError):
        parse(damage)
