# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a request, and report every error in it at once."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

from ..compile.errors import show
from ..model.moments import moment
from ..model.request import KINDS, Request, RequestKind, filled, renamed
from ..model.sentences import did_you_mean
from . import check, given
from .names import PATTERN, Names, meaning_of

Json = Dict[str, Any]


class RequestErrors(Exception):
    """A request is wrong; `errors` has one entry for each error, as `requests.check` makes them."""

    def __init__(self, errors: List[check.Error]) -> None:
        super().__init__(check.sentence(errors))
        self.errors = errors


def request(document: Any, names: Optional[Names] = None, kinds: Optional[Iterable[str]] = None) -> Request:
    """The request that a JSON document describes.

    :param names: what the request may name; its instances are then put in full.
    :param kinds: the kinds that are taken; all when it is not given.
    :raises RequestErrors: with every error.
    """
    if not isinstance(document, dict):
        raise RequestErrors([check.error("", "the body must be a JSON object", document)])
    taken = list(KINDS if kinds is None else kinds)
    if "kind" not in document:
        raise RequestErrors([dict(check.error("kind", "is missing", None), allowed=taken)])
    if document["kind"] not in taken:
        # Without the nearest: a request that was not meant must not be proposed.
        sentence = "%s is not known (allowed: %s)" % (show(document["kind"]), ", ".join(taken))
        raise RequestErrors([dict(check.error("kind", sentence, document["kind"]), allowed=taken)])
    kind = KINDS[document["kind"]]
    errors = check.errors(document, kind.schema()) + _choice(kind, document)
    for former, name in kind.renamed.items():
        if former in document and name in document:
            sentence = "is the former name of %s: give only %s" % (name, name)
            errors.append(check.error(former, sentence, document[former]))
        elif name in kind.needs and former not in document and name not in document:
            errors.append(check.error(name, "is missing", None))
    # What is right so far is looked at further: nobody should have to mend one error to hear of the next.
    sound = renamed(_sound(document, {str(error["field"]) for error in errors}))
    errors += _ill_timed(sound) + given.problems(sound, "instances" in sound or "instances" not in document)
    errors += unnamed(kind, sound, names) if names is not None else []
    if (kind.reason or document.get("take")) and not str(document.get("why", "")).strip():
        what, missing = ("take", "") if document.get("take") else (kind.name, None)
        errors = [error for error in errors if error["field"] != "why" or error["value"] is not None]
        if not any(error["field"] == "why" for error in errors):
            errors.append(check.error("why", "%s needs a reason, for the trail" % what, document.get("why", missing)))
    if errors:
        raise RequestErrors(errors[: check.MOST])
    return filled(sound)


def _sound(document: Mapping[str, Any], refused: Set[str]) -> Json:
    """A request without the fields that are refused; an entry of a list that is refused is None there."""
    found: Json = {}
    for name, value in document.items():
        if name in refused:
            continue
        if isinstance(value, list):
            value = [None if "%s[%d]" % (name, place) in refused else entry for place, entry in enumerate(value)]
        found[name] = value
    return found


def _choice(kind: RequestKind, document: Mapping[str, Any]) -> List[check.Error]:
    """The error when not exactly one, or not at least one, of some fields is given."""
    names = kind.one_of or kind.any_of
    given = [name for name in names if name in document]
    if not names or len(given) == 1 or (given and not kind.one_of):
        return []
    words = "%s needs %s%s" % (kind.name, " or ".join(names), ", not both" if given else "")
    return [check.error(names[0], words, None)]


def _ill_timed(document: Mapping[str, Any]) -> List[check.Error]:
    """The errors when `until` or `at` is not a time; whether it is over is for the plan, which has a clock."""
    errors: List[check.Error] = []
    for name in ("until", "at"):
        written = document.get(name)
        try:
            moment(written if isinstance(written, str) else None, 0.0)
        except (ValueError, OverflowError) as error:
            errors.append(check.error(name, str(error), written))
    return errors


def unnamed(kind: RequestKind, document: Json, names: Names) -> List[check.Error]:
    """Put the instances in full; the errors are names that the site does not have, marked as `unknown`."""
    errors: List[check.Error] = []
    for field, what, known in (
        ("item", "item", names.items), ("host", "host", names.hosts), ("console", "host", names.hosts),
        ("keep", "host", names.hosts), ("to", "host", names.hosts),
    ):  # fmt: skip
        if field == "item" and kind.name == "resume":
            if names.paused is None:
                continue
            known = {**known, **names.paused}
        if field in document and document[field] not in known:
            name = document[field]
            sentence = "there is no %s %s in this site%s" % (what, name, did_you_mean(name, known))
            errors.append(dict(check.unknown(field, name, known), message=sentence, unknown=True))
    item = document.pop("item", None) if "instances" in kind.one_of and not errors else None
    written = document.get("instances", [])
    found: Dict[str, None] = {}
    for position, name in enumerate([item] if item else written):
        if len(errors) >= check.MOST:
            break
        if name is None:  # refused already
            continue
        meaning = meaning_of(kind.name, name, names, bool(document.get("pending")))
        field = "item" if item else "instances[%d]" % position
        pattern = any(sign in meaning.name for sign in PATTERN)
        if meaning.problem and (item or pattern or meaning.name in names.items):
            errors.append(dict(check.error(field, meaning.problem, meaning.name), unknown=True))
        elif meaning.problem:
            allowed = [*names.instances, *names.applications]
            errors.append(dict(check.unknown(field, meaning.name, allowed), message=meaning.problem, unknown=True))
        found.update(dict.fromkeys(meaning.instances))
    if found:
        document["instances"] = list(found)
    return errors
