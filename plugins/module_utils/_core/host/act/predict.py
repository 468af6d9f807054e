# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an act would do, for check mode."""

from __future__ import annotations

import os

from ..machine import instance_files, starts
from ..service import ends, identity
from ..service.choose import manager_of
from .results import missing, outcome, too_old

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Sequence


def predict(host: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """What `Sequencer.run` would do, for check mode. Changes nothing.

    :return: instance -> result.
    """
    root = host["root"]
    manager = manager_of(host)
    look = identity.Look(manager)
    runs = look.pid > 0
    results = {}
    for request in requests:
        instance, action = request["instance"], request["do"]
        mine = look.of(instance)
        seen = instance_files.read_seen(root, instance)
        refused = too_old(host["host"], request, seen, instance_files.read_claim(root, instance))
        if refused:
            results[instance] = outcome(request, "refused", refused, changed=False)
        elif action == "reload":
            results[instance] = outcome(request, "running", "", changed=seen.get("digest") != request["digest"])
        elif action in ("end", "add"):
            lives = {p.program for p in mine if p.main}
            changed = any((name in lives) == (action == "end") for name in request.get("only") or ())
            results[instance] = outcome(request, "running", "", changed=changed)
        elif action in ("renew", "signal", "grant"):
            results[instance] = outcome(request, "running", "", changed=True)
        elif action == "stop":
            held = os.path.exists(instance_files.claim_path(root, instance))
            changed = bool(mine) or held or manager.is_placed(instance)
            results[instance] = outcome(request, "stopped", "", changed=changed)
        else:
            running = {p.program for p in mine if p.epoch == request["epoch"]}
            record = starts.read(root, instance)
            if record.epoch == request["epoch"]:
                running.update(ends.done(manager, record, running))
            fresh = action == "restart" or not runs or {p.epoch for p in mine} != {request["epoch"]}
            changed = fresh or action == "continue" or bool(missing(request, running, seen))
            results[instance] = outcome(request, "running", "", changed=changed, restarted=fresh and bool(mine),
                                        deferred=seen.get("deferred", []), failed=seen.get("failed", {}))
    manager.close()
    return results
