# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of one instance only: those of the configuration that it has, while the template has those of another one.

The units of an application are templates, which have the newest configuration. systemd prefers
``muster-<application>.<program>@<item>.service`` to ``muster-<application>.<program>@.service``, and a drop-in of
``muster-<application>-<item>.slice`` to one of the same name of ``muster-<application>-.slice``.
"""

from __future__ import annotations

import os

from ...machine import files, generations
from . import orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping, Tuple

    Sections = Mapping[str, str]

_SLICE = "-.slice.d/"
_EMPTY_DROP_IN = "[Slice]\n"  # hides the one of all instances


def wanted(kept: Sections, shared: Sections, item: str) -> Dict[str, str]:
    """The units that an instance needs for itself: name -> text; none while the shared ones are right.

    :param kept: name of the template unit, or drop-in -> text, in the configuration of the instance; empty when that
        is not known.
    :param shared: the same of the newest configuration.
    """
    if not kept or dict(kept) == dict(shared):
        return {}
    found = {name: text for name, text in kept.items() if shared.get(name) != text}
    found.update({name: _EMPTY_DROP_IN for name in shared if _SLICE in name and name not in kept})
    return {of_item(name, item): text for name, text in found.items()}


def of_item(name: str, item: str) -> str:
    """The name of a template unit, or of a drop-in of all slices, for one item."""
    if _SLICE in name:
        return name.replace(_SLICE, "-%s.slice.d/" % orders.escape(item), 1)
    return name.replace("@.", "@%s." % orders.escape(item), 1)


def is_of_item(name: str, application: str, item: str) -> bool:
    """Whether a unit, or a folder of drop-ins, belongs to one instance only."""
    return name == orders.slice_name(application, item) + ".d" or _parts(name) == (application, orders.escape(item))


def is_of_all(name: str, application: str) -> bool:
    """Whether it belongs to all instances of an application."""
    return name == orders.PREFIX + orders.escape(application) + _SLICE.rstrip("/") or _parts(name) == (application, "")


def _parts(name: str) -> Tuple[str, str]:
    """(application, escaped item) of a unit; of a template the item is empty."""
    before, at, after = name.partition("@")
    return before[len(orders.PREFIX) :].partition(".")[0] if at else "", after.rpartition(".")[0]


def kept_text(root: str, instance: str, digest: str) -> str:
    """The units of a configuration of an instance; empty when they are not known.

    :param digest: what `UnitPlacing.place` was given; "" stands for the newest.
    """
    return (files.read(generations.units(root, instance, digest)) or b"").decode("utf-8")


def known_texts(root: str, application: str) -> str:
    """All units of earlier configurations of an application that this host keeps."""
    top, found = root + "/etc/generations", []
    for instance in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        if instance.startswith(application + "_"):
            found += [kept_text(root, instance, digest) for digest in sorted(os.listdir(os.path.join(top, instance)))]
    return "\n".join(found)
