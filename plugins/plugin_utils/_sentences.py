# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences that a run prints: one per action and outcome, the same as in trail and status."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.client import saved_plan
from ansible_collections.control_room.muster.plugins.module_utils._core.decide.draft import WHOLE
from ansible_collections.control_room.muster.plugins.module_utils._core.model.plan import REFUSE
from ansible_collections.control_room.muster.plugins.module_utils._core.report.story import sentence


def of_plan(plan: Mapping[str, Any], observations: Mapping[str, Any]) -> list[str]:
    """Sentences of a plan, silent hosts first.

    :param plan: as `model.plan.Plan.to_json`.
    :param observations: host -> its observation document.
    """
    sentences = [*_silent(observations), *(sentence(action) for action in plan["actions"])]
    return sentences or _noted(plan) or ["nothing to do: everything is as wanted"]


def _noted(plan: Mapping[str, Any]) -> list[str]:
    """What an act did that concerns no host now, such as the end of a drain: as the trail has it."""
    if (plan.get("request") or {}).get("kind") in (None, *WHOLE):
        return []
    return [str(entry["what"]) for entry in plan.get("trail") or ()]


def of_run(plan: Mapping[str, Any], observations: Mapping[str, Any]) -> list[str]:
    """What a run shows of a plan: without refusals, since its failure tells those."""
    refused = [action for action in plan["actions"] if action["action"] == REFUSE]
    if not refused:
        return of_plan(plan, observations)
    left = [action for action in plan["actions"] if action["action"] != REFUSE]
    return [*_silent(observations), *(sentence(action) for action in left)]


def of_check(
    plan: Mapping[str, Any], observations: Mapping[str, Any], now: float, preview: Mapping[str, Any] | None = None
) -> list[str]:
    """The output of check mode: the silent hosts, which site this is about, and the plan with everything that it would
    do and commit.

    :param preview: of a deploy, as `report.preview` makes it.
    """
    from ansible_collections.control_room.muster.plugins.module_utils._core.report import plan_text
    from ansible_collections.control_room.muster.plugins.module_utils._core.report import preview as report_preview

    over = report_preview.lines(preview) if preview else []
    if plan["request"].get("kind") == "reconcile":
        over = [report_preview.DEPLOYED]
    return [*_silent(observations), *over, *plan_text.plan_lines(plan, now)]


def of_outcome(results: Mapping[str, Any], answers: Mapping[str, Any], but: Sequence[str] = ()) -> list[str]:
    """Sentences of the outcome, without instances that started or stopped as planned.

    :param but: instances whose failure the run's own failure tells.
    """
    sentences = [
        "%s did not take the action: %s" % (host, answer["unreachable"])
        for host, answer in answers.items()
        if answer.get("unreachable")
    ]
    sentences += [answer["error"] for answer in answers.values() if answer.get("error")]
    sentences += [
        "%s: %s" % (host, answer["service_manager"])
        for host, answer in answers.items()
        if answer.get("service_manager", "started") != "started"
    ]
    for name in sorted(results):
        outcome = results[name]
        if outcome["result"] in ("failed", "refused"):
            if name not in but:
                why = outcome.get("reason") or "no reason given"
                sentences.append("%s %s: %s" % (name, outcome["result"], why))
        elif outcome.get("reason"):  # nothing had to be done
            sentences.append(str(outcome["reason"]))
        elif outcome.get("deferred"):
            sentences.append("%s runs, waiting for: %s" % (name, ", ".join(outcome["deferred"])))
        for program, why in sorted((outcome.get("failed") or {}).items()):
            sentences.append("%s runs without %s: %s" % (name, program, why))
    return sentences


def heard(observations: Mapping[str, Any]) -> dict[str, Any]:
    """``{"answered": [host, ...], "unreachable": {host: why}}``, for the monitor's picture of its hosts."""
    silent = {n: str(seen.get("why") or "") for n, seen in observations.items() if seen["answer"] == "unreachable"}
    return {"answered": [n for n, seen in observations.items() if seen["answer"] == "seen"], "unreachable": silent}


def write_report(path: str, content: Mapping[str, Any]) -> None:
    """The run's report for the command line, written atomically."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    os.replace(temporary, path)


def digest_of(plan: str) -> str:
    """The digest of a saved plan: of its file, or as it is given.

    :raises AnsibleActionFail: when the file is no saved plan.
    """
    if not plan or saved_plan.is_digest(plan):
        return plan
    try:
        return saved_plan.digest_of_file(os.path.expanduser(plan))
    except saved_plan.NoPlan as error:
        raise AnsibleActionFail("%s %s" % (plan, error), result={"mistake": "refused"}) from None


def check_saving(check_mode: bool, save: str, approve: bool) -> None:
    """Hold what saves a plan against what it goes with: alone it would act at once.

    :raises AnsibleActionFail: when something is missing.
    """
    lacking = ["muster_approve goes with muster_save: somebody else applies that plan"] if approve and not save else []
    if save and not check_mode:
        lacking.append("muster_save goes with check mode (--check): the plan is saved, and nothing is done")
    if lacking:
        raise AnsibleActionFail("; ".join(lacking), result={"mistake": "refused"})


def write_plan(path: str, document: Mapping[str, Any]) -> None:
    """:raises AnsibleActionFail: when it cannot be written, or something is there already."""
    try:
        saved_plan.write(os.path.expanduser(path), document)
    except saved_plan.NoPlan as error:
        raise AnsibleActionFail("%s %s" % (path, error)) from None


def _silent(observations: Mapping[str, Any]) -> list[str]:
    return [
        "%s does not answer: %s" % (name, seen.get("why") or "no reason known")
        for name, seen in observations.items()
        if seen["answer"] == "unreachable"
    ]
