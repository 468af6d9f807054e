# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that are carried out by a run of their own, because it has to look at every host first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .runs import Job, Outcome


def not_begun(why: str) -> dict[str, Any]:
    """The answer when the run could not be started."""
    return {"ok": False, "said": [why], "run": "", "results": {}}


def answer(job: Job, outcome: Outcome, report: Mapping[str, Any], last_words: str) -> dict[str, Any]:
    """The answer to the person who asked.

    :param report: what the run reported; empty when it reported nothing.
    :param last_words: the end of its output, said when it failed.
    """
    actions = (report.get("plan") or {}).get("actions", [])
    refused = list(dict.fromkeys(action["reason"] for action in actions if action["action"] == "refuse"))
    said = refused or [*(report.get("sentences") or []), *(report.get("outcome") or [])]
    if outcome.why and not refused:
        said += ["%s did not succeed: %s" % (job.playbook, outcome.why), *last_words.splitlines()[-3:]]
    return {
        "ok": not (refused or outcome.why),
        "said": said,
        "refused": bool(refused),
        "run": job.ident,
        "results": report.get("results") or {},
    }
