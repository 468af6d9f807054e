# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An intent about an instance on a suspect host is held, and the run finds out whether the host answers."""

from __future__ import annotations

from monitor.core.plan.act_requests import act_requests
from monitor.core.plan.plan import make_plan
from tests.small_site import small_site
from tests.unit.plan.fleet_in_memory import World

WHY = "its service manager is gone"


def test_a_suspect_host_is_asked_and_nothing_is_done_there() -> None:
    world = World(small_site(items=3))
    world.finish(world.begin("deploy"))
    name, claim = next(iter(sorted(world.state["claims"].items())))
    intent = {"id": "m-1", "instance": name, "epoch": claim["epoch"], "cause": "bus crash", "what": "restart",
              "why": "its bus crashed", "at": world.now}  # fmt: skip
    asked = {"kind": "intents", "who": "monitor", "from": "controller", "intents": [intent]}
    for suspects, instances in (({}, [name]), ({claim["host"]: WHY}, [])):
        request = {**asked, "suspects": suspects}
        plan = make_plan(world.site, world.state, world.revision, {}, request, world.now, "9", world.digests)
        assert world.commit(world.revision, plan.changes) or not plan.changes
        sent = act_requests(world.site, world.state, plan, 1, world.digests)
        assert list(sent) == [claim["host"]], suspects
        assert [order.instance for order in sent[claim["host"]].instances] == instances
        world.state["claims"][name] = dict(claim)
