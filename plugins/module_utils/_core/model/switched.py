# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site as it is while people have stopped single programs of some instances.

A program that a person stopped is for its instance what a program on demand is: nothing starts it, and nothing misses
it. So every decision is made over the site that this returns, and needs no rule of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from .site import Application, Instance, Site


def switched(site: Site, wanted: Mapping[str, Any]) -> Site:
    """:param wanted: the ledger's records of what is wanted, as JSON or as `Wanted`; instance -> record."""
    off = {}
    for name, record in wanted.items():
        programs = record.get("without") if isinstance(record, Mapping) else record.without
        if programs:
            off[name] = programs
    known = site.by_name()
    changed = {name: _without(known[name], off[name]) for name in off if name in known}
    if not changed:
        return site
    made = replace(site)
    made.__dict__["_instances"] = {**known, **changed}
    return made


def _without(instance: Instance, off: Mapping[str, str]) -> Instance:
    application: Application = instance.application
    programs = tuple(
        replace(program, start_sequence=0, required=False) if program.name in off else program
        for program in application.programs
    )
    return replace(instance, application=replace(application, programs=programs))
