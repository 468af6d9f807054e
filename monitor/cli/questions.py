# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that change nothing and ask no host: explain and what-if, answered by the code that decides."""

from __future__ import annotations

import argparse

from ..core.client.answers import NoAssumption, assumptions, print_explanation, print_what_if, what_if_code
from ..core.client.commands import OK
from .places import Places, UsageError
from .verbs import as_json


def explain(options: argparse.Namespace, places: Places) -> int:
    """Print where each application of an item is and why, and every host that may run it."""
    document = places.question({"verb": "explain", "item": options.item})["explain"]
    if options.json:
        as_json(document)
    else:
        print_explanation(document)
    return OK


def what_if(options: argparse.Namespace, places: Places) -> int:
    """Print what would happen under assumptions; exit code 1 when a service would find no place because of them."""
    try:
        assume = assumptions(options)
    except NoAssumption as error:
        raise UsageError(str(error)) from None
    document = places.question({"verb": "what_if", "assume": assume})["what_if"]
    if options.json:
        as_json(document)
    else:
        print_what_if(document)
    return what_if_code(document)
