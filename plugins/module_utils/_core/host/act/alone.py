# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single programs of an instance that runs: stopped, stopped and started again, or told something."""

from __future__ import annotations

import signal

from ..machine import given, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, List, Mapping, Tuple

    from .launches import Present

    Steps = Generator[List[Tuple[str, str, str]], List[Any], Any]


def alone(job: Any, present: Present, seen: Mapping[str, Any]) -> Steps:
    """Carry out ``end``, ``renew``, ``add`` or ``signal``.

    :param job: the `host.act.instance.InstanceJob`, which imports this.
    :return: the instance's result.
    """
    only = list(job.request.get("only") or ())
    if {process.epoch for process in present.processes} - {-1} != {job.epoch}:
        return job.result("refused", "%s does not run on %s with epoch %d, so nothing of it is changed" % (
            job.instance, job.where, job.epoch), seen=seen, changed=False)
    if job.request["do"] == "signal":
        return _signal(job, present, seen, only)
    if job.request["do"] == "add":
        runs = [name for name in only if name in present.mains]
        only = [name for name in only if name not in runs]
        has = sorted(set(runs) & set(job.request.get("given") or ()))
        if has:
            return job.result("refused", "%s of %s already runs on %s: restart it with what it is given" % (
                " and ".join(has), job.instance, job.where), seen=seen, changed=False)
        if not only:
            already = "%s of %s already runs on %s" % (" and ".join(runs), job.instance, job.where)
            return job.result("running", already, seen=seen, changed=False)
    for program in only:  # before anything is stopped: on a full disk nothing could start again
        given.write(job.root, job.instance, program, job.epoch, (job.request.get("given") or {}).get(program) or {})
    ended = yield from job.staging.stop(present.of(only), only=only)
    if job.staging.stuck:
        return job.result("failed", job.staging.stuck, seen=seen)
    if job.request["do"] == "end":
        return job.result("running", "", seen=seen, changed=ended)
    job.staging.adopt(present.without(only))
    return (yield from job.start(only, False, False, seen, ended))


def _signal(job: Any, present: Present, seen: Mapping[str, Any], programs: List[str]) -> Any:
    """To the process that the service manager started: its children are its own affair."""
    number = int(getattr(signal, "SIG" + job.request["tell"]))
    found = {name: procs.stat(present.mains.get(name, 0)) for name in programs}
    absent = [name for name, stat in found.items() if stat is None or stat.gone]
    if absent:
        return job.result("failed", "%s does not run" % " and ".join(absent), seen=seen, changed=False)
    job.signals += [(present.mains[name], number, stat.started) for name, stat in found.items() if stat is not None]
    return job.result("running", "", seen=seen)
