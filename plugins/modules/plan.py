#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Decide what to do, and commit it
version_added: 0.2.0
description:
  - Makes a plan from the ledger and from the observations that M(control_room.muster.observe) registered as
    C(muster_observed) on every host, and commits the plan before anything is done.
  - In check mode the module returns the plan and commits nothing.
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
  kind:
    description:
      - The kind of request.
    type: str
    choices: [reconcile, deploy, start, stop, restart, signal, open, close, drain, undrain, move, rebalance, site_stop,
      site_start, apply, confirm_down, forget, reset, pause, resume, rollout_pause, rollout_resume, rollout_abort,
      rollout_revert, resolve, acknowledge, shelve,
      note, unshelve, drill_begin, drill_end]
    default: reconcile
  instances:
    description:
      - The instances that the request is about, by name. An application stands for all of its instances, a pattern
        such as V(scen2_srv_*) for those it fits, and the id of an item for its HCI, with O(kind=open) and
        O(kind=close).
    type: list
    elements: str
    default: []
  host:
    description:
      - The host that the request is about, by its name in the inventory. O(kind=drain), O(kind=undrain),
        O(kind=confirm_down) and O(kind=forget) need it; O(kind=start) starts there.
      - The former name of O(console) in O(kind=open), and of O(keep) in O(kind=resolve).
    type: str
    default: ""
  console:
    description:
      - The console to open on, with O(kind=open).
    type: str
    default: ""
  keep:
    description:
      - The host whose copy stays, with O(kind=resolve). Every other copy is stopped.
    type: str
    default: ""
  to:
    description:
      - The host to move to, with O(kind=move).
    type: str
    default: ""
  at:
    description:
      - When to move, with O(kind=move), written as O(until). The first reconcile after that makes the move.
    type: str
    default: ""
  plan:
    description:
      - The saved plan to apply, with O(kind=apply), or with O(kind=deploy) that of a deploy.
      - The path of its file on the control node, or its digest.
    type: str
    default: ""
  save:
    description:
      - In check mode, save the plan to this new file on the control node. O(kind=apply) then does exactly that, or
        nothing.
    type: path
    default: ""
  approve:
    description:
      - A plan that is saved with this is applied only by somebody else.
    type: bool
    default: false
  spread:
    description:
      - The difference between the highest and the lowest load that O(kind=rebalance) leaves, in percent of a machine;
        V(0) is the default of 20.
    type: int
    default: 0
  who:
    description:
      - Who requests it, for the trail.
    type: str
    default: ""
  from_where:
    description:
      - The host from which it is requested, for the trail.
    type: str
    default: ""
  why:
    description:
      - The reason, for the trail.
    type: str
    default: ""
  take:
    description:
      - With O(kind=open), close the HCI first on the console that shows it or no longer answers; needs O(why).
    type: bool
    default: false
  item:
    description:
      - The id of the item to pause or to resume.
    type: str
    default: ""
  whole_site:
    description:
      - Pause or resume the whole site.
    type: bool
    default: false
  until:
    description:
      - When a pause or a drain ends automatically. A duration (C(90s), C(30m), C(2h), C(1d)), a time of day
        (C(14:00)), or a date and time (C(2030-01-31 14:00)), in the time zone of the controller; or seconds since 1970.
    type: str
    default: ""
  at_a_time:
    description:
      - Number of instances that leave a drained host together; V(0) is all of them.
    type: int
    default: 0
  force:
    description:
      - Drain a host although some instances cannot leave it (they stay there), or confirm a host down that answers.
    type: bool
    default: false
  accept:
    description:
      - Deploy although the source of the items lost half of them or more.
    type: bool
    default: false
  confirm_host:
    description:
      - The name of the host once more, where O(force) could start a second copy.
    type: str
    default: ""
  ids:
    description:
      - Ids of the alarms, conflicts and failed actions to acknowledge, as the command C(muster alarms) and status list
        them; or what to shelve, which may also be the id of an item or a kind of alarm; or the hosts and items of a
        drill.
    type: list
    elements: str
    default: []
  all:
    description:
      - Acknowledge all conflicts and failed actions.
    type: bool
    default: false
  pending:
    description:
      - Restart only what runs with another configuration than the site describes; all of it without O(instances).
    type: bool
    default: false
  signal:
    description:
      - The signal to send, with O(kind=signal), for example V(HUP).
    type: str
    default: ""
  arg:
    description:
      - With O(kind=start) and O(kind=restart) of single programs, more arguments for them, until their next stop.
    type: list
    elements: str
    default: []
  env:
    description:
      - The same for variables, each as V(NAME=VALUE).
    type: list
    elements: str
    default: []
  whole:
    description:
      - With O(kind=stop) and O(kind=restart) of a bus, do it to the whole instance; with O(kind=start) of a program,
        start what has to run before it, too.
    type: bool
    default: false
  observed:
    description:
      - The name of the variable that M(control_room.muster.observe) registered in this run.
      - A host without it counts as not asked, and what it holds is held.
    type: str
    default: muster_observed
  report:
    description:
      - Write the plan as JSON to this file on the control node.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Plan, and commit the plan
  control_room.muster.plan:
    kind: reconcile
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
  register: muster_planned
"""

RETURN = r"""
plan:
  description: What is to be done, as it was committed.
  returned: success
  type: dict
  contains:
    run:
      description: Number of the run.
      type: str
      returned: always
      sample: "12"
    actions:
      description:
        - The actions in their order, each with what it is about (C(instance), C(host)), its C(reason) and its C(phase).
        - With an action of the kind V(refuse) there are no others.
      type: list
      elements: dict
      returned: always
      sample:
        - {kind: start, instance: scen2_srv_01, host: server_1, reason: it should run and runs nowhere, phase: 1}
    candidates:
      description: Instance, and the hosts that were looked at for it, with load, limit and verdict of each.
      type: dict
      returned: always
    waits:
      description: Instance that another run works on, and when the deadline of that run is over.
      type: dict
      returned: always
    request:
      description: What was requested, by whom, from where and why.
      type: dict
      returned: always
      sample: {kind: reconcile, who: operator, from: console_3, why: "", host: ""}
sentences:
  description: The plan in words.
  returned: success
  type: list
  elements: str
  sample: ["start scen2_srv_01 on server_1: it should run and runs nowhere"]
requests:
  description: Host, and the request to its agent. The playbooks send it.
  returned: success
  type: dict
hosts:
  description: The hosts that have something to do.
  returned: success
  type: list
  elements: str
  sample: [server_1, server_2]
phases:
  description: Number of phases of the plan. What starts in a later one waits for another host.
  returned: success
  type: int
  sample: 1
run:
  description: Number of this run.
  returned: success
  type: str
  sample: "12"
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402
from ansible_collections.control_room.muster.plugins.module_utils._core.model import request  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            request.argument_spec(),
            observed=dict(type="str", default="muster_observed"),
            report=dict(type="path", default=""),
            save=dict(type="path", default=""),
            approve=dict(type="bool", default=False),
        ),
    )


if __name__ == "__main__":
    main()
