# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of an application: which programs, which ports. What runs has that of its own configuration.

The site describes the newest one only. An instance that a rollout has not reached, or a window that stays open, runs
with an older one: judged by the newest, it would lack a program that it never had, or be asked at a port that it never
opened. So the digest of a configuration names its shape, the ledger keeps the shapes that are in use, and every
decision is made over the site that `as_it_runs` returns.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, Dict, Iterable, Mapping, Optional

from .claim import Claim
from .site import Application, Site, application_from_json, to_json

SHAPES = "shapes"  # the record of the ledger's `meta`: shape -> application, as JSON
_MARK = "@"  # in a digest, before the shape
_LENGTH = 8  # hexadecimal digits


def shape_of(application: Application) -> str:
    """The shape of an application. Changing it always changes what is rendered for its instances, so that naming it in
    their digests makes nothing restart that would not do so anyway."""
    ports = application.ports
    told = [
        sorted(program.name for program in application.programs),
        [ports.base, ports.stride, sorted(ports.offsets.items())] if ports else [],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:_LENGTH]


def with_shape(digest: str, application: Application) -> str:
    """The first part of a digest, with the shape that belongs to it."""
    return digest + _MARK + shape_of(application)


def shape_in(digest: str) -> str:
    """The shape that a digest names; empty when it names none."""
    return digest.partition("+")[0].partition(_MARK)[2]


def shaped(application: Application, digest: str, shapes: Mapping[str, Any]) -> Application:
    """An application as it is for an instance with a configuration.

    :param digest: of that configuration. Without a shape, or with one that nobody knows: the application as it is.
    :param shapes: the record `SHAPES`.
    """
    shape = shape_in(digest)
    if not shape or shape not in shapes or shape == shape_of(application):
        return application
    before = application_from_json(shapes[shape])
    return replace(application, programs=before.programs, bus=before.bus, ports=before.ports, needs=before.needs)


def as_it_runs(site: Site, claims: Mapping[str, Any], meta: Mapping[str, Any]) -> Site:
    """The site, with the shape that each instance has of which something may run.

    :param claims: the ledger's records, as JSON or as `Claim`; instance -> record.
    :param meta: the ledger's.
    """
    if len(meta.get(SHAPES) or {}) < 2:
        return site
    views = {name: Claim.from_json(one) if isinstance(one, Mapping) else one for name, one in claims.items()}
    return with_digests(site, {name: claim.digest for name, claim in views.items() if claim.holds}, meta)


def with_digests(site: Site, digests: Mapping[str, str], meta: Mapping[str, Any]) -> Site:
    """The site, with the shapes of these configurations.

    :param digests: instance -> digest of the configuration that it has or gets.
    :param meta: the ledger's.
    """
    shapes = meta.get(SHAPES) or {}
    known, changed = site.by_name(), {}
    for name, digest in digests.items() if len(shapes) > 1 else ():
        instance = known.get(name)
        application = shaped(instance.application, digest, shapes) if instance is not None else None
        if instance is not None and application is not None and application is not instance.application:
            changed[name] = replace(instance, application=application)
    if not changed:
        return site
    made = replace(site)
    made.__dict__["_instances"] = {**known, **changed}
    return made


def kept(
    site: Site, described: Iterable[str], used: Iterable[str], meta: Mapping[str, Any]
) -> Optional[Dict[str, Any]]:
    """The record `SHAPES` as it has to be; None while it is that already.

    :param described: the digests of what the site describes.
    :param used: those of everything else that may start or run.
    """
    before = meta.get(SHAPES) or {}
    wanted = {shape_in(digest) for digest in described} - {""}
    made = {shape_of(one): one for one in site.applications}
    after = {shape: _document(one) for shape, one in made.items() if shape in wanted}
    if not after:
        return None
    others = {shape_in(digest) for digest in used} - set(after)
    after.update({shape: before[shape] for shape in sorted(others) if shape in before})
    return after if after != before else None


def _document(application: Application) -> Dict[str, Any]:
    """Without what is rendered: that may hold secrets, and hosts have it."""
    programs = tuple(replace(program, command=(), environment={}) for program in application.programs)
    document: Dict[str, Any] = to_json(replace(application, programs=programs, files=()))
    return document
