# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of the controller is gone, and nobody made a backup: the site comes back from what the witnesses keep."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import packed
from monitor.core.host import ledger_copies
from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for

SETTINGS: dict[str, Any] = {"stable_after": 1, "backup_interval": 1, "backup_keep": 2,
                            "api_address": "{{ local_net }}.1", "api_port": 8770}  # fmt: skip

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteLab]:
    folder = str(tmp_path_factory.mktemp("elsewhere"))
    settings = {**SETTINGS, "backup_folder": folder}
    with site_lab(92, consoles=["console_1"], muster_items=["01", "02"], muster_settings=settings) as deployed:
        deployed.start_monitor()
        yield deployed


def ledger(lab: SiteLab) -> tuple[dict[str, Any], int]:
    with controller_ledger.Ledger(str(lab.state / "ledger.db")) as known:
        return known.read()


def kept(lab: SiteLab, host: str, folder: Path) -> dict[str, Any]:
    """What the newest copy at a host says is wanted."""
    copy = ledger_copies.newest(str(lab.root(host)))
    if copy is None:
        return {}
    path = folder / (host + "-%d.db" % copy["revision"])
    if not path.exists():
        packed.unpack(copy, str(path))
    with controller_ledger.Ledger(str(path), copy=True) as known:
        return dict(known.read()[0]["wanted"])


def sessions(lab: SiteLab) -> dict[str, str]:
    return {host: (lab.root(host) / "run/lease").read_text().splitlines()[1] for host in SERVERS}


def test_the_monitor_copies_the_ledger_to_a_folder_and_keeps_as_many_as_it_should(lab: SiteLab) -> None:
    folder = Path(json.loads((lab.state / "site.json").read_text())["site"]["settings"]["backup_folder"])
    wait_for(lambda: lab.whole("scen2_srv_01") and lab.whole("scen2_srv_02"), "both run in full", lab.monitor_log, 90)
    for who in ("one", "two", "three"):
        lab.muster("restart", "scen2_srv_01", "--why", who)
        revision = ledger(lab)[1]
        wait_for(lambda: any(int(path.stem.rpartition("-")[2]) >= revision for path in folder.glob("*/ledger-*.db")),  # noqa: B023
                 "a copy of revision %d" % revision, lab.monitor_log)  # fmt: skip
    assert 1 <= len(list(folder.glob("*/ledger-*.db"))) <= 2


def test_a_controller_without_disk_and_backup_takes_the_site_over_and_touches_no_process(
    lab: SiteLab, tmp_path: Path
) -> None:
    assert lab.muster("stop", "scen2_srv_02", "--why", "worn").rc == 0
    wait_for(lambda: not lab.programs("scen2_srv_02"), "it is stopped", lab.monitor_log)
    for host in SERVERS:
        wait_for(lambda: kept(lab, host, tmp_path).get("scen2_srv_02", {}).get("state") == "stopped",  # noqa: B023
                 "%s keeps a copy that knows it" % host, lab.monitor_log)  # fmt: skip
        assert {p.stat().st_mode & 0o777 for p in (lab.root(host) / "etc/ledger").iterdir()} == {0o600}
    lab.stop_monitor()
    before, revision = ledger(lab)
    programs, leases = lab.programs("scen2_srv_01"), sessions(lab)
    shutil.rmtree(lab.state)

    looked = lab.muster("adopt", "--dry-run")
    assert looked.rc == 0 and "the copy that server_" in looked.output and " ago" in looked.output, looked.output
    assert not (lab.state / "ledger.db").exists()
    made = lab.muster("adopt", "--yes")
    assert made.rc == 0, made.output
    after, above = ledger(lab)
    assert above > revision
    assert after["wanted"]["scen2_srv_02"]["state"] == "stopped" and "worn" in after["wanted"]["scen2_srv_02"]["why"]
    for name, claim in before["claims"].items():
        found = after["claims"][name]
        assert found["host"] == claim["host"] and found["epoch"] >= claim["epoch"], name  # more may have been granted
    assert after["claims"]["scen2_srv_01"]["epoch"] == before["claims"]["scen2_srv_01"]["epoch"]

    for _deploy in range(3):  # each takes one step towards the key of the new controller
        lab.good("deploy")
    assert lab.good("deploy").changed == 0
    keys = json.loads((lab.state / "lease.json").read_text())["keys"]
    assert all(json.loads((lab.root(host) / "etc/lease.json").read_text())["masters"] == keys for host in SERVERS)
    assert lab.programs("scen2_srv_01") == programs and not lab.programs("scen2_srv_02")
    assert sessions(lab) == leases, "no lease was lost meanwhile"
