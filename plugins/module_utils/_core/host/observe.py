# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe a host: one look at its processes, its marker, its configuration folders, its load. Changes nothing."""

from __future__ import annotations

import json
import os

from .lease import allowed
from .machine import files, instance_files, json_files, procs, starts
from .service import ends, identity
from .service.choose import manager_of, setup_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

    from .service.manager import Manager

_PATIENCE_SECONDS = 2.0  # for a service manager that hangs


def read_marker(root: str) -> Dict[str, Any]:
    """The content of ``etc/host.json``: facts of the host as it was prepared, and ``settings``.

    :return: {} on a host that was never prepared.
    :raises ValueError: when the file is damaged.
    """
    try:
        with open(root + "/etc/host.json", encoding="utf-8") as handle:
            marker: Dict[str, Any] = json.load(handle)
    except FileNotFoundError:
        return {}
    except json_files.DAMAGED:
        marker = {}
    if not isinstance(marker, dict) or not marker.get("site_id"):
        raise ValueError("%s/etc/host.json is damaged" % root)
    return marker


def foreign_marker(marker: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """Check that a host belongs to the site, controller and inventory host of a request.

    :param marker: as `read_marker` returns it.
    :param host: the facts of the request.
    :return: a sentence when it does not; "" when it does, or was never prepared.
    """
    if not marker:
        return ""
    where = "%s (%s)" % (host["host"], host["root"])
    ours = host["site_id"] or str(host.get("site"))
    named = [name.rpartition("-")[0] or name for name in (str(marker["site_id"]), ours)]
    other = marker["site_id"] != host["site_id"]
    if other and named[0] == named[1] and marker.get("controller") == host["controller"]:
        return ("%s belongs to the site %s, and this ledger to %s: either the ledger was lost (put a copy of it back"
                " and reconcile: what runs goes on), or this is another checkout (give it another muster_root)" % (
                    where, marker["site_id"], ours))
    if marker["site_id"] != host["site_id"]:
        return ("%s belongs to the site %s (controller %s), not to %s (controller %s): remove it there first, or give "
                "it another muster_root here" % (where, marker["site_id"], marker.get("controller"),
                                                 host["site_id"] or host.get("site"), host["controller"]))
    if marker.get("controller") != host["controller"]:
        return ("%s is controlled by %s, not by %s: only the controller with the site's ledger may act on it" % (
            where, marker.get("controller"), host["controller"]))
    if marker.get("host") != host["host"]:
        return ("the folder %s is that of host %s, not of %s: every host needs a muster_root of its own" % (
            host["root"], marker.get("host"), host["host"]))
    return ""


def other_manager(marker: Mapping[str, Any], host: Mapping[str, Any]) -> str:
    """A sentence when this host was prepared for another service manager; else "". Parameters as `foreign_marker`."""
    before = (marker or {}).get("service_manager") or host["service_manager"]
    if before == host["service_manager"]:
        return ""
    return "%s (%s) was prepared for %s and is now to be run by %s: remove it there first, then deploy" % (
        host["host"], host["root"], before, host["service_manager"])


def observe(host: Mapping[str, Any], only: Optional[Sequence[str]] = None, load: bool = True) -> Dict[str, Any]:
    """Look at a host.

    :param only: instances to report; files and services are left out then. None: all of them.
    :param load: whether to measure the load, which takes 25 ms.
    :return: ``{"host", "answer": "seen", "prepared", "site_id", "controller", "incarnation", "service_manager",
        "instances": {name: {"epoch", "epochs", "claim", "digest", "last_epoch", "programs", "strays", "deferred",
        "failed"}}}``, with ``busy`` where an agent is at work, ``done`` {program: exit code} of those that ended as
        they may, ``ended`` for an instance whose bus ended, and ``lease`` {held, witnesses} where one is needed, with
        ``alone``, see `host.alone.grants.observed`; without `only` also ``config``, ``services_config`` (digests),
        ``drift``, ``foreign`` (phrases) and ``services``; with `load` also ``load``, and ``cpu`` and ``memory`` of each
        instance, in percent of the node.
    """
    root = host["root"]
    try:
        marker = read_marker(root)
    except ValueError as error:
        marker = {"site_id": "", "controller": "", "damaged": str(error)}
    site_id = marker.get("site_id") or host["site_id"]
    # the host as it was prepared counts, not what the site says now
    named = marker.get("service_manager") or host.get("service_manager")
    prepared = dict(host, service_manager=named, site_id=site_id)
    manager = manager_of(prepared)
    manager.patience(_PATIENCE_SECONDS)
    busy = {name for name in instance_files.claims(root) if instance_files.at_work(root, name)}  # before the look
    look = identity.Look(manager)
    manager.close()
    look.remember()
    pid, processes = look.pid, look.processes
    observation: Dict[str, Any] = {
        "host": host["host"],
        "answer": "seen",
        "prepared": bool(marker),
        "site_id": marker.get("site_id"),
        "controller": marker.get("controller"),
        "incarnation": manager.incarnation(pid),
        "service_manager": ("running" if pid else "stopped") if marker else "absent",
        "instances": _instances(manager, look, only, busy),
    }
    manager.close()
    lease = allowed.observed(root)
    if lease:
        from .alone import grants  # only where hosts help themselves: it takes milliseconds

        observation["lease"] = lease
        observation["alone"] = grants.observed(root)
    if only is None:
        observation["config"], drift, foreign = files.examine(root + "/etc/available")
        service_digest, service_drift, service_foreign = files.examine(root + "/etc/services")
        observation["services_config"] = service_digest
        observation["drift"] = ["etc/available/%s changed by somebody" % name for name in drift]
        observation["drift"] += ["etc/services/%s changed by somebody" % name for name in service_drift]
        observation["foreign"] = ["etc/available/" + name for name in foreign]
        observation["foreign"] += ["etc/services/" + name for name in service_foreign]
        observation["foreign"] += look.strangers
        observation["services"] = _services(processes)
        observation["drift"] += setup_of(prepared).examine()
    if load:
        from . import load as host_load

        own = host.get("measure") == "processes"
        # systemd keeps programs in control groups of its own, supervisord has them in the one that it is in itself
        observation["load"], used = host_load.measure(
            root, processes, own, bool(marker), "1" if named == "systemd" else str(pid or "self")
        )
        for name, entry in observation["instances"].items():
            entry["cpu"], entry["memory"] = used.get(name, (0.0, 0.0))
    return observation


def _instances(
    manager: Manager, look: identity.Look, only: Optional[Sequence[str]], busy: Set[str]
) -> Dict[str, Any]:
    root = manager.root
    processes = look.processes
    by_name: Dict[str, List[procs.Process]] = {name: [] for name in instance_files.claims(root)}
    for process in processes:
        if process.instance and not process.service:
            by_name.setdefault(process.instance, []).append(process)
    boot = procs.boot_time() if processes else 0
    ticks = os.sysconf("SC_CLK_TCK")
    result: Dict[str, Any] = {}
    for name in sorted(by_name):
        if only is not None and name not in only:
            continue
        seen = instance_files.read_seen(root, name)
        claim = instance_files.read_claim(root, name)
        programs: Dict[str, Any] = {}
        groups = set()
        epochs = set()
        rest = []
        for process in by_name[name]:
            found = procs.stat(process.pid)
            if found is None or found.gone:
                continue
            if process.epoch < 0 and process.main:
                continue  # still muster-exec, before it read the claim
            epochs.add(max(process.epoch, 0))  # 0: it shows no epoch, so muster did not start it
            if process.main:
                programs[process.program] = {"pid": process.pid, "started": round(boot + found.started / ticks, 2)}
                groups.add(process.pid)
            else:
                rest.append((process.pid, found.group))
        strays = sorted(pid for pid, group in rest if group not in groups)
        epoch = max(epochs) if epochs else (claim or 0)
        kept = seen if seen.get("epoch") == epoch else {}  # only what belongs to the epoch that runs
        result[name] = {
            "epoch": epoch,
            "epochs": sorted(epochs),
            "claim": claim,
            "digest": kept.get("digest", ""),
            "last_epoch": max(int(seen.get("epoch", 0)), claim or 0),
            "programs": programs,
            "strays": strays,
            "deferred": list(kept.get("deferred", [])),
            "failed": dict(kept.get("failed", {})),
        }
        if name in busy:
            result[name]["busy"] = True
        record = starts.read(root, name)
        ended_well = ends.done(manager, record, programs) if record.ends and record.epoch in (epoch, claim) else {}
        if ended_well:
            result[name]["done"] = ended_well
        if claim is not None and not epochs:
            ended = seen.get("ended") or manager.ended(name, claim)
            if ended and claim == ended.get("epoch"):
                result[name]["ended"] = ended  # its bus ended, and the service manager stopped the rest
            else:
                how = manager.endings(name, sorted(record.programs)) if record.epoch == claim else {}
                if how:
                    result[name]["endings"] = how
    return result


def _pause(pid: int) -> float:
    """Seconds that muster-exec waits with the start of a service which has ended again and again; 0.0: it does not."""
    try:
        words = procs.read_file("/proc/%d/cmdline" % pid).decode("utf-8", "replace").split("\0")
    except OSError:
        return 0.0
    waits = len(words) > 3 and words[1].endswith("/muster-exec") and words[2] == "--pause"
    return float(max(0, procs.number(words[3]))) if waits else 0.0


def _services(processes: Sequence[procs.Process]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for process in processes:
        seen = procs.stat(process.pid) if process.service and process.main else None
        if seen is not None and not seen.gone:
            found[process.service] = {"pid": process.pid, "started": round(procs.boot_time() + seen.started / ticks, 2)}
            pause = _pause(process.pid)
            if pause:
                found[process.service]["pause"] = pause
    return found
