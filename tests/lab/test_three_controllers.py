# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three controllers as machines of their own: power and cables fail, with the site's leases and ledger at stake."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.controller import etcd_cluster
from tests.integration.local_site import wait_for
from tests.integration.roles.installed_controller import fetch
from tests.lab.three_controllers import CONTROLLERS, ITEMS, Three, three_controllers

NAME = "scen2_srv_01"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    etcd_cluster.needed()
    if why := fetch():
        pytest.skip(why)
    with three_controllers(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture(autouse=True)
def _whole_again(site: Three) -> Iterator[None]:
    """After each fault: everything is switched on and connected, one leads, and every item runs once, in full."""
    site.settled()
    yield
    site.lab.switch.heal(*CONTROLLERS)
    site.lab.boot(*CONTROLLERS)
    site.settled()


def others(name: str) -> tuple[str, ...]:
    return tuple(other for other in CONTROLLERS if other != name)


def restarted(site: Three, epoch: int, *among: str) -> bool:
    """Whether the item was restarted, as one of these controllers knows it."""
    site.leader(*among)
    return site.whole(NAME, after=epoch)


def test_every_step_of_the_documentation_changes_nothing_the_second_time(site: Three) -> None:
    assert site.admin_at(CONTROLLERS[0], "etcd", "-e", "ansible_become_user=root") == 0
    for name in CONTROLLERS:
        assert site.admin_at(name, "controller", "--limit", "muster_hosts," + name) == 0
    assert site.admin_at(CONTROLLERS[1], "deploy", "-e", "ansible_become=true") == 0


def test_each_member_gives_unused_space_back_at_a_time_of_its_own(site: Three) -> None:
    timer, service = ("muster-etcd-defragment." + end for end in ("timer", "service"))
    due = {site.on(name, "systemctl", "show", "-p", "NextElapseUSecRealtime", "--value", timer) for name in CONTROLLERS}
    assert "" not in {moment.strip() for moment in due} and len(due) == len(CONTROLLERS), due
    if not os.access("/usr/bin/etcdctl", os.X_OK):
        pytest.skip("etcd-client is not installed")
    for name in CONTROLLERS:
        site.on(name, "systemctl", "start", service)
        ended = site.on(name, "systemctl", "show", "-p", "Result", "-p", "ExecMainStatus", service)
        assert ended.split() == ["Result=success", "ExecMainStatus=0"], ended


def test_any_controller_shows_the_site_and_is_asked(site: Three) -> None:
    leader = site.leader()
    for name in CONTROLLERS:
        said = site.asked_at(name, "status")
        assert said.rc == 0 and "%s leads since" % leader in said.output, said.output
    epoch = site.claims()[NAME]["epoch"]
    asked = site.asked_at(others(leader)[0], "restart", NAME)
    assert asked.rc == 0, asked.output
    wait_for(lambda: restarted(site, epoch), "it is restarted", site.logs)


def test_a_leader_without_power_is_followed_by_another_one(site: Three) -> None:
    leader, epoch = site.leader(), site.claims()[NAME]["epoch"]
    site.lab.power_cut(leader)
    os.kill(site.bus(NAME), signal.SIGKILL)
    wait_for(lambda: restarted(site, epoch, *others(leader)), "the next one restarts it", site.logs, 90)


def test_a_leader_without_a_cable_begins_nothing_and_stands_by_when_it_is_back(site: Three) -> None:
    leader, epoch = site.leader(), site.claims()[NAME]["epoch"]
    site.lab.switch.pull(leader)
    os.kill(site.bus(NAME), signal.SIGKILL)
    wait_for(lambda: restarted(site, epoch, *others(leader)), "the next one restarts it", site.logs, 90)
    programs, epoch = site.programs(NAME), site.claims()[NAME]["epoch"]
    wait_for(lambda: not site.leaders(leader), "the old one knows that it does not lead", site.logs)
    site.lab.switch.heal(leader)
    wait_for(lambda: (site.monitor(leader).get("lead") or {}).get("leader") not in ("", leader, None),
             "it stands by", site.logs, 90)  # fmt: skip
    assert (site.programs(NAME), site.claims()[NAME]["epoch"]) == (programs, epoch)


def test_a_member_that_only_hears_is_not_missed(site: Three) -> None:
    leader, epoch = site.leader(), site.claims()[NAME]["epoch"]
    site.lab.switch.pull(leader, "out")
    os.kill(site.bus(NAME), signal.SIGKILL)
    wait_for(lambda: restarted(site, epoch, *others(leader)), "the next one restarts it", site.logs, 90)


def test_without_two_of_three_nothing_stops_a_host_helps_itself_and_nobody_moves_anything(site: Three) -> None:
    leader = site.leader()
    left, gone = others(leader)[0], (leader, others(leader)[1])
    places = {name: site.hosts_of(name) for name in ("scen2_srv_" + item for item in ITEMS)}
    untouched = site.programs("scen2_srv_02")
    site.lab.power_cut(*gone)
    wait_for(lambda: "etcd does not answer" in site.asked_at(left, "status").output, "status says so", site.logs, 90)
    assert not site.leaders(left)
    before = site.bus(NAME)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: site.bus(NAME) != before, "its host restarts it", lambda: site.processes(NAME), 90)
    assert {name: site.hosts_of(name) for name in places} == places
    assert site.programs("scen2_srv_02") == untouched
    site.lab.boot(*gone)
    site.settled()
    assert {name: site.hosts_of(name) for name in places} == places


def test_a_reboot_of_all_controllers_at_once_leaves_the_items_alone(site: Three) -> None:
    untouched = {item: site.programs("scen2_srv_" + item) for item in ITEMS}
    site.lab.power_cut(*CONTROLLERS)
    site.lab.boot(*CONTROLLERS)
    site.settled()
    assert {item: site.programs("scen2_srv_" + item) for item in ITEMS} == untouched
