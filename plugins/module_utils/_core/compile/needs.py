# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``needs`` of an application: how many of which programs must run."""

from __future__ import annotations

import re
from typing import Any, List, Sequence, Tuple

from ..model.parts import ONCE
from ..model.site import Need, Program
from .errors import Keys, show
from .keys_resources import NEED
from .reader import Reader


def read(written: Sequence[Any], programs: Tuple[Program, ...], reader: Reader, keys: Keys) -> Tuple[Need, ...]:
    """Errors are added to the reader's problems."""
    lasting = [p.name for p in programs if p.start_sequence and not p.is_gate and p.kind != ONCE]
    found: List[Need] = []
    for position, entry in enumerate(written):
        place = keys + (position,)
        values = reader.table(NEED, entry, place, "this need")
        if not values.sound("any", "of"):
            continue
        try:
            pattern = re.compile(values["of"])
        except re.error as error:
            reader.problems.add(place + ("of",), "%s is not a regular expression: %s" % (show(values["of"]), error),
                                values["of"])
            continue
        fitting = tuple(name for name in lasting if pattern.fullmatch(name))
        if len(fitting) < values["any"]:
            reader.problems.add(place, "%d of %s must run, but it fits %s" % (
                values["any"], show(values["of"]), ", ".join(fitting) or "no program"), entry,
                "programs: " + (", ".join(lasting) or "none"))
            continue
        found.append(Need(values["any"], fitting))
    return tuple(found)
