#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check whether a host can be deployed to
version_added: 0.2.0
description:
  - Connects to the host, and checks its Python, its clock, its disk, and whether muster's folder can be made there.
  - Fails with one sentence per problem. When the host cannot be reached, the sentence says what to do about it.
  - An account that reaches the agent through its door (C(muster_agent_sudo), without C(become)) writes nothing on the
    host. For such an account the module checks whether the door opens instead.
  - The module needs nothing installed on the host, and changes nothing there.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  controller:
    description:
      - Whether this is the controller. Then the module checks whether the monitor's Python environment can be made.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at every host
  control_room.muster.preflight:
  timeout: 20
"""

RETURN = r"""
findings:
  description: One sentence per problem.
  returned: always
  type: list
  elements: str
  sample: ["server_1: its clock is 42 s behind"]
hints:
  description: What is worth knowing and no reason to stop, for example a missing program that the roles can install.
  returned: always
  type: list
  elements: str
  sample: [xterm]
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402


def main() -> None:
    """The action plugin does the work: it must also speak of hosts where no module can run."""
    module = AnsibleModule(
        argument_spec={"controller": {"type": "bool", "default": False}}, supports_check_mode=True
    )
    module.fail_json(msg="the action plugin of the same name is missing: use this module by its full name")


if __name__ == "__main__":
    main()
