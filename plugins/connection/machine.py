# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts on one machine, each of which can lose its power."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machine
short_description: A host that lives in a folder of this machine
version_added: 0.2.0
description:
  - Runs tasks on the control node, as P(ansible.builtin.local#connection) does, for inventories that put several hosts
    on one machine.
  - The host has a power switch, the file C(power) in its folder, which C(bin/machine) turns. Without power it cannot
    be reached, and while it is frozen it takes a connection and says nothing.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - connection_pipelining
options:
  root:
    description:
      - The folder of the host.
    type: path
    required: true
    vars:
      - name: muster_root
  silence:
    description:
      - Seconds to wait for a frozen host.
    type: float
    default: 10
    vars:
      - name: ansible_timeout
  become_success_timeout:
    description:
      - Seconds to wait for become to succeed.
    type: int
    default: 10
    vars:
      - name: ansible_local_become_success_timeout
  become_strip_preamble:
    description:
      - Strip what become itself prints.
    type: bool
    default: true
    vars:
      - name: ansible_local_become_strip_preamble
notes:
  - The remote user is ignored.
"""

import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

from ansible.errors import AnsibleConnectionFailure  # noqa: E402
from ansible.plugins.connection.local import Connection as Local  # noqa: E402

POWER = "power"  # below the host's folder: {"state": "off" | "frozen", ...}
LOOK = 0.05  # s between looks at a frozen host


class Connection(Local):
    """As a local one, while the host has power."""

    transport = "control_room.muster.machine"

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self._needs_power()
        answer: tuple[int, bytes, bytes] = super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        self._needs_power()
        return answer

    def put_file(self, in_path: str, out_path: str) -> Any:
        self._needs_power()
        return super().put_file(in_path, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> Any:
        self._needs_power()
        return super().fetch_file(in_path, out_path)

    def _needs_power(self) -> None:
        """:raises AnsibleConnectionFailure: when the host is off, or does not thaw in time."""
        path = os.path.join(str(self.get_option("root")), POWER)
        host = self._play_context.remote_addr
        until = time.monotonic() + float(self.get_option("silence"))
        while os.path.exists(path):
            if self._state(path) == "off":
                raise AnsibleConnectionFailure("no route to %s: it has no power" % host)
            if time.monotonic() > until:
                raise AnsibleConnectionFailure(
                    "%s took the connection and did not answer within %g s" % (host, self.get_option("silence"))
                )
            time.sleep(LOOK)

    @staticmethod
    def _state(path: str) -> str:
        try:
            with open(path, encoding="utf-8") as handle:
                return str(json.load(handle).get("state"))
        except (OSError, ValueError):
            return ""
