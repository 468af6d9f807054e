# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three controllers on this machine with a ledger in etcd: one leads, and what happens when it is gone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.controller import etcd_cluster
from tests.integration.local_site import SiteLab, wait_for

CONTROLLERS = ("controller_1", "controller_2", "controller_3")
ITEMS = ("01", "02")


class Three(SiteLab):
    """Each controller has a state folder and a monitor of its own."""

    cluster: etcd_cluster.Cluster

    def state_of(self, controller: str) -> Path:
        return self.folder / "m" / ("state" if controller == CONTROLLERS[0] else "state_" + controller)

    def monitor(self, controller: str) -> dict[str, Any]:
        """What a monitor wrote last; {} when it does not run."""
        try:
            document: dict[str, Any] = json.loads((self.state_of(controller) / "run/monitor.json").read_text())
            os.kill(document["pid"], 0)
        except (OSError, ValueError):
            return {}
        return document if document["state"] == "running" else {}

    def leaders(self) -> list[str]:
        """Those who believe that they lead."""
        return [name for name in CONTROLLERS if (self.monitor(name).get("lead") or {}).get("leads")]

    def leader(self) -> str:
        wait_for(lambda: len(self.leaders()) == 1, "one controller leads", self.logs)
        return self.leaders()[0]

    def logs(self) -> str:
        paths = [self.root(name) / "log" / "monitor.log" for name in CONTROLLERS]
        return "\n".join("%s\n%s" % (path, path.read_text()[-6000:]) for path in paths if path.exists())

    def settled(self) -> None:
        for item in ITEMS:
            wait_for(lambda: self.whole("scen2_srv_" + item), item + " runs in full", self.logs, 90)  # noqa: B023


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    etcd_cluster.needed()
    cluster = etcd_cluster.Cluster(tmp_path_factory.mktemp("etcd"))
    made = Three(61, "three", ["console_1"], muster_items=list(ITEMS))
    made.environment["MUSTER_LOCAL_ETCD"] = ",".join(cluster.clients)
    made.cluster = cluster
    try:
        made.good("site")
        made.watch.start()
        yield made
        made.watch.stop()
        assert not made.watch.violations, "%s\n%s" % (made.watch.violations, made.logs())
    finally:
        made.end()
        cluster.end()


def test_one_leads_and_all_publish_the_same(lab: Three) -> None:
    lab.settled()
    leader = lab.leader()
    for name in CONTROLLERS:
        wait_for(lambda: lab.monitor(name).get("lead", {}).get("leader") == leader, name + " knows", lab.logs)  # noqa: B023

    def published() -> set[tuple[Any, ...]]:
        found = set()
        for name in CONTROLLERS:
            document = json.loads((lab.state_of(name) / "watch.json").read_text())
            found.add((document["revision"], json.dumps(document["instances"], sort_keys=True)))
        return found

    wait_for(lambda: len(published()) == 1, "the same watch list everywhere", published)
    assert lab.good("site").changed == 0


def test_a_bus_that_is_killed_with_the_leader_is_whole_again(lab: Three) -> None:
    lab.settled()
    leader = lab.leader()
    name = "scen2_srv_01"
    epoch = lab.claims()[name]["epoch"]
    os.kill(lab.monitor(leader)["pid"], signal.SIGKILL)
    os.kill(lab.bus(name), signal.SIGKILL)
    wait_for(lambda: lab.whole(name, after=epoch), "the next one restarts it", lab.logs)
    lab.leader()


def asked_of(lab: Three, controller: str, *words: str) -> Any:
    return lab.muster("--state-dir", str(lab.state_of(controller)), *words)


def test_a_request_to_one_that_stands_by_is_carried_out_by_the_one_that_leads(lab: Three) -> None:
    lab.settled()
    other = next(name for name in CONTROLLERS if name != lab.leader())
    epoch = lab.claims()["scen2_srv_02"]["epoch"]
    played = asked_of(lab, other, "restart", "scen2_srv_02")
    assert played.rc == 0, played.output
    assert lab.whole("scen2_srv_02", after=epoch), lab.logs()
    assert "leads since" in asked_of(lab, other, "status").output


@pytest.mark.long
def test_a_leader_that_stands_still_does_nothing_when_it_goes_on(lab: Three) -> None:
    lab.settled()
    leader, name = lab.leader(), "scen2_srv_02"
    frozen, epoch = lab.monitor(leader)["pid"], lab.claims()[name]["epoch"]
    os.kill(frozen, signal.SIGSTOP)
    os.kill(lab.bus(name), signal.SIGKILL)
    wait_for(lambda: lab.whole(name, after=epoch), "the next one restarts it", lab.logs)
    os.kill(frozen, signal.SIGCONT)
    wait_for(lambda: (lab.monitor(leader).get("lead") or {}).get("leader") not in ("", leader), "it knows", lab.logs)
    assert lab.leader() != leader
    assert lab.claims()[name]["epoch"] == epoch + 1


@pytest.mark.long
def test_without_a_majority_nothing_stops_and_nothing_moves_and_status_says_so(lab: Three) -> None:
    lab.settled()
    pids = {item: lab.programs("scen2_srv_" + item) for item in ITEMS}
    for member in (0, 1):
        lab.cluster.send(member, signal.SIGSTOP)
    wait_for(lambda: not lab.leaders(), "nobody leads", lab.logs)
    os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
    said = asked_of(lab, CONTROLLERS[0], "status").output
    assert "etcd does not answer" in said, said
    assert lab.programs("scen2_srv_02") == pids["02"]
    for member in (0, 1):
        lab.cluster.send(member, signal.SIGCONT)
    lab.settled()
    lab.leader()


@pytest.mark.long
def test_members_that_die_one_after_the_other_are_not_missed(lab: Three) -> None:
    for member in range(3):
        lab.settled()
        lab.cluster.send(member, signal.SIGKILL)
        name = "scen2_srv_01"
        epoch = lab.claims()[name]["epoch"]
        os.kill(lab.bus(name), signal.SIGKILL)
        wait_for(lambda: lab.whole(name, after=epoch), "it is restarted", lab.logs)  # noqa: B023
        lab.cluster.start(member)
        lab.cluster.wait()
