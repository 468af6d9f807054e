# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before an answer that is empty: was it asked about something that there is?"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.model.unheard import unheard
from .desk import Desk, Unknown


async def need_heard(desk: Desk, asked: Mapping[str, str]) -> None:
    """:param asked: a query that may have ``item``, ``host`` or ``instance``.

    :raises Unknown: when the site does not have what it names.
    """
    site = (await desk.site()).site
    problem = unheard(site, asked) if site is not None else ""
    if problem:
        raise Unknown(problem, name=True)
