# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""inventory/mosquitto is inventory/local on another bus: nothing else differs, and nothing is written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
LOCAL = ROOT / "inventory" / "local"
MOSQUITTO = ROOT / "inventory" / "mosquitto"
OWN = "group_vars/all/site_mosquitto.yml"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def own() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((MOSQUITTO / OWN).read_text(encoding="utf-8"))
    return document


def test_every_file_but_one_is_that_of_inventory_local() -> None:
    assert files(MOSQUITTO) - files(LOCAL) == {OWN}
    assert files(LOCAL) <= files(MOSQUITTO), "link it: ln -s ../local/... inventory/mosquitto/..."
    strangers = [name for name in files(LOCAL) if (MOSQUITTO / name).resolve() != LOCAL / name]
    assert strangers == []


def test_its_own_file_is_read_after_the_site_and_so_wins() -> None:
    folder = MOSQUITTO / "group_vars" / "all"
    assert max(path.name for path in folder.iterdir()) == Path(OWN).name


def test_only_probes_and_configuration_files_of_buses_differ() -> None:
    changed = own()
    for application in changed["local_mosquitto_applications"].values():
        assert set(application) == {"bus", "files"}
        assert {**application["bus"], "link": None} == {"probe": "mqtt", "link": None}
    (service,) = changed["local_mosquitto_services"].values()
    assert set(service) == {"hosts", "probe", "files"}
    assert service["probe"] == "mqtt"


def test_every_name_is_one_of_inventory_local_or_marked_as_its_own() -> None:
    known: set[str] = set()
    for path in (LOCAL / "group_vars" / "all").iterdir():
        known |= set(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [name for name in own() if name not in known and not name.startswith("local_")] == []


def test_environments_lose_nothing_but_the_other_server() -> None:
    local = yaml.safe_load((LOCAL / "group_vars/all/local.yml").read_text(encoding="utf-8"))
    for name in ("muster_environment", "monitor_environment"):
        missing = local[name].keys() - own()[name].keys() - {"MUSTER_NATS_SERVER"}
        assert missing == set(), name
        both = local[name].keys() & own()[name].keys()
        assert {key: own()[name][key] for key in both} == {key: local[name][key] for key in both}
