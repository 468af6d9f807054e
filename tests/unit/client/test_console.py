# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster` on a console: the socket that it uses, and its message when there is none."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from monitor.core.client import console

ROOT = Path(__file__).resolve().parents[3]


def test_without_access_it_says_what_is_missing(tmp_path: Path) -> None:
    for shared in (tmp_path, tmp_path / "none"):
        with pytest.raises(console.NoWay, match="its inventory names no muster_console_group"):
            console.find({}, str(shared))


def test_a_machine_that_is_several_hosts_asks_which_one(tmp_path: Path) -> None:
    for name in ("console_1", "console_2"):
        (tmp_path / name).mkdir()
    with pytest.raises(console.NoWay, match="set MUSTER_HOST to one of console_1, console_2"):
        console.find({}, str(tmp_path))
    with pytest.raises(console.NoWay, match="the monitor has no line to console_2 now"):
        console.find({"MUSTER_HOST": "console_2"}, str(tmp_path))


def test_it_finds_the_socket_of_its_host(tmp_path: Path) -> None:
    folder = tmp_path / "console_1"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(folder / "api.sock"))
        made.listen(1)
        assert console.find({}, str(tmp_path)) == str(folder / "api.sock")
    with pytest.raises(console.NoWay, match="the monitor has no line"):
        console.find({}, str(tmp_path))


def test_the_installed_command_runs_without_the_checkout(tmp_path: Path) -> None:
    """Without anything of the checkout, in an empty environment; and so does what is loaded for some commands only."""
    package = tmp_path / "muster_console"
    package.mkdir()
    files = yaml.safe_load((ROOT / "roles/monitor/vars/main.yml").read_text())["monitor_console_files"]
    for name in files:
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text((ROOT / "plugins/module_utils/_core" / name).read_text())
    modules = ["muster_console." + name[:-3].replace("/", ".") for name in files]
    program = (
        "import importlib, sys; sys.path.insert(0, %r); [importlib.import_module(name) for name in %r];"
        " from muster_console.client.console import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program % (str(tmp_path), modules), "--help"], env={}, cwd="/", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "open the HCI of item 02 on this console" in done.stdout
