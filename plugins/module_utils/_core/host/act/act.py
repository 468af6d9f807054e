# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act on a host: write its configuration folder, then start, stop or restart instances."""

from __future__ import annotations

import os
import time

from .. import observe
from ..lease import allowed
from ..machine import procs
from ..service.choose import manager_of, setup_of
from ..service.errors import ManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

    from ..service.manager import Manager

_DEADLINE_SECONDS = 60.0
_LAST_EPOCH = 2**53  # every later one has to be greater than the last that was seen
_MAX_LOG_BYTES = 1_000_000
_WORDS_SECONDS = 2.0


def act(request: Mapping[str, Any], began: float) -> Dict[str, Any]:
    """Carry out one act request. In check mode only report what would be done.

    :param request: ``host``; ``config``: ``{"digest", "files"}``, see `host.machine.files.write_folder`, and
        ``instances``, see `host.machine.generations.replaced`; ``instances``: see `host.act.instance.InstanceJob`;
        ``deadline`` and ``settle`` in seconds; ``start_service_manager``: start a missing one; ``revive``: do so
        without any instance, and start host services that do not run; ``run``: its number, for the log; ``boot``: boot
        id of the host as the run saw it: under another one, instances are only stopped; ``lease``: under another one
        than this, too; ``check``, ``diff``.
    :param began: monotonic time at which the agent began.
    :return: ``{"changed", "config", "diff", "results": {instance: see `outcome`}, "began", "took"}`` (times in seconds,
        by this host's clock), with ``config_error`` (a sentence) when the configuration could not be written: then
        instances were only stopped; ``service_manager``: "started", with its ``incarnation``, or why it could not be
        started; ``services``: the host services that were started, or ``services_error``.
        ``{"error": sentence}`` when this host must not be touched.
    """
    host = request["host"]
    root = host["root"]
    check = bool(request.get("check"))
    deadline = began + float(request.get("deadline") or _DEADLINE_SECONDS)
    try:
        marker = observe.read_marker(root)
    except ValueError as error:
        return {"error": "%s: deploy again" % error}
    problem = observe.foreign_marker(marker, host) or observe.other_manager(marker, host)
    if problem:
        return {"error": problem}
    if not marker and not check:
        return {"error": "%s was never prepared (%s is not there): deploy first" % (host["host"], root)}
    epochs = [entry["epoch"] for entry in request.get("instances") or []]
    if not all(isinstance(epoch, int) and 0 <= epoch <= _LAST_EPOCH for epoch in epochs):
        return {"error": "an epoch is a whole number from 0 to %d" % _LAST_EPOCH}
    answer: Dict[str, Any] = {"changed": False, "results": {}}
    if request.get("config"):
        _configure(request, answer)
    instances, refused = _may_be_done(request.get("instances") or [], _rebooted(request) or answer.get("config_error"))
    if instances:
        from . import sequencer as act_sequencer
        from .scene import Scene

        if check:
            from . import predict

            answer["results"] = predict.predict(host, instances)
        else:
            manager = manager_of(host)
            pid = _service_manager(manager, request, marker, answer)
            try:
                lease = allowed.claimed(root, deadline) if pid else {}
                if request.get("lease", lease.get(allowed.VARIABLE)) != lease.get(allowed.VARIABLE):
                    raise ValueError("the lease under which this was allowed is over")
            except ValueError as error:
                lease = {}
                instances, without = _may_be_done(instances, "%s: %s" % (host["host"], error))
                refused.update(without)
            scene = Scene(manager, pid, began, deadline, lease)
            settle = request.get("settle")
            answer["results"] = act_sequencer.Sequencer(scene).run(
                instances, act_sequencer.SETTLE_SECONDS if settle is None else float(settle))
        answer["changed"] = answer["changed"] or any(r["changed"] for r in answer["results"].values())
    elif request.get("revive") and not check:
        _service_manager(manager_of(host), request, marker, answer)
    if request.get("revive"):
        answer["changed"] = answer["changed"] or check or _services(host, answer)
    answer["results"].update(refused)
    if not check:
        _gather_words(host, request, answer["results"])
    if answer["results"] and not check:
        _log(root, request, answer["results"])
    took = time.monotonic() - began
    answer.update(began=round(time.time() - took, 4), took=round(took, 4))
    return answer


def _gather_words(host: Mapping[str, Any], request: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Add to starts that failed what their programs wrote last, as far as that takes no long time."""
    until = time.monotonic() + _WORDS_SECONDS
    for entry in request.get("instances") or ():
        result = results[entry["instance"]]
        if result["result"] == "failed" and entry["do"] != "stop" and time.monotonic() < until:
            from ..logs import left

            result["words"] = left.of_start(host, entry)


def _configure(request: Mapping[str, Any], answer: Dict[str, Any]) -> None:
    """Write the configuration folder, and add to the answer what that changed."""
    from ..machine import differences, files, generations

    host, config = request["host"], request["config"]
    folder = host["root"] + "/etc/available"
    try:
        if not request.get("check") and config.get("instances") is not None:
            generations.replaced(host["root"], config["instances"])
        change = files.write_folder(
            folder, config["files"], config["digest"], files.tokens(host), bool(request.get("check")),
            differences.Differences(folder + "/", config.get("owners")) if request.get("diff") else None,
        )
    except files.FolderError as error:
        answer["config_error"] = str(error)
        return
    except OSError as error:
        answer["config_error"] = files.sentence(folder, error)
        return
    answer["config"] = {"written": change.written, "removed": change.removed, "foreign": change.foreign,
                        "kept": change.kept, "digest": change.digest}
    answer["changed"] = change.changed
    if change.diff:
        answer["diff"] = change.diff


def _rebooted(request: Mapping[str, Any]) -> str:
    """A sentence when the host was booted after the run had looked at it; else "".

    While it was down, its instances may have started elsewhere, under epochs that this host has never seen.
    """
    if request.get("boot", "") in ("", procs.boot_id()):
        return ""
    return "%s was booted after run %s had looked at it: nothing is started" % (
        request["host"]["host"], request.get("run", "?"))


def _may_be_done(
    instances: Sequence[Mapping[str, Any]], error: Optional[str]
) -> Tuple[Sequence[Mapping[str, Any]], Dict[str, Any]]:
    """Leave out what would start from an old configuration, or for a run whose claims may be taken over by now.

    :param error: why nothing may start: see `_rebooted`, or why the configuration could not be written.
    :return: (requests to carry out, instance -> result of the others).
    """
    if not error:
        return instances, {}
    from . import results

    kept = [entry for entry in instances if entry["do"] == "stop"]
    return kept, {
        entry["instance"]: results.outcome(entry, "refused", error, changed=False)
        for entry in instances if entry["do"] != "stop"
    }


def _log(root: str, request: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> None:
    """Append to ``log/muster.log`` what was done and why, one line per instance: for people who look at this host."""
    lines = []
    for entry in request["instances"]:
        result = results[entry["instance"]]
        if result["changed"] or result["result"] != "running":
            line = "%s run %s: %s %s (epoch %d, %s): %s" % (
                time.strftime("%Y-%m-%dT%H:%M:%S%z"), request.get("run", "?"), entry["do"], entry["instance"],
                entry["epoch"], entry.get("reason") or "no reason given", result["result"])
            line += ", " + result["reason"] if result["reason"] else ""
            # what came from elsewhere must not look like a line of its own, or like an order to a terminal
            lines.append("".join(c if c.isprintable() else "?" for c in line) + "\n")
    path = root + "/log/muster.log"
    try:
        if os.path.exists(path) and os.stat(path).st_size > _MAX_LOG_BYTES:
            os.replace(path, path + ".1")
        with open(path, "a", encoding="utf-8") as handle:
            handle.write("".join(lines))
    except OSError:
        return  # an error such as a full disk is reported by the step that must write


def _services(host: Mapping[str, Any], answer: Dict[str, Any]) -> bool:
    """Start the host services that do not run. :return: whether there were any."""
    try:
        answer["services"] = setup_of(host).start_services()
    except ManagerError as error:
        answer["services_error"] = str(error)
        return False
    return bool(answer["services"])


def _service_manager(
    manager: Manager, request: Mapping[str, Any], marker: Mapping[str, Any], answer: Dict[str, Any]
) -> int:
    """Start the service manager when it is missing and the request allows that. :return: its pid; 0 without one."""
    host = request["host"]
    pid = manager.settled(procs.sweep(host["site_id"], host["host"]))
    starts = request.get("revive") or any(entry["do"] != "stop" for entry in request["instances"])
    if pid or not starts or not request.get("start_service_manager"):
        return pid
    try:
        pid = manager.start(marker.get("settings") or {})
    except ManagerError as error:
        answer["service_manager"] = str(error)
        return 0
    answer["service_manager"] = "started"
    answer["incarnation"] = manager.incarnation(pid) or ""
    answer["changed"] = True
    return pid
