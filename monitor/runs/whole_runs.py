# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that are carried out by a run of their own, because it has to look at every host first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.model.plan import lost
from .runs import Job, Outcome
from .trouble import in_its_words, of_ansible

NO_HOSTS = "skipping: no hosts matched"  # what Ansible says of a play


def not_begun(why: str) -> dict[str, Any]:
    """The answer when the run could not be started."""
    return {"ok": False, "said": [why], "run": "", "results": {}}


def answer(job: Job, outcome: Outcome, report: Mapping[str, Any], output: str) -> dict[str, Any]:
    """The answer to the person who asked.

    :param report: what the run reported; empty when it reported nothing.
    :param output: all that it said; its error is in the answer when it failed.
    """
    actions = (report.get("plan") or {}).get("actions", [])
    refused = list(dict.fromkeys(action["reason"] for action in actions if action["action"] == "refuse"))
    said = refused or [*(report.get("sentences") or []), *(report.get("outcome") or [])]
    nobody = not report and NO_HOSTS in output  # Ansible calls that a success
    if nobody and not outcome.why:
        said.append("%s did nothing: the monitor's inventory has no host, or cannot be read; muster check tells more"
                    % job.playbook)
    if outcome.why and not refused:
        said.append("%s did not succeed: %s" % (job.playbook, _error(outcome.why, output)))
    results = report.get("results") or {}
    return {
        "ok": not (refused or outcome.why or nobody or lost(actions, results)),
        "said": said,
        "refused": bool(refused),
        "run": job.ident,
        "results": results,
    }


def _error(why: str, output: str) -> str:
    """Why a run failed: the sentence of its error, without what Ansible puts before it."""
    error = of_ansible(output)
    return error.removeprefix("ERROR! ").removeprefix("Task failed: ") if error else in_its_words(why, output)
