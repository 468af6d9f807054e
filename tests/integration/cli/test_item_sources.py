# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items from a real server, a table and a group, as `ansible-inventory` and `muster check` have them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


class Cmdb(ThreadingHTTPServer):
    """A NetBox with two pages, which wants a token."""

    answers = 0
    working = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = "http://127.0.0.1:%d/api/devices/" % self.server_address[1]

    def page(self, number: int) -> dict[str, Any]:
        names = {1: ["cam-1", "cam-2"], 2: ["cam-3"]}[number]
        records = [{"name": n, "custom_fields": {"slot": int(n[-1])}, "address": "192.0.2." + n[-1]} for n in names]
        return {"results": records, "next": self.url + "?page=2" if number == 1 else None}


class Answer(BaseHTTPRequestHandler):
    server: Cmdb

    def do_GET(self) -> None:
        self.server.answers += 1
        good = self.headers["Authorization"] == "Token s3cret"
        self.send_response(503 if not self.server.working else 200 if good else 403)
        self.end_headers()
        if good and self.server.working:
            self.wfile.write(json.dumps(self.server.page(2 if "page=2" in self.path else 1)).encode())

    def log_message(self, *_words: Any) -> None:
        """Nothing."""


@pytest.fixture
def cmdb() -> Iterator[Cmdb]:
    with Cmdb() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The local site without items of its own."""
    folder = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory" / "local", folder)
    site = folder / "group_vars" / "all" / "site.yml"
    text = site.read_text(encoding="utf-8")
    assert 'muster_items: ["01", "02", "03"]\n' in text
    site.write_text(text.replace('muster_items: ["01", "02", "03"]\n', ""), encoding="utf-8")
    return folder


def source(inventory: Path, **options: Any) -> None:
    (inventory / "40_items.yml").write_text(yaml.safe_dump({"plugin": "control_room.muster.items", **options}))


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{BIN}:{os.environ['PATH']}"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path, **more}
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120, check=False)


def variables(inventory: Path, *arguments: str, **more: str) -> dict[str, Any]:
    listed = run("ansible-inventory", "-i", str(inventory), "--host", "controller", *arguments, **more)
    assert listed.returncode == 0, listed.stderr
    return {name: value for name, value in json.loads(listed.stdout).items() if name.startswith("muster_items")}


def test_a_server_is_asked_page_by_page_and_its_answer_is_kept(inventory: Path, cmdb: Cmdb, tmp_path: Path) -> None:
    source(
        inventory, **{"from": "netbox"}, url=cmdb.url + "?secret=1", slot="custom_fields.slot",
        fields={"at": "address"}, cache=True, cache_plugin="ansible.builtin.jsonfile",
        cache_connection=str(tmp_path / "cache"),
    )  # fmt: skip
    wanted = {
        "muster_items": [{"id": f"cam-{n}", "slot": n, "at": f"192.0.2.{n}"} for n in (1, 2, 3)],
        "muster_items_source": cmdb.url,
        "muster_items_problems": [],
    }
    assert variables(inventory, MUSTER_ITEMS_TOKEN="s3cret") == wanted
    assert cmdb.answers == 2
    cmdb.working = False
    assert variables(inventory, MUSTER_ITEMS_TOKEN="s3cret") == wanted
    assert cmdb.answers == 2, "from the cache"
    checked = run(str(ROOT / "bin/muster"), "-i", str(inventory), "check", MUSTER_ITEMS_TOKEN="s3cret")
    assert checked.returncode == 0, checked.stderr

    gone = variables(inventory, "--flush-cache", MUSTER_ITEMS_TOKEN="s3cret")
    assert gone["muster_items_problems"] == [f"{cmdb.url}: the server answers 503 Service Unavailable"]
    cached = "".join(path.read_text() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert "s3cret" not in cached


def test_an_unreadable_source_stops_every_playbook_and_shows_no_secret(inventory: Path, cmdb: Cmdb) -> None:
    source(inventory, **{"from": "netbox"}, url=cmdb.url, slot="custom_fields.slot")
    checked = run(str(ROOT / "bin/muster"), "-i", str(inventory), "check", MUSTER_ITEMS_TOKEN="wr0ng")
    assert checked.returncode == 2, checked.stdout
    assert f"{cmdb.url}: the server answers 403 Forbidden" in checked.stderr
    assert "wr0ng" not in checked.stderr + checked.stdout


def test_errors_of_a_table_are_shown_with_their_lines(inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "sensors.csv").write_text("id,slot\na,1\nb,x\na,3\n")
    source(inventory, **{"from": "csv"}, file="../sensors.csv", slot="slot")
    checked = run(str(ROOT / "bin/muster"), "-i", str(inventory), "check")
    assert checked.returncode == 2, checked.stdout
    assert 'sensors.csv: line 3: slot is "x", must be a whole number from 0 to' in checked.stderr
    assert "sensors.csv: line 4: item a is that of line 2, too" in checked.stderr


def test_a_group_of_the_inventory_is_a_source(inventory: Path) -> None:
    sensors = {f"dome-{n}": {"sensor": True, "number": n} for n in (1, 2)}
    (inventory / "20_sensors.yml").write_text(yaml.safe_dump({"all": {"hosts": sensors}}))
    (inventory / "30_kinds.yml").write_text(yaml.safe_dump(
        {"plugin": "ansible.builtin.constructed", "strict": False, "groups": {"sensors": "sensor | default(false)"}}
    ))  # fmt: skip
    source(inventory, **{"from": "group"}, group="sensors", slot="number", fields={"n": "number"})
    found = variables(inventory)
    assert found["muster_items"] == [{"id": f"dome-{n}", "slot": n, "n": n} for n in (1, 2)]
    source(inventory, **{"from": "group"}, group="sensor")
    assert "did you mean sensors?" in variables(inventory)["muster_items_problems"][0]
