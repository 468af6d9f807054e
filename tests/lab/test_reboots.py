# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that boot again: all at once, the controller alone, one after the other. Nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.local_site import CONSOLES, SERVERS, wait_for
from tests.lab.hosts import lab as booted
from tests.lab.names import CONTROLLER
from tests.lab.seen import all_used, settle
from tests.lab.site import LabSite, deployed

ITEMS = ("01", "02", "03")
SERVICES = tuple("scen2_srv_" + item for item in ITEMS)


@pytest.fixture(scope="module", params=["systemd", "supervisor"])
def own(request: pytest.FixtureRequest) -> Iterator[LabSite]:
    with booted() as lab, deployed(lab, service_manager=request.param) as made:
        made.start_monitor()
        yield made


@pytest.fixture
def rested(own: LabSite) -> LabSite:
    settle(own, SERVICES)
    return own


def copies(site: LabSite) -> dict[tuple[str, str], int]:
    """Live programs of services, counted over all hosts."""
    return dict(Counter((p.instance, p.program) for p in site.processes() if p.epoch and "_srv_" in p.instance))


def once(site: LabSite) -> bool:
    """Every service runs in full, on the host of its claim, and nowhere else."""
    return all(site.whole(name) for name in SERVICES) and set(copies(site).values()) == {1}


def test_everything_that_loses_power_at_once_comes_back_by_itself_but_no_window(rested: LabSite) -> None:
    """Req 11 and 26."""
    site = rested
    assert site.muster("open", "02", "--console", "console_3").rc == 0
    before = {name: site.claims()[name]["epoch"] for name in SERVICES}
    site.lab.power_cut(*site.lab.names.hosts)
    assert site.processes() == []
    site.lab.boot(*site.lab.names.hosts)
    wait_for(lambda: once(site) and all(site.claims()[n]["epoch"] > before[n] for n in SERVICES),
             "every service runs again, once", site.monitor_log, 120)  # fmt: skip
    settle(site, SERVICES)
    assert site.processes("scen2_hci_02") == []
    assert {item["verdict"] for item in site.status()["items"]} == {"operational"}
    assert site.good("reconcile").changed == 0
    assert site.muster("open", "02", "--console", "console_1").rc == 0
    assert site.muster("close", "02").rc == 0


def test_a_controller_that_loses_power_touches_nothing_and_takes_up_its_work_again(rested: LabSite) -> None:
    site = rested
    assert site.muster("open", "01", "--console", "console_2").rc == 0
    before = {p.pid for p in site.processes()}
    site.lab.power_cut(CONTROLLER)
    assert {p.pid for p in site.processes()} == before, "items need no controller"
    name = SERVICES[1]
    epoch = site.claims()[name]["epoch"]
    gone = {p.pid for p in site.processes(name)}
    os.kill(site.bus(name), signal.SIGKILL)  # while nobody watches
    site.lab.boot(CONTROLLER)
    wait_for(lambda: site.whole(name, epoch), "what broke meanwhile runs again", site.monitor_log, 90)
    assert before - gone <= {p.pid for p in site.processes()}, "the others, and the window, were left alone"
    assert site.hosts_of("scen2_hci_01") == {"console_2"}
    assert site.muster("close", "01").rc == 0


def test_a_host_that_boots_without_a_run_has_its_services_and_no_item(rested: LabSite) -> None:
    site = rested
    name = SERVICES[2]
    home, epoch = site.claims()[name]["host"], site.claims()[name]["epoch"]
    site.lab.power_cut(CONTROLLER, home)
    site.lab.boot(home)
    service = "common_data_bus_" + home
    wait_for(lambda: [p for p in site.processes(service) if p.host == home], "the common bus, though nobody came",
             lambda: site.on(home, "journalctl", "-b", "-n", "30"))  # fmt: skip
    assert not [p for p in site.processes() if p.host == home and p.epoch]
    site.lab.boot(CONTROLLER)
    wait_for(lambda: site.whole(name, epoch), "its item runs again", site.monitor_log, 90)


def test_all_hosts_are_restarted_one_after_the_other_while_the_items_go_on(rested: LabSite) -> None:
    site = rested
    for host in (*SERVERS, *CONSOLES):
        drained = site.muster("drain", host, "--why", "new kernel", "--until", "1h")
        assert drained.rc == 0, drained.output
        assert not [p for p in site.processes() if p.host == host and p.epoch]
        assert once(site), copies(site)
        running = {p.pid for p in site.processes() if p.epoch}
        site.lab.reboot(host)
        wait_for(lambda: all_used(site, drained=host), "%s is back, drained" % host, site.monitor_log, 90)  # noqa: B023
        assert running == {p.pid for p in site.processes() if p.epoch}, "items elsewhere went on as they were"
        assert site.muster("undrain", host).rc == 0
    settle(site, SERVICES)
    assert once(site), copies(site)
    assert site.good("reconcile").changed == 0
