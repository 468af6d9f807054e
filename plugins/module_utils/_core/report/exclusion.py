# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site promises when the network is cut, in one sentence."""

from __future__ import annotations

from typing import Any, Dict

from ..model.sentences import listing
from ..model.site import Site
from ..model.witnesses import witnesses


def exclusion(site: Site) -> Dict[str, Any]:
    """``{"kind", "witnesses", "says"}`` of the status document."""
    kind = site.settings.exclusion
    if kind != "witnesses":
        says = "exclusion: none, so a cut network may show two copies of an instance"
        return {"kind": kind, "witnesses": [], "says": says}
    chosen = witnesses(site)
    says = "exclusion: %s witness the leases of all hosts (%s)" % (listing(chosen.names), chosen.why)
    return {"kind": kind, "witnesses": list(chosen.names), "says": says}
