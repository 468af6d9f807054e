# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tests wait for what takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

STRETCH = 4.0  # a machine that others use is slower than the quiet one whose deadlines the tests name


def poll(
    condition: Callable[[], Any], what: str, within: float, step: float, say: Callable[[], Any] = str
) -> Any:
    """The condition's value once it is true. One that does not find what it looks for is not true yet.

    :param step: s between two looks.
    :param within: s, as a quiet machine needs them; a busy one has more.
    :raises AssertionError: with `what` and what `say` tells, when it does not come true.
    """
    deadline = time.monotonic() + within * STRETCH
    while True:
        lacks = ""
        try:
            value = condition()
        except (LookupError, FileNotFoundError, ProcessLookupError) as error:
            value, lacks = None, repr(error)
        if value:
            return value
        assert time.monotonic() < deadline, "%s: not within %.0f s %s\n%s" % (what, within * STRETCH, lacks, say())
        time.sleep(step)
