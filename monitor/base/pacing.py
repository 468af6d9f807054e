# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done again and again leaves the processor to others."""

from __future__ import annotations

REST = 10.0  # times what it computed: a tenth of a processor at most


def rest(least: float, used: float) -> float:
    """How long to wait before it is done again (s).

    :param least: s. :param used: s of a processor, not of a clock: on a busy machine it would come later and later.
    """
    return max(least, REST * used)
