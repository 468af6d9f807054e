# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HCI on request, on the console of the request, at most once, closed from anywhere: Req 20, 21, 22, 23, 27.

First without a monitor, then by its API and as its stream tells it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api_client import Client, fits, told
from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for
from tests.integration.site.api_doors import ON_LAB, console, last_event, page

ME = pwd.getpwuid(os.geteuid()).pw_name
WINDOWS = {"internal_data_bus", "sensor_view", "chart_view", "sensor_control"}


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(4, consoles=["console_1", "console_3"]) as deployed:
        yield deployed


def test_req_22_the_items_are_listed_with_their_verdicts(lab: SiteLab) -> None:
    listed = lab.muster("status")
    assert listed.rc == 0
    for item in ("01", "02", "03"):
        assert any(line.split()[:2] == [item, "operational"] for line in listed.output.splitlines()), listed.output


def test_req_20_and_21_an_item_opens_on_the_console_of_who_asks(lab: SiteLab) -> None:
    played = lab.muster("open", "02", MUSTER_HOST="console_3")
    assert played.rc == 0, played.output
    assert set(lab.programs("scen2_hci_02")) == WINDOWS
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}


def test_the_values_on_the_console_come_from_the_server_of_the_item(lab: SiteLab) -> None:
    def shown() -> str:
        return lab.said("console_3", "scen2_hci_02", "sensor_view")

    (server,) = lab.hosts_of("scen2_srv_02")
    wait_for(lambda: "item 02: temperature" in shown(), "a value on the console", shown)
    assert "from scen2_srv_02@%s epoch 1" % server in shown()


def test_req_23_a_second_hci_is_refused_and_the_holder_named(lab: SiteLab) -> None:
    played = lab.muster("open", "02", "--console", "console_1")
    assert played.rc == 5
    assert "console_3 already shows item 02" in played.output
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}


def test_who_takes_an_hci_over_says_why_and_both_are_in_the_trail(lab: SiteLab) -> None:
    nameless = lab.muster("open", "02", "--console", "console_1", "--take")
    assert nameless.rc != 0 and "needs a reason" in nameless.output
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}
    taken = lab.muster("open", "02", "--console", "console_1", "--take", "--reason", "shift change")
    assert taken.rc == 0, taken.output
    assert lab.hosts_of("scen2_hci_02") == {"console_1"}
    told = lab.muster("events").output
    assert "eve takes item 02 over from console_3: shift change" in told, told
    assert lab.muster("open", "02", "--console", "console_3", "--take", "--reason", "back again").rc == 0
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}


def test_an_hci_is_refused_on_a_server_and_without_a_console(lab: SiteLab) -> None:
    assert "consoles" in lab.muster("open", "01", "--console", "server_1").output
    nowhere = lab.muster("open", "01")
    assert nowhere.rc == 2
    assert "--console" in nowhere.output


def test_another_console_can_show_another_item_meanwhile(lab: SiteLab) -> None:
    assert lab.muster("open", "01", "--console", "console_1").rc == 0
    assert lab.hosts_of("scen2_hci_01") == {"console_1"}


def test_req_27_an_hci_is_closed_from_anywhere_and_stays_closed(lab: SiteLab) -> None:
    services = lab.programs("scen2_srv_02")
    played = lab.muster("close", "02", MUSTER_HOST="server_1")
    assert played.rc == 0, played.output
    assert lab.processes("scen2_hci_02") == []
    lab.good("deploy")
    assert lab.processes("scen2_hci_02") == []
    assert lab.programs("scen2_srv_02") == services


def test_a_stopped_service_stays_stopped_over_deploys_until_a_person_starts_it(lab: SiteLab) -> None:
    assert lab.muster("stop", "scen2_srv_03", "--reason", "calibration").rc == 0
    lab.good("deploy")
    assert lab.processes("scen2_srv_03") == []
    assert "calibration" in lab.muster("why", "scen2_srv_03").output
    assert lab.muster("start", "scen2_srv_03").rc == 0
    assert "internal_data_bus" in lab.programs("scen2_srv_03")


def test_a_drained_server_is_emptied_and_used_again_after_undrain(lab: SiteLab) -> None:
    (home,) = lab.hosts_of("scen2_srv_01")
    assert lab.muster("drain", home, "--reason", "new disk").rc == 0
    assert lab.hosts_of("scen2_srv_01") not in (set(), {home})
    assert not [p for p in lab.processes() if p.host == home and p.epoch]
    assert lab.muster("undrain", home).rc == 0
    assert lab.good("reconcile").changed == 0, "running instances move only when asked"


@pytest.fixture(scope="module")
def api(lab: SiteLab) -> Client:
    """The controller's own socket, once no window is open and all is well."""
    lab.start_monitor()
    assert lab.muster("close", "01").rc == 0
    client = Client(lab.state / "run" / "api.sock")

    def well() -> bool:
        return {item["verdict"] for item in client.get("/status").json["items"]} == {"operational"}

    wait_for(well, "an operational site", lab.monitor_log)
    return client


def test_an_item_is_opened_on_the_console_of_who_asks(lab: SiteLab, api: Client) -> None:
    before = last_event(api)
    answer = console(lab, 3).post("/actions", {"kind": "open", "item": "02", "why": "a test"})
    fits(answer, "act")
    assert answer.json["ok"], answer.json
    assert answer.json["results"]["scen2_hci_02"]["result"] == "running"
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}
    told = api.get("/events?after=%d" % before).json["events"]
    assert {(entry["who"], entry["from"]) for entry in told} == {(ME, "console_3")}
    assert any("a test" in (entry["why"] or "") for entry in told)
    assert api.get("/status").json["instances"]["scen2_hci_02"]["host"] == "console_3"
    second = console(lab, 1).post("/actions", {"kind": "open", "item": "02"})
    assert (second.status, second.json["ok"]) == (200, False)
    assert "console_3 already shows item 02" in second.json["said"][0]
    assert page(lab, 21).post("/actions", {"kind": "close", "item": "02"}).json["ok"]
    assert lab.processes("scen2_hci_02") == []


def test_req_20_21_22_23_and_27_are_followed_in_the_stream(lab: SiteLab, api: Client) -> None:
    def shown(host: str | None) -> Any:
        return lambda event, data: event == "status" and data["instances"]["scen2_hci_02"]["host"] == host

    def done(where: str, words: str) -> Any:
        return lambda event, data: event == "trail" and data["from"] == where and words in data["what"]

    with contextlib.closing(api.stream()) as stream:
        first = told(stream, "the items to choose from", lambda event, data: event == "status")
        assert [(item["item"], item["verdict"]) for item in first["items"]] == [
            ("01", "operational"), ("02", "operational"), ("03", "operational"),
        ]  # fmt: skip
        assert console(lab, 3).post("/actions", {"kind": "open", "item": "02", "why": "a look"}).json["ok"]
        opened = told(stream, "who opened it from where", done("console_3", "scen2_hci_02"))
        assert (opened["who"], "a look" in opened["why"]) == (ME, True)
        told(stream, "the windows on that console", shown("console_3"))
        assert not console(lab, 1).post("/actions", {"kind": "open", "item": "02"}).json["ok"]
        refused = told(stream, "who was refused", done("console_1", "refused to open"))
        assert (refused["result"], "console_3 already shows item 02" in refused["why"]) == ("refused", True)
        assert page(lab, 1).post("/actions", {"kind": "close", "item": "02"}).json["ok"]
        told(stream, "who closed it from where", done("controller", "scen2_hci_02"))
        told(stream, "the windows gone", shown(None))
    assert lab.processes("scen2_hci_02") == []


@pytest.mark.skipif(ON_LAB, reason="a console of the lab has the small command, which lab-role tries as its people")
def test_commands_ask_the_monitor_from_any_host(lab: SiteLab, api: Client) -> None:
    elsewhere = dict.fromkeys(("MUSTER_INVENTORY", "MUSTER_LOCAL_DIR"), "")

    def at_console(*arguments: str) -> Any:
        root = str(lab.root("console_3"))
        return lab.run(
            ["sh", "-c", 'cd / && exec "$0" "$@"', str(ROOT / "bin" / "muster"), *arguments],
            MUSTER_HOST_ROOT=root, **elsewhere,
        )  # fmt: skip

    opened = at_console("open", "03", "--reason", "shift begins")
    assert opened.rc == 0, opened.output
    assert opened.output == "start scen2_hci_03 on console_3: %s asked to open it: shift begins\n" % ME
    assert lab.hosts_of("scen2_hci_03") == {"console_3"}
    assert api.get("/events?limit=1").json["events"][-1]["from"] == "console_3"
    assert "console_3" in at_console("why", "scen2_hci_03").output
    assert len(at_console("events", "-n", "2").output.splitlines()) == 2
    assert at_console("close", "03").rc == 0
    refused = at_console("start", "scen2_srv_1")
    assert refused.rc == 3
    assert refused.output == "there is no instance or item scen2_srv_1 in this site; did you mean scen2_srv_01?\n"
    nowhere = lab.muster("open", "03")
    assert nowhere.rc == 2
    assert nowhere.output.startswith("on which console?")
