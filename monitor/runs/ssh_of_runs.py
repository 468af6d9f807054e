# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the settings of the monitor's runs say about ssh: a jump host, a key, an account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..base.ssh_settings import SshSettings, of_lines, split
from . import ansible_cfg
from .playbooks import NoAnsible

_ARGUMENTS = ("ssh_args", "ssh_common_args", "ssh_extra_args")  # in Ansible's order
_NO = ("false", "no", "off", "0", "n", "f")


def read(environ: Mapping[str, str], cwd: Path) -> SshSettings:
    """Empty where the settings cannot be read: the runs say why."""
    try:
        config = ansible_cfg.find(environ, cwd)
    except NoAnsible:
        return SshSettings()
    folder = config.path.parent if config.path is not None else cwd

    def said(name: str) -> str:
        text = config.value(environ, "ANSIBLE_" + name.upper(), "defaults", name).strip()
        return "" if "{{" in text else text

    arguments: list[str] = []
    for name in _ARGUMENTS:
        text = config.value(environ, "ANSIBLE_" + name.upper(), "ssh_connection", name)
        arguments += split("" if "{{" in text else text)
    checking = config.value(environ, "ANSIBLE_HOST_KEY_CHECKING", "defaults", "host_key_checking")
    if checking.strip().lower() in _NO:
        arguments += ["-o", "StrictHostKeyChecking=no"]
    key = said("private_key_file")
    if key and not key.startswith(("/", "~")):
        key = str((cwd if "ANSIBLE_PRIVATE_KEY_FILE" in environ else folder) / key)
    place = str(folder) if os.access(folder, os.X_OK) else None
    return SshSettings(said("remote_user"), said("remote_port"), key, tuple(of_lines(arguments)), place)
