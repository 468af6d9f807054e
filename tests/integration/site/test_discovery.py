# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that come and go while everything runs: inventory/discovery, and the playbooks announce and retire."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.integration.local_site import ROOT, SiteLab, wait_for

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.local_site import Played
    from tests.integration.process_table import Process

DISCOVERY = ROOT / "inventory" / "discovery"
NUMBERS = {"server_1": 11, "server_2": 12, "server_3": 13, "server_4": 14, "console_1": 21, "console_2": 22}
COMMON_BUS = ("server_2", "server_3")


class Announcing:
    """A site whose hosts have announced themselves: the files of inventory/discovery, for the hosts that are there."""

    if TYPE_CHECKING:
        inventory: Path
        net: str
        play: Callable[..., Played]
        processes: Callable[[], list[Process]]

    def announcing(self) -> None:
        """Put those files in place of the list of hosts."""
        everybody = self.inventory / "group_vars" / "all"
        (self.inventory / "hosts.yml").unlink()
        for name in ("20_announced.yml", "30_kinds.yml"):
            shutil.copy(DISCOVERY / name, self.inventory)
        shutil.copy(DISCOVERY / "group_vars/all/site_discovery.yml", everybody)
        hosts = yaml.safe_load((DISCOVERY / "10_hosts.yml").read_text())
        hosts["all"]["children"]["muster_controller"]["hosts"] = {"controller": {}}
        (self.inventory / "10_hosts.yml").write_text(yaml.safe_dump(hosts))
        plugin = yaml.safe_load((self.inventory / "20_announced.yml").read_text())
        self.announced = self.inventory.parent / "announced"
        (self.inventory / "20_announced.yml").write_text(yaml.safe_dump({**plugin, "folder": "../announced"}))
        (everybody / "where.yml").write_text("muster_address: '{{ ansible_host }}'\n")

    def announce(self, host: str, **more: object) -> None:
        kind = host.partition("_")[0]
        words = {"announce_host": host, "announce_kind": kind, "announce_address": "%s.%d" % (self.net, NUMBERS[host])}
        if host in COMMON_BUS:
            words["announce_stereotypes"] = ["common_bus"]
        played = self.play("announce", "-e", json.dumps({**words, **more}))
        assert played.rc == 0, played.output

    def pids(self) -> dict[int, str]:
        """Every process under an instance or a host service, but those of server_1 and server_4."""
        return {p.pid: "%s %s on %s" % (p.instance, p.program, p.host) for p in self.processes()}


class Announced(Announcing, SiteLab):
    """On this machine."""


@contextlib.contextmanager
def on_real_hosts(**variables: object) -> Iterator[Announced]:
    from tests.lab.hosts import lab as booted
    from tests.lab.site import LabSite

    class OnHosts(Announcing, LabSite):
        pass

    names = {"servers": tuple(n for n in NUMBERS if "server" in n), "consoles": ("console_1", "console_2")}
    with booted(**names) as made:
        yield OnHosts(made, **variables)


@pytest.fixture(scope="module")
def lab() -> Iterator[Announced]:
    variables = {"muster_items": ["01", "02", "03"]}
    elsewhere = os.environ.get("MUSTER_TEST_SITE") == "lab"
    with on_real_hosts(**variables) if elsewhere else contextlib.nullcontext(Announced(83, **variables)) as lab:
        try:
            lab.announcing()
            for host in NUMBERS:
                if host != "server_4":
                    lab.announce(host)
            lab.good("deploy")
            lab.watch.start()
            lab.start_monitor()
            yield lab
            lab.watch.stop()
            assert lab.watch.violations == []
        finally:
            lab.end()


def monitor_of(lab: Announced) -> dict[str, object]:
    found: dict[str, object] = json.loads((lab.state / "run" / "monitor.json").read_text())
    return found


def settled(lab: Announced) -> bool:
    """The monitor has taken in what is published, and its parked run knows the hosts of it."""
    seen = monitor_of(lab)
    watch = json.loads((lab.state / "watch.json").read_text())
    return (
        seen["revision"] == watch["revision"]
        and set(seen["hosts"]) == set(watch["hosts"])
        and seen["standby"] == "parked"
    )


def test_a_server_that_announces_itself_is_deployed_watched_and_used(lab: Announced) -> None:
    opened = lab.muster("open", "02", "--console", "console_1")
    assert opened.rc == 0, opened.output
    before, monitor = lab.pids(), monitor_of(lab)["pid"]
    lab.announce("server_4")
    lab.good("deploy")
    wait_for(lambda: settled(lab) and "server_4" in monitor_of(lab)["hosts"], "the new server watched", lab.monitor_log)
    wait_for(lambda: monitor_of(lab)["hosts"]["server_4"]["line"] == "fine", "a line to it", lab.monitor_log)
    lab.set(muster_items=["01", "02", "03", "04"])
    deployed = lab.good("deploy")
    assert lab.hosts_of("scen2_srv_04") == {"server_4"}, deployed.output
    after = lab.pids()
    assert {pid: what for pid, what in before.items() if pid not in after} == {}
    # The monitor uses it, too: through the run that waits, which was replaced by one that knows the server.
    wait_for(lambda: settled(lab), "a parked run that knows it", lab.monitor_log)
    epoch = lab.claims()["scen2_srv_04"]["epoch"]
    os.kill(lab.bus("scen2_srv_04"), signal.SIGKILL)
    wait_for(lambda: lab.whole("scen2_srv_04", epoch), "item 04 restarted on the new server", lab.monitor_log)
    assert lab.hosts_of("scen2_srv_04") == {"server_4"}
    assert monitor_of(lab)["pid"] == monitor


def test_one_that_retires_is_emptied_and_forgotten_and_nothing_else_restarts(lab: Announced) -> None:
    wait_for(lambda: settled(lab), "the monitor at rest", lab.monitor_log)
    leaving = [p.instance for p in lab.processes() if p.host == "server_1"]
    assert leaving
    before = {pid: what for pid, what in lab.pids().items() if "on server_1" not in what}
    monitor = monitor_of(lab)["pid"]
    told = lab.good("retire", "--check", "-e", "muster_host=server_1")
    assert "would" in told.output or "scen2_srv" in told.output
    assert [p.instance for p in lab.processes() if p.host == "server_1"] == leaving
    lab.good("retire", "-e", "muster_host=server_1")
    assert not [p for p in lab.processes() if p.host == "server_1"]
    for instance in set(leaving):
        if instance.startswith("scen2_srv"):
            assert len(lab.hosts_of(instance)) == 1
    status = lab.status()
    assert "server_1" not in [host["host"] for host in status["hosts"]]
    assert {item["verdict"] for item in status["items"]} == {"operational"}
    assert not (lab.announced / "server_1.yml").exists()
    assert not (lab.root("server_1") / "etc").exists()
    wait_for(
        lambda: settled(lab) and "server_1" not in monitor_of(lab)["hosts"], "the monitor without it", lab.monitor_log
    )
    after = lab.pids()
    assert {pid: what for pid, what in before.items() if pid not in after} == {}
    assert monitor_of(lab)["pid"] == monitor
    again = lab.good("reconcile")
    assert again.changed == 0, again.output


def test_a_host_with_a_window_open_is_not_retired(lab: Announced) -> None:
    refused = lab.play("retire", "-e", "muster_host=console_1")
    assert refused.rc != 0
    assert "console_1 shows item 02" in refused.output
    assert (lab.announced / "console_1.yml").exists()
    assert lab.hosts_of("scen2_hci_02") == {"console_1"}


def test_a_wrong_announcement_is_refused_and_a_wrong_file_is_left_out(lab: Announced) -> None:
    for words in (
        {"announce_host": "server_5", "announce_kind": "serwer", "announce_address": "127.0.0.1"},
        {"announce_host": "../evil", "announce_kind": "server", "announce_address": "127.0.0.1"},
        {
            "announce_host": "server_5",
            "announce_kind": "server",
            "announce_address": "127.0.0.1\nansible_connection: x",
        },
        {"announce_host": "controller", "announce_kind": "server", "announce_address": "127.0.0.1"},
    ):
        refused = lab.play("announce", "-e", json.dumps(words))
        assert refused.rc != 0 and "FAILED" in refused.output, refused.output
    bad = lab.announced / "server_6.yml"
    bad.write_text("kind: server\naddress: 127.0.0.1\nansible_connection: local\n")
    try:
        checked = lab.good("check")
        assert "server_6.yml is left out: it says ansible_connection" in checked.output
        assert "server_6" not in checked.output.partition("PLAY RECAP")[2]
    finally:
        bad.unlink()
