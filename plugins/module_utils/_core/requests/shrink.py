# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a source of items lost so many of them that somebody must look first."""

from __future__ import annotations

from typing import Iterable, Set

from ..decide.draft import PlanError
from ..model.sentences import listing
from ..model.sequence import application_of
from ..model.site import Site


def refusal(site: Site, deployed: Iterable[str]) -> str:
    """Why this site is not deployed without `accept`: a sentence, or nothing.

    Items that a person wrote into the site are as that person wants them. A source (a CMDB, a table) is edited by
    others, and half of its items vanish by a wrong filter more often than from the control room.

    :param deployed: names of the instances that were deployed, those of items that left the source included.
    """
    if not site.items_source:
        return ""
    known = {item.id for item in site.rows}
    before = _items(site, deployed)
    lost = before - known
    if len(lost) < 2 or 2 * len(lost) < len(before):
        return ""
    return (
        "the source of the items lost %d of the %d that are deployed, %s: look at %s;"
        " --accept (muster_accept: true) deploys without them"
        % (len(lost), len(before), listing(sorted(lost)), site.items_source)
    )


def check(site: Site, deployed: Iterable[str]) -> None:
    """:raises PlanError: with the sentence of `refusal`."""
    why = refusal(site, deployed)
    if why:
        raise PlanError(why)


def _items(site: Site, instances: Iterable[str]) -> Set[str]:
    """The items of instances, by the names of the site's applications."""
    found = set()
    for name in instances:
        application = application_of(site, name)
        if application is not None:
            found.add(name[len(application.name) + 1 :])
    return found
