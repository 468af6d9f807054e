# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N-1 readiness for those who show it; rollouts ask for it as well, so it is computed in `plan.readiness`."""

from __future__ import annotations

from ..plan.readiness import readiness, sentence

__all__ = ("readiness", "sentence")
