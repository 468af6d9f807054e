# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`program_dir`: the folder of each program in the version that the hosts' variables name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError

from plugins.plugin_utils import _program_dirs


class HostVars(dict):  # type: ignore[type-arg]
    """Variables of hosts without templates in them, so the written ones are those that count."""

    def raw_get(self, host: str) -> Any:
        return self[host]


def entry(name: str, version: str) -> dict[str, str]:
    return {"name": name, "from": "archive", "version": version}


def found(own: dict[str, Any] | None = None, **hosts: dict[str, Any]) -> Any:
    task_vars = {"hostvars": HostVars(hosts), "groups": {"muster_hosts": list(hosts)}}
    return dict(_program_dirs.with_program_dir(own or {}, task_vars, lambda value: value)).get("program_dir")


def test_each_program_has_the_folder_of_its_version() -> None:
    servers = {"programs_sources": [entry("dome", "2"), {"name": "tools", "from": "package"}]}
    consoles = {"programs_sources": [entry("viewer", "3")], "programs_dir": "/srv/programs/"}
    assert found(server_1=servers, server_2=servers, console_1=consoles) == {
        "dome": "/opt/muster_programs/dome/2", "viewer": "/srv/programs/viewer/3"}  # fmt: skip


def test_of_several_versions_on_a_host_the_last_one_counts() -> None:
    assert found(server_1={"programs_sources": [entry("dome", "1"), entry("dome", "2")]}) == {
        "dome": "/opt/muster_programs/dome/2"
    }


def test_two_versions_on_two_hosts_are_an_error_that_names_both() -> None:
    with pytest.raises(AnsibleError, match=r"dome/1 on server_1 and .*/dome/2 on server_2"):
        found(server_1={"programs_sources": [entry("dome", "1")]}, server_2={"programs_sources": [entry("dome", "2")]})


def test_nothing_is_said_without_programs_and_a_variable_of_ones_own_stays() -> None:
    assert found(server_1={}) is None
    assert found({"program_dir": "/mine"}, server_1={"programs_sources": [entry("dome", "1")]}) == "/mine"
