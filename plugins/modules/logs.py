#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logs
short_description: Read the logs of programs on a host
version_added: 0.2.0
description:
  - Returns the last lines that programs wrote, from files or the journal, in the order of time.
  - Bytes that are no text, and what a terminal would obey, are returned as they are written in Python (C(\x1b)).
  - A host that does not answer is a note among the lines, not a failure.
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
  name:
    description:
      - An instance, an item (all its programs), a host service or a host.
      - C(INSTANCE/PROGRAM) is one program, or those that a pattern fits.
    type: str
    required: true
  lines:
    description:
      - How many of the newest lines of each host.
    type: int
    default: 200
  since:
    description:
      - Only after this moment, for example V(10m) (ago), V(14:00) or V(2030-01-31 14:00).
    type: str
    default: ""
  until:
    description:
      - Only before this moment.
    type: str
    default: ""
  grep:
    description:
      - Only lines with this word; in small letters, capitals do not matter.
    type: str
    default: ""
  previous:
    description:
      - The run before the last start of each program.
    type: bool
    default: false
  show:
    description:
      - Show the lines.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Read what the programs of item 02 wrote in the last ten minutes
  control_room.muster.logs:
    name: "02"
    since: 10m
  register: wrote
"""

RETURN = r"""
lines:
  description: The lines of this host, the oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: The host.
      type: str
      returned: always
      sample: server_1
    instance:
      description: The instance; empty for what belongs to the host.
      type: str
      returned: always
      sample: scen2_srv_02
    program:
      description: The program.
      type: str
      returned: always
      sample: data_processing
    at:
      description: When it was written, in seconds since 1970, as far as that is known.
      type: float
      returned: always
      sample: 1896098405.25
    text:
      description: What the program wrote.
      type: str
      returned: for lines of programs
      sample: "item 02: alarm raised at 31.2"
    note:
      description: A sentence of muster's, for example why there are no lines.
      type: str
      returned: instead of a text
      sample: its lines are not there any more
    cut:
      description: Bytes of a very long line that are left out.
      type: int
      returned: for very long lines
      sample: 8000
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            name=dict(type="str", required=True),
            lines=dict(type="int", default=200),
            since=dict(type="str", default=""),
            until=dict(type="str", default=""),
            grep=dict(type="str", default=""),
            previous=dict(type="bool", default=False),
            show=dict(type="bool", default=True),
        ),
    )


if __name__ == "__main__":
    main()
