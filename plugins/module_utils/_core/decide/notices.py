# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices: conflicts and failed actions until a person acknowledges them, and drift that is only reported.

A notice is ``{what, instance, hosts, why, ...}`` under an id that is the same for the same trouble: so an instance that
fails for a year fills no ledger, and what lasts is in the trail once. A conflict has ``policy``, ``since`` and ``open``
(whether it is still there); a failure ``at`` and ``run`` of the last one and their ``count``; a drift ``since``.

Beside them are the marks of alarms, {what, about, by, why, at}: that somebody acknowledged one, shelved it, or began a
drill ``until`` a moment.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..model.alarm import MARKS
from ..model.records import Claim
from ..model.sentences import listing
from .draft import Draft, Json

CONFLICT = "conflict"
FAILURE = "failure"
DRIFT = "drift"


def failure_id(instance: str, host: str) -> str:
    """The id of the notice about failures of an instance on a host."""
    return "%s:%s:%s" % (FAILURE, instance, host)


def conflict_id(instance: str) -> str:
    """The id of the notice about a conflict of an instance."""
    return "%s:%s" % (CONFLICT, instance)


def failed(before: Optional[Mapping[str, Any]], instance: str, host: str, at: float, why: str, run: str) -> Json:
    """The notice after one more failure; a second one of the same run changes nothing.

    :param before: the notice so far; None for the first failure.
    :param at: seconds since 1970.
    """
    if before is not None and before.get("run") == run:
        return dict(before)
    count = int(before.get("count") or 0) + 1 if before is not None else 1
    return {"what": FAILURE, "instance": instance, "hosts": [host], "at": at, "why": why, "count": count, "run": run}


def claim_of(claim: Claim) -> List[Any]:
    """What a sentence about a conflict depends on: a claim that is another one by now makes it untrue."""
    return [claim.host if claim.holds else "", claim.epoch]


def shown(notices: Mapping[str, Any], claims: Mapping[str, Claim]) -> Dict[str, List[Json]]:
    """``{"conflicts", "failures", "drift", "marks"}`` for the status document, the oldest first.

    A conflict is shown as open only while the claim that it is about is the present one.
    """
    conflicts: List[Json] = []
    failures: List[Json] = []
    drifts: List[Json] = []
    for key in sorted(notices, key=lambda k: (float(notices[k].get("since") or notices[k].get("at") or 0.0), k)):
        notice = notices[key]
        if notice.get("what") in MARKS:
            continue
        common = {"id": key, "instance": notice.get("instance") or "", "why": notice.get("why") or ""}
        if notice.get("what") == CONFLICT:
            conflicts.append(
                dict(common, hosts=list(notice.get("hosts") or []), policy=notice.get("policy") or "",
                     since=notice.get("since"), open=bool(notice.get("open")) and _present(notice, claims),
                     acknowledged=notice.get("acknowledged"))
            )  # fmt: skip
        elif notice.get("what") == DRIFT:
            drifts.append(dict(common, hosts=list(notice.get("hosts") or []), since=notice.get("since")))
        else:
            failures.append(
                dict(common, host=(notice.get("hosts") or [""])[0], at=notice.get("at"),
                     count=notice.get("count") or 1, acknowledged=None)
            )  # fmt: skip
    marks = [dict(notice) for _key, notice in sorted(notices.items()) if notice.get("what") in MARKS]
    return {"conflicts": conflicts, "failures": failures, "drift": drifts, "marks": marks}


def _present(notice: Mapping[str, Any], claims: Mapping[str, Claim]) -> bool:
    about = notice.get("claim")
    return about is None or list(about) == claim_of(claims.get(str(notice.get("instance"))) or Claim())


def drift(draft: Draft, instance: str, host: str, why: str, report: bool) -> None:
    """Report a change made outside muster, before acting on it. The same change is reported once.

    :param report: whether it is only reported (`repair: report`): then it gets a notice.
    """
    key = "%s:%s" % (DRIFT, instance or host)
    draft.drifting.add(key)
    if report:
        before = draft.upkeep.notice(key)
        if before is not None and before.get("why") == why:
            return
        draft.upkeep.set_notice(
            key, {"what": DRIFT, "instance": instance, "hosts": [host], "why": why, "since": draft.now}
        )
    draft.note("drift: %s" % why, "repair: report" if report else "repair: auto", DRIFT, instance, host)


def drift_over(draft: Draft) -> None:
    """Forget reported drift that a look at its host no longer shows."""
    for key in draft.upkeep.notices():
        notice = draft.upkeep.notice(key) or {}
        if notice.get("what") != DRIFT or key in draft.drifting:
            continue
        if all(draft.site_host(host) is None or draft.observation(host).seen for host in notice["hosts"]):
            draft.upkeep.set_notice(key, None)
            draft.note("no longer so: %s" % notice.get("why"), "", "over", str(notice.get("instance") or ""))


def files_changed(draft: Draft, host: str, changed: Sequence[str]) -> str:
    """Why changed files of muster stay as they are; empty when they are replaced, as `deploy` always does.

    :param changed: the host's sentences about them; each begins with the file's name below ``etc/available``.
    """
    if not changed or draft.kind == "deploy":
        return ""
    reported = [a.name for a in draft.site.applications if a.repair == "report"]
    heads = tuple("etc/available/%s_" % name for name in reported)
    report = any(sentence.startswith(heads) for sentence in changed) if heads else False
    drift(draft, "", host, "%s: %s" % (host, listing(changed, most=3)), report)
    return "somebody changed files on %s (repair: report; deploy puts them right)" % host if report else ""
