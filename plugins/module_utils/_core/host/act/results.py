# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an act answers about one instance, and what follows from what was kept about it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence


def too_old(where: str, request: Mapping[str, Any], seen: Mapping[str, Any], claim: Optional[int]) -> str:
    """A sentence when this host has seen a higher epoch than the request's; else "".

    :param where: name of the host.
    :param seen: see `instance_files.read_seen`.
    :param claim: epoch of the claim.
    """
    last = max(int(seen.get("epoch", 0)), claim or 0)
    if request["epoch"] >= last:
        return ""
    return "%s was already seen on %s with epoch %d: this request is older (epoch %d), nothing was done" % (
        request["instance"], where, last, request["epoch"])


def missing(request: Mapping[str, Any], running: Any, seen: Mapping[str, Any]) -> List[str]:
    """Names of the programs that should run and do not, with the gates that they wait for."""
    only = request.get("only")
    deferred = set(seen.get("deferred", []))
    wanted = [p for p in request["programs"] if p["start_sequence"] > 0 and p["name"] not in deferred]
    absent = [p for p in wanted if not p["wait_exit"] and p["name"] not in running
              and (only is None or p["name"] in only)]
    if not absent:
        return []
    gates = [p for p in wanted if p["wait_exit"]]
    last = max(p["start_sequence"] for p in absent)
    asked = [p for p in gates if p["start_sequence"] < last]
    first = min([p["start_sequence"] for p in gates] or [0])
    if min(p["start_sequence"] for p in absent) < first:  # the bus itself was missing: ask it, too
        asked += [p for p in gates if p["start_sequence"] == first and p not in asked]
    return [p["name"] for p in [*absent, *asked]]


def outcome(
    request: Mapping[str, Any], result: str, reason: str, changed: bool, started: Sequence[str] = (),
    deferred: Sequence[str] = (), failed: Optional[Mapping[str, str]] = None, restarted: bool = False,
    timeline: Sequence[List[Any]] = (), left: Optional[Sequence[str]] = None, digest: str = "",
) -> Dict[str, Any]:
    """The result of one instance, as an act answers it.

    :param result: "running", "stopped", "failed" or "refused".
    :param reason: a sentence; "" when all is well.
    :param left: programs that live after a failed start; None when that was not looked up.
    :param digest: of the configuration that it got; reported where it is another one than was wanted.
    """
    known: Dict[str, Any] = {} if left is None else {"left": list(left)}
    if digest and digest != request.get("digest"):
        known["digest"] = digest
    return {
        "result": result, "reason": reason, "epoch": request["epoch"], "started": list(started),
        "deferred": list(deferred), "failed": dict(failed or {}), "restarted": restarted, "timeline": list(timeline),
        "changed": changed, **known,
    }
