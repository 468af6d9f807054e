# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name of which nothing is known: "nothing happened" would be a false answer to a question about it."""

from __future__ import annotations

from typing import Mapping, Optional

from .sentences import did_you_mean
from .site import Site


def unheard(site: Site, asked: Mapping[str, Optional[str]]) -> str:
    """``there is no item 20 in this site, and nothing of it in that time``; empty where the site has all of them.

    For answers that are empty: what left the site may have a past.

    :param asked: "item", "host" or "instance" -> the name that is asked for, or nothing.
    """
    known = {
        "item": [row.id for row in site.rows],
        "host": [host.name for host in site.hosts],
        "instance": list(site.by_name()),
    }
    for what, names in known.items():
        name = asked.get(what)
        if name and name not in names:
            return "there is no %s %s in this site, and nothing of it in that time%s" % (
                what, name, did_you_mean(name, names))  # fmt: skip
    return ""
