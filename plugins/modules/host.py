#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Prepare a host, or remove everything of muster from it
version_added: 0.2.0
description:
  - Makes the host's folders, installs the agent, C(muster-exec) and the application's programs, writes the
    configuration of the service manager and of the host's own services, and starts the service manager when it does
    not run.
  - Refuses a host that belongs to another site or controller.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(prepared) installs what is missing or differs; V(removed) stops everything of muster, confirms that it has
        ended, and removes muster's folder.
    type: str
    choices: [prepared, removed]
    default: prepared
  programs:
    description:
      - Folders of programs to ship below C(bin/) of the host's folder. A relative one is looked up beside the
        playbook, then in the collection's C(bin/).
    type: list
    elements: str
    default: []
  supervisord:
    description:
      - How supervisord is started, as a list of arguments.
    type: list
    elements: str
    default: [/usr/bin/supervisord]
  environment:
    description:
      - Environment variables for every process of the host.
    type: dict
    default: {}
  boot:
    description:
      - Whether supervisord is to start with the machine, by a unit of systemd. Needs root, or a user who may linger.
      - Where the service manager is systemd, the host's services start with the machine in any case.
    type: bool
    default: false
  packages:
    description:
      - The packages that must be installed first, by family of the system as Ansible names it (V(Debian), V(RedHat)).
        When one is missing, nothing is prepared and RV(lacks) names it.
    type: dict
    default: {}
    version_added: 0.2.0
  user:
    description:
      - The user that programs run as, as C(name), C(comment), C(home) and C(shell). When it is missing, or has this
        comment and differs, nothing is prepared and RV(lacks) says so.
    type: dict
    default: {}
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Prepare the host
  control_room.muster.host:
    programs: [scen2]
    supervisord: [/usr/bin/python3, -m, supervisor.supervisord]
"""

RETURN = r"""
did:
  description: One sentence per change.
  returned: success
  type: list
  elements: str
  sample: [installed the agent, wrote etc/services/common_data_bus.ini]
lacks:
  description:
    - What must be there before the host can be prepared, as C(family), C(packages) and C(user). Empty when the host was
      prepared.
  returned: success
  type: dict
  version_added: 0.2.0
unreachable_host:
  description: Why the host did not answer.
  returned: when it did not
  type: str
  sample: "ssh: connect to host 192.0.2.11 port 22: Connection timed out"
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            state=dict(type="str", choices=["prepared", "removed"], default="prepared"),
            programs=dict(type="list", elements="str", default=[]),
            supervisord=dict(type="list", elements="str", default=["/usr/bin/supervisord"]),
            environment=dict(type="dict", default={}),
            boot=dict(type="bool", default=False),
            packages=dict(type="dict", default={}),
            user=dict(type="dict", default={}),
        ),
    )


if __name__ == "__main__":
    main()
