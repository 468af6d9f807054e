# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that systemd and muster-exec get, rendered by Ansible's own engine, word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.core.compile import compiler
from monitor.core.host.service.systemd import dbus, orders
from monitor.core.host.service.systemd import units as systemd_units
from monitor.core.model import confinement
from tests.unit.embedded_site import ROOT, raw_site

GOLDEN = Path(__file__).with_name("golden")
RENDER = """
import json, sys
sys.path.insert(0, %r)
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.control_room.muster.plugins.module_utils._core.model.site import site_from_json
from ansible_collections.control_room.muster.plugins.plugin_utils import _render
site = site_from_json(json.load(sys.stdin))
folders = [%r + "/roles/%%s/templates/" %% role for role in ("host", "programs")]
def find(name):
    import os
    return next(folder + name for folder in folders if os.path.exists(folder + name))
rendered = _render.Renderer(site, Templar(loader=DataLoader()), {"muster_common_bus_hosts": "servers"}, find).render()
print(json.dumps({name: [rendered.files_for(site, name), rendered.service_files(site, name), rendered.digests]
                  for name in ("server_1", "console_1", "server_3")}))
"""


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    """Host -> its files, of a site whose last server alone has supervisor."""
    import json

    from monitor.core.model import site

    raw = raw_site()
    for name, host in raw["inventory"]["hosts"].items():
        if name != "server_3":
            host["muster_service_manager"] = "systemd"
    raw["muster_applications"]["scen2_hci"]["limits"] = {"memory_max": "2G", "tasks_max": 200}
    view = raw["muster_applications"]["scen2_hci"]["programs"]["chart_view"]
    view["sandbox"] = {"protect_system": "strict", "no_new_privileges": True, "read_only_paths": ["/srv/maps"]}
    view["limits"] = {"cpu_quota": 50, "nice": 5}
    raw["muster_applications"]["archive"] = {
        "per": "site", "identifiers": "servers", "start_sequence": 1,
        "programs": {"archive": {"command": ["dummy/idle"], "start_sequence": 1, "stop_signal": "INT",
                                 "directory": "/srv/data", "umask": "0077"},
                     "usual": {"command": ["dummy/idle"], "start_sequence": 1}},
    }  # fmt: skip
    document = site.site_to_json(compiler.compile_site(raw))
    script = RENDER % (str(ROOT / "collections"), str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(document),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(("host", "name"), [
    ("server_1", "scen2_srv.units"), ("server_1", "scen2_srv_01.run"), ("console_1", "scen2_hci.units"),
    ("server_1", "common_data_bus.units"), ("server_1", "common_data_bus.run"),
])  # fmt: skip
def test_rendered_files_equal_the_approved_ones(files: dict[str, Any], host: str, name: str) -> None:
    """After a change that is meant: MUSTER_GOLDEN=write, and read the difference."""
    available, services, _digests = files[host]
    text = {**available, **services}[name]["text"]
    path = GOLDEN / name
    if os.environ.get("MUSTER_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_each_host_gets_the_files_of_its_own_service_manager(files: dict[str, Any]) -> None:
    assert {name.rpartition(".")[2] for name in files["server_1"][0] if "/" not in name} == {"units", "run"}
    assert {name.rpartition(".")[2] for name in files["server_3"][0] if "/" not in name} == {"ini"}
    settings = [name for name in files["server_1"][0] if "/" in name]
    assert settings and all(files["server_3"][0][name] == files["server_1"][0][name] for name in settings)
    assert files["server_1"][2] == files["server_3"][2]  # one digest per instance, wherever it runs


def test_signal_folder_and_umask_of_a_program_reach_both_service_managers(files: dict[str, Any]) -> None:
    units = dict(systemd_units.sections(files["server_1"][0]["archive.units"]["text"]))
    own = units["muster-archive.archive@.service"].splitlines()
    assert {"KillSignal=SIGINT", "WorkingDirectory=/srv/data", "UMask=0077"} <= set(own)
    usual = units["muster-archive.usual@.service"].splitlines()
    assert {"WorkingDirectory=@@root@@/var/archive_%I", "UMask=0027"} <= set(usual)
    assert not [line for line in usual if line.startswith("KillSignal")]
    _group, first, second = files["server_3"][0]["archive_site.ini"]["text"].split("[program:")
    assert {"stopsignal=INT", "directory=/srv/data", "umask=0077"} <= set(first.splitlines())
    assert "directory=@@root@@/var/archive_site" in second.splitlines()
    assert "umask" not in second and "stopsignal" not in second


def test_what_the_site_has_once_is_rendered_once(files: dict[str, Any]) -> None:
    names = [name for name in files["server_3"][0] if name.startswith("archive")]
    assert names == ["archive_site.ini"]
    assert [name for name in files["server_3"][2] if name.startswith("archive")] == ["archive_site"]


def test_sections_are_units_and_each_has_a_name_that_systemd_takes(files: dict[str, Any]) -> None:
    units = dict(systemd_units.sections(files["server_1"][0]["scen2_srv.units"]["text"]))
    assert "muster-scen2_srv@.target" in units and "muster-scen2_srv.internal_data_bus@.service" in units
    assert all(len(name) < 200 for name in units)
    bound = {name for name, text in units.items() if "BindsTo=muster-scen2_srv.internal_data_bus@%i.service" in text}
    assert len(bound) == len(units) - 2  # all but the target and the bus itself
    assert not any(re.search("^Restart=(?!no)", text, re.M) for text in units.values())
    assert not any("[Install]" in text for text in units.values())


# What Python takes for the end of a line, and neither systemd, muster-exec nor our format does.
ODD = ["a%sb" % chr(code) for code in (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029)]


def test_an_argument_may_hold_what_looks_like_the_end_of_a_line(tmp_path: Path) -> None:
    """From the rendered file to what the program is given, by muster-exec itself."""
    lines = ["ODD=%s" % "".join(ODD), *(">" + word for word in ["/usr/bin/env", "printf", "%s|", *ODD, "", "#@ x"])]
    parts = dict(systemd_units.sections("#@ dome_srv 01\n#@ core\n%s\n#@ other\n>true\n" % "\n".join(lines)))
    assert list(parts) == ["dome_srv 01", "core", "other"]
    placed = tmp_path / "etc" / "placed" / "dome_srv_01"
    placed.mkdir(parents=True)
    (placed / "core").write_text(parts["core"])
    (tmp_path / "etc" / "environment").write_text("")
    (tmp_path / "run" / "claims").mkdir(parents=True)
    (tmp_path / "run" / "claims" / "dome_srv_01").write_text("1\n")
    done = subprocess.run(
        [ROOT / "bin" / "muster-exec", "--placed", "core"], stdout=subprocess.PIPE, check=True,
        env={"PATH": os.defpath, "MUSTER_ROOT": str(tmp_path), "MUSTER_INSTANCE": "dome_srv_01", "MUSTER_HOST": "x"},
    )  # fmt: skip
    assert done.stdout.decode() == "".join(word + "|" for word in [*ODD, "", "#@ x"])


def test_names_of_units() -> None:
    assert orders.unit_name("scen2_srv", "core", "01") == "muster-scen2_srv.core@01.service"
    assert orders.unit_name("app", "core", "a-b.c") == "muster-app.core@a\\x2db.c.service"
    assert orders.target_name("app", "x") == "muster-app@x.target"
    assert orders.slice_name("my-app", "a-b") == "muster-my\\x2dapp-a\\x2db.slice"
    assert len(orders.unit_name("a" * 64, "p" * 64, "i" * 64)) < 256


def test_only_what_is_listed_becomes_a_directive() -> None:
    assert confinement.directives({"cpu_quota": 150, "memory_max": "1G"}, {"private_tmp": True}) == [
        "CPUQuota=150%",
        "MemoryMax=1G",
        "PrivateTmp=yes",
    ]
    with pytest.raises(KeyError):
        confinement.directives({"exec_start": "/bin/sh"}, {})


@pytest.mark.parametrize(("signature", "data", "values"), [
    ("s", b"\x02\0\0\0ab\0", ["ab"]),
    ("uo", b"\x07\0\0\0\x01\0\0\0/\0", [7, "/"]),
    ("v", b"\x01u\0\0\x05\0\0\0", [5]),
    ("as", b"\x0e\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0", [["a", "b"]]),
    ("a{sv}", b"\x10\0\0\0\0\0\0\0\x01\0\0\0k\0\x01b\0\0\0\0\x01\0\0\0", [{"k": True}]),
    ("b(su)", b"\x01\0\0\0\0\0\0\0\x01\0\0\0x\0\0\0\x09\0\0\0", [True, ["x", 9]]),
])  # fmt: skip
def test_dbus_values(signature: str, data: bytes, values: list[Any]) -> None:
    assert dbus._values(signature, data) == values
