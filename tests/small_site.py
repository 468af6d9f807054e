# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site for tests of what comes after validation: servers, consoles, scen2's two applications, a common bus."""

from __future__ import annotations

from typing import Any

from monitor.core.model import site

SITE_ID = "scenario_2-c0ffee"
SERVERS = ("server_1", "server_2", "server_3")
CONSOLES = ("console_1", "console_2")


def small_site(state_dir: str = "/nowhere/state", items: int = 3, **settings: Any) -> site.Site:
    """`items` items on three servers and two consoles; settings as in `model.site.Settings`."""
    hosts = [
        site.Host(name, order, name, "127.60.1.%d" % (11 + order), "/nowhere/hosts/" + name, (group,))
        for order, (name, group) in enumerate([(s, "servers") for s in SERVERS] + [(c, "consoles") for c in CONSOLES])
    ]
    probe = site.Probe("nats", "client")
    services = site.Application(
        "scen2_srv", SERVERS, ("servers",),
        (
            site.Program("internal_data_bus", ("bus",), start_sequence=1, stop_sequence=1, required=True,
                           expected_loading=2, running_failure_strategy="restart_application"),
            site.Program("check_internal_data_bus", ("check",), start_sequence=2, wait_exit=True, required=True),
            site.Program("data_processing", ("idle",), start_sequence=3, required=True, expected_loading=20),
            site.Program("check_common_data_bus", ("check",), start_sequence=4, wait_exit=True, on_timeout="defer",
                           waits_for="common_data_bus"),
            site.Program("common_bus_interface", ("idle",), start_sequence=5),
        ),
        start_sequence=1, starting_strategy="less_loaded", starting_failure_strategy="stop",
        bus=site.Bus("internal_data_bus", probe), ports=site.Ports(20000, 4, {"client": 0, "leaf": 1}),
    )  # fmt: skip
    windows = site.Application(
        "scen2_hci", CONSOLES, ("consoles",),
        (
            site.Program("internal_data_bus", ("bus",), start_sequence=1, required=True, expected_loading=2,
                           running_failure_strategy="stop_application"),
            site.Program("sensor_view", ("idle",), start_sequence=2, expected_loading=8),
        ),
        starting_strategy="local", starting_failure_strategy="continue", peer="scen2_srv",
        bus=site.Bus("internal_data_bus", probe), ports=site.Ports(24000, 4, {"client": 0}),
    )  # fmt: skip
    common = site.Service(
        "common_data_bus",
        SERVERS,
        ("bus",),
        ports={"client": 19000, "cluster": 19001},
        probe=probe,
        label="the common bus",
    )
    return site.Site(
        name="scenario_2",
        controller="controller",
        state_dir=state_dir,
        hosts=tuple(hosts),
        groups={"servers": SERVERS, "consoles": CONSOLES},
        applications=(services, windows),
        services=(common,),
        items=tuple(site.Item("%02d" % number, number) for number in range(1, items + 1)),
        settings=site.Settings(**settings),
    )


def small_state(**kinds: Any) -> dict[str, dict[str, Any]]:
    """A ledger's state that knows the site and nothing else; give `wanted`, `claims`, `hosts` or `meta`."""
    meta = {"site": "scenario_2", "site_id": SITE_ID, "schema": 1, "last_run": 0}
    return {"meta": {**meta, **kinds.pop("meta", {})}, "wanted": {}, "claims": {}, "hosts": {}, "pauses": {},
            "notices": {}, **kinds}  # fmt: skip


def running(host: str, epoch: int = 1, **more: Any) -> dict[str, Any]:
    """The claim of a running instance."""
    base = {
        "host": host,
        "epoch": epoch,
        "phase": "running",
        "target": None,
        "actor": None,
        "deferred": [],
        "failed": {},
    }
    return {
        **base,
        "failures": [],
        "reason": "",
        "since": 1000.0,
        "digest": "d",
        "incarnation": "boot/1",
        "left": [],
        **more,
    }


def quiet_host(name: str, **more: Any) -> dict[str, Any]:
    """The observation of a prepared host that runs its host services, and nothing else."""
    services = {"common_data_bus": {"pid": 2}} if name in SERVERS else {}
    load = {"cpu": 1.0, "memory": 10.0, "load_average": [0.1, 0.1, 0.1], "cpus": 2}
    return {
        "host": name, "answer": "seen", "why": "", "prepared": True, "site_id": SITE_ID, "controller": "controller",
        "incarnation": "boot/1", "service_manager": "running", "config": "", "drift": [], "foreign": [],
        "instances": {}, "services": services, "load": {**load, "free_memory": 9000, "free_disk": 9000}, **more,
    }  # fmt: skip
