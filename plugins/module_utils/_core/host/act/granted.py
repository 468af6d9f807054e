# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an order changes in what its host may do by itself later; and whether an order of the host itself is allowed."""

from __future__ import annotations

import os

from ..lease import allowed
from ..machine import instance_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, List, Tuple

    Steps = Generator[List[Tuple[str, str, str]], List[Any], Any]


def steps(job: Any, inner: Steps) -> Steps:
    """The steps of a job, which holds the lock of its instance.

    :param job: the `host.act.instance.InstanceJob`, which imports this.
    :return: its result.
    """
    scene, request = job.scene, job.request
    concerned = request["do"] == "grant" or request.get("alone") or request.get("granted")
    if not concerned and not os.path.exists(instance_files.grant_path(job.root, job.instance)):
        return (yield from inner)
    from ..alone import grants  # only where hosts help themselves: it takes milliseconds

    if not grants.begun(job.root, request):
        why = "%s may not start %s by itself any more" % (job.where, job.instance)
        return job.result("refused", why, changed=False)
    if request["do"] == "grant":
        inner = _told(job)
    result = yield from inner
    session = scene.lease.get(allowed.VARIABLE, "")
    grants.ended(job.root, scene.host, request, result, session, scene.deadline - scene.began)
    return result


def _told(job: Any) -> Steps:
    """It runs on; only what its host may do about it later is another thing."""
    present = yield from job.find_present()
    if {process.epoch for process in present.processes} - {-1} != {job.epoch}:
        return job.result("refused", "%s does not run on %s with epoch %d" % (job.instance, job.where, job.epoch),
                          changed=False)  # fmt: skip
    if not job.request.get("alone"):
        from ..alone import grants

        grants.end(job.root, job.instance)
    return job.result("running", "")
