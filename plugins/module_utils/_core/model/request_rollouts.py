# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of requests about rollouts, for the table of `model.request`."""

from __future__ import annotations

from typing import Any, Tuple


def kinds(kind: Any) -> Tuple[Any, ...]:
    """:param kind: `RequestKind`."""
    return (
        kind(
            "rollout_pause", "Let no further batch of the rollout begin until it is resumed.", whole_run=True,
            command="rollout pause", example="rollout pause --why 'shift change'",
        ),
        kind(
            "rollout_resume", "Go on with a rollout that was paused or aborted, or that stopped.",
            "What failed is tried again first.",
            whole_run=True, command="rollout resume", example="rollout resume",
        ),
        kind(
            "rollout_abort", "End the rollout: what it has reached keeps the new configuration, all else its own.",
            "It stays so until the site changes again, or the rollout is resumed.",
            whole_run=True, command="rollout abort", example="rollout abort --why 'wrong limits'",
        ),
        kind(
            "rollout_revert", "Take what the rollout has reached back to what it ran with, in batches.",
            "It stays with that until the site changes again.",
            whole_run=True, command="rollout revert", example="rollout revert --why 'wrong limits'",
        ),
    )  # fmt: skip
