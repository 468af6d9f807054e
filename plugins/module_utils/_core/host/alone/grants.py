# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run/alone/<instance>.json``: what a run allowed this host to do about an instance by itself, and what it did.

Orders of runs carry it in ``alone``: ``{"until", "used", "limit", "window", "stable", "waits", "row", "ages", "bus",
"repair", "strategies", "rules"}`` (see `decide.ahead` of the core). Only who holds the lock of the instance writes it.
A grant ends with the lease under which it was given: after that the instance may run elsewhere. It needs to outlast no
boot, for a boot ends the lease, too.
"""

from __future__ import annotations

import json
import os

from .. import contact
from ..lease import allowed
from ..machine import files, instance_files
from .decide import CONTINUE, Attempt, Budget, Grant, counted, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

FOLDER = "run/alone"
_MODE = 0o600  # it holds what the request of a start held
_NOT_KEPT = ("alone", "only", "urgent", "reason", "do", "epoch")  # of an order


class Kept:
    """A grant, and the request by which the host does what it allows."""

    def __init__(self, grant: Grant, order: Mapping[str, Any], host: Mapping[str, Any], deadline: float) -> None:
        """
        :param order: of the run that gave it, see `host.act.instance.InstanceJob`.
        :param host: the facts of this host in that run's request.
        :param deadline: s that a start may take.
        """
        self.grant = grant
        self.order = order
        self.host = host
        self.deadline = deadline


def begun(root: str, order: Mapping[str, Any]) -> bool:
    """What an order means for the grant of its instance, before it is carried out. The caller holds the lock.

    :return: False when the host itself is about to do what it may not any more.
    :raises OSError: when an attempt cannot be written down: then it is not made.
    """
    if order["do"] == "stop":
        end(root, order["instance"])
    mine = order.get("granted")
    if mine is None:
        return True
    kept = read(root, order["instance"])
    if kept is None or kept.grant.token != mine["token"]:
        return False
    _note(root, kept, Attempt(**mine["attempt"]), order["epoch"])  # it counts, whatever becomes of it
    return True


def ended(root: str, host: Mapping[str, Any], order: Mapping[str, Any], result: Mapping[str, Any], session: str,
          deadline: float) -> None:  # fmt: skip
    """What follows for the grant when an order was carried out. The caller holds the lock.

    :param host: the facts of this host in the request.
    :param session: of the lease; empty where none is needed.
    :param deadline: s that a start may take.
    """
    name, mine, word = order["instance"], order.get("granted"), result["result"]
    try:
        if mine is not None:
            kept = _read(root, name)  # also when the lease ended meanwhile
            if kept is not None and kept.grant.token == mine["token"]:
                attempt = Attempt(**mine["attempt"])._replace(result=word, back=contact.now())
                _note(root, kept, attempt if word == "running" else attempt._replace(
                    why="%s; %s" % (attempt.why, result["reason"])), kept.grant.epoch)
        elif word == "running" and order.get("alone") and session:
            _give(root, host, order, session, deadline)
        elif word != "refused" and order["do"] != "reload":
            end(root, name)
    except OSError:  # the disk is full: it stays as it was, and ends with the lease
        return


def _give(root: str, host: Mapping[str, Any], order: Mapping[str, Any], session: str, deadline: float) -> None:
    """Allow this host to help an instance that runs now, as its order says in ``alone``.

    Attempts that no run has counted yet are kept, so that the next one does.
    """
    given, now = order["alone"], contact.now()
    before = _read(root, order["instance"])
    attempts = tuple(one for one in before.grant.attempts if one.number > given["used"]) if before is not None else ()
    budget = Budget(
        int(given["limit"]), float(given["window"]), float(given["stable"]), tuple(float(s) for s in given["waits"]),
        int(given["row"]), tuple(now - float(age) for age in given["ages"]),
    )  # fmt: skip
    grant = Grant(
        order["instance"], os.urandom(8).hex(), session, int(order["epoch"]), int(given["until"]), now, budget,
        str(given["bus"]), dict(given["strategies"]), tuple(order["programs"]), str(given["repair"]),
        int(given["used"]), attempts, str(given.get("rules") or ""),
    )  # fmt: skip
    kept = {key: value for key, value in order.items() if key not in _NOT_KEPT}
    _write(root, Kept(grant, kept, host, deadline))


def _note(root: str, kept: Kept, attempt: Attempt, epoch: int) -> None:
    before = [one for one in kept.grant.attempts
              if (one.number, one.at) != (attempt.number, attempt.at) and one.did != CONTINUE]  # fmt: skip
    grant = kept.grant._replace(attempts=(*before, attempt), epoch=epoch)
    _write(root, Kept(grant, kept.order, kept.host, kept.deadline))


def read(root: str, instance: str) -> Optional[Kept]:
    """What stands about an instance; None where nothing was granted, or the lease of that time has ended."""
    found = _read(root, instance)
    return found if found is not None and found.grant.session == allowed.session(root) else None


def names(root: str) -> List[str]:
    """Instances with a grant, sorted."""
    try:
        found = os.listdir(os.path.join(root, FOLDER))
    except OSError:
        return []
    return sorted(name[: -len(".json")] for name in found if name.endswith(".json"))


def end(root: str, instance: str) -> bool:
    """The host may do nothing about the instance by itself any more. Idempotent. :return: whether it might."""
    return files.remove(instance_files.grant_path(root, instance))


def observed(root: str) -> Dict[str, Any]:
    """Instance -> ``{"epoch", "until", "stands", "busy", "attempts", "rules"}``: what a run must hear of."""
    found = {}
    for name in names(root):
        kept = _read(root, name)
        if kept is not None:
            grant = kept.grant
            found[name] = {
                "epoch": grant.epoch, "until": grant.until, "stands": grant.session == allowed.session(root),
                "busy": bool(grant.attempts) and not grant.attempts[-1].result and instance_files.at_work(root, name),
                "attempts": [to_json(attempt) for attempt in counted(grant)], "rules": grant.rules,
            }  # fmt: skip
    return found


def _read(root: str, instance: str) -> Optional[Kept]:
    try:
        data = files.read(instance_files.grant_path(root, instance))
        document = json.loads((data or b"").decode("utf-8"))
        grant = document["grant"]
        known = Grant(**dict(
            grant, budget=Budget(**dict(grant["budget"], waits=tuple(grant["budget"]["waits"]),
                                        charged=tuple(grant["budget"]["charged"]))),
            programs=tuple(grant["programs"]), attempts=tuple(Attempt(**entry) for entry in grant["attempts"]),
        ))  # fmt: skip
        return Kept(known, document["order"], document["host"], float(document["deadline"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # damaged: then nothing is granted


def _write(root: str, kept: Kept) -> None:
    grant = kept.grant
    document = {
        "grant": dict(grant._asdict(), budget=grant.budget._asdict(), attempts=[a._asdict() for a in grant.attempts]),
        "order": kept.order, "host": kept.host, "deadline": kept.deadline,
    }  # fmt: skip
    folder = os.path.join(root, FOLDER)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=files.FOLDER_MODE, exist_ok=True)
    data = json.dumps(document, separators=(",", ":")).encode("utf-8")
    files.write_file(instance_files.grant_path(root, grant.instance), data, _MODE)
