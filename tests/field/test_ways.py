# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs reach the hosts, so the monitor's lines do: they use what the settings of runs say about ssh.

Sources: kubernetes-sigs/kubespray PR#1883 (a bastion in `ssh_args`, with a file of its own beside the settings),
ansible/ansible#13571, #75107 (jump hosts, accounts and keys that only one of two connections knows).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.base.ssh_settings import SshSettings, of_lines
from monitor.judge.watch_list import WatchedHost
from monitor.runs import ssh_of_runs
from monitor.watch.lines_ssh import command


def words(settings: SshSettings, **said: Any) -> list[str]:
    """The command of a line to a host whose variables say this."""
    host = WatchedHost("server_1", root="/opt/muster", ssh=settings.with_host({"host": "192.0.2.1", **said}))
    return command(host, 1.0, "", None)[:-1]


def written(folder: Path, text: str, **environ: str) -> SshSettings:
    (folder / "ansible.cfg").write_text(text, encoding="utf-8")
    return ssh_of_runs.read({"HOME": str(folder), **environ}, folder)


def option(command: Sequence[str], name: str) -> str:
    """The value of an option: for ssh the first one counts."""
    options = [value for flag, value in itertools.pairwise(command) if flag == "-o"]
    return next(value.partition("=")[2] for value in options if value.lower().startswith(name.lower() + "="))


def test_a_line_goes_through_the_jump_host_that_the_settings_name(tmp_path: Path) -> None:
    settings = written(tmp_path, "[ssh_connection]\nssh_args = -o ControlMaster=auto -o ControlPersist=9m -J bastion\n")
    line = words(settings)
    assert line[line.index("-J") + 1] == "bastion"
    assert (option(line, "ControlMaster"), option(line, "ControlPath")) == ("no", "none")
    assert not any("ControlPersist" in word for word in line)


def test_a_file_beside_the_settings_is_found_from_there(tmp_path: Path) -> None:
    settings = written(tmp_path, "[ssh_connection]\nssh_args = -F ./bastion.conf\n")
    line = words(settings)
    assert line[line.index("-F") + 1] == "./bastion.conf"
    assert settings.folder == str(tmp_path)


def test_account_key_port_and_unchecked_host_keys_are_those_of_the_settings(tmp_path: Path) -> None:
    said = ("remote_user = operator", "private_key_file = keys/id", "remote_port = 2222", "host_key_checking = no")
    text = "\n".join(("[defaults]", *said))
    line = words(written(tmp_path, text))
    assert line[line.index("-l") + 1] == "operator"
    assert line[line.index("-i") + 1] == str(tmp_path / "keys/id")
    assert line[line.index("-p") + 1] == "2222"
    assert option(line, "StrictHostKeyChecking") == "no"


def test_what_a_host_says_itself_comes_first(tmp_path: Path) -> None:
    text = "[defaults]\nremote_user = operator\n[ssh_connection]\nssh_common_args = -o ProxyJump=bastion\n"
    line = words(written(tmp_path, text), user="muster", arguments=["-o", "ProxyJump=gate"])
    assert line[line.index("-l") + 1] == "muster"
    assert option(line, "ProxyJump") == "gate"


def test_the_environment_counts_before_the_file(tmp_path: Path) -> None:
    settings = written(
        tmp_path, "[ssh_connection]\nssh_args = -J bastion\n", ANSIBLE_SSH_ARGS="-J other", ANSIBLE_REMOTE_USER="eve"
    )
    assert (settings.arguments, settings.user) == (("-J", "other"), "eve")


@pytest.mark.parametrize(
    "text", ["[ssh_connection]\nssh_args = -o 'open\n", "[defaults]\nremote_user = {{ who }}\n", "no section\n"]
)
def test_what_cannot_be_understood_changes_nothing(text: str, tmp_path: Path) -> None:
    settings = written(tmp_path, text)
    assert (settings.user, settings.port, settings.key, settings.arguments) == ("", "", "", ())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["-C", "-o", "controlpath=/x/%C", "-oControlPersist=60s"], ["-C"]),
        (["-S", "/x/%C", "-S/x", "-tt", "-vvv"], []),
        (["-oProxyCommand=nc %h %p", "-o", "RequestTTY force"], ["-o", "ProxyCommand=nc %h %p"]),
        (["-o"], []),
    ],
)
def test_what_belongs_to_a_shared_connection_or_a_terminal_is_left_out(given: list[str], kept: list[str]) -> None:
    assert of_lines(given) == kept
