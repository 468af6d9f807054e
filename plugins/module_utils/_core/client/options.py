# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are requests: their arguments, made of the table in `model.request`, and the request they make.

Both command lines use it: the controller's, and the one for consoles.
"""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Mapping

from ..model.request import FIELDS, Field, Request, RequestKind


class Incomplete(Exception):
    """A command does not say what it is about; the text is one sentence."""


def phrase(kind: RequestKind) -> str:
    """What a command does, for a list of commands."""
    return kind.doc[:1].lower() + kind.doc[1:].rstrip(".")


def description(kind: RequestKind) -> str:
    """What a command does, for its own help."""
    return kind.doc + ("\n\n" + _wrapped(kind.more) if kind.more else "")


def add_arguments(parser: argparse.ArgumentParser, kind: RequestKind) -> None:
    """Add the arguments of a kind of request."""
    subject = kind.subject
    if subject is not None:
        many = ("+" if subject.needed else "*") if subject.many else (None if subject.needed else "?")
        given: Dict[str, Any] = {} if many in ("+", None) else {"default": [] if subject.many else ""}
        parser.add_argument(subject.field, nargs=many, metavar=subject.metavar, help=subject.doc, **given)
    if kind.also is not None:
        parser.add_argument(kind.also.field, metavar=kind.also.metavar, help=kind.also.doc, type=str.upper,
                            choices=FIELDS[kind.also.field].schema["enum"])
    for field in _optional(kind):
        given = {"dest": field.name, "default": field.empty, "help": field.doc.replace("`", "'")}
        if field.type == "flag":
            given["action"] = "store_true"
        elif field.type == "list":
            given.update(metavar=field.metavar, action="append", default=None)
        else:
            given.update(metavar=field.metavar, required=field.name in kind.needs)
        if field.type == "whole":
            given["type"] = _Whole(field.schema)
        parser.add_argument(*field.options, **given)
    parser.add_argument("--dry-run", action="store_true", help="show the plan; do nothing")
    if kind.name not in ("apply", "confirm_down"):
        add_saving(parser)
    parser.set_defaults(kind=kind.name)


def add_saving(parser: argparse.ArgumentParser) -> None:
    """Add the arguments by which a plan is saved instead of carried out."""
    parser.add_argument("--save", metavar="FILE", help="show the plan and save it to a new file, for 'muster apply'")
    parser.add_argument("--approve", action="store_true", help="with --save: somebody else has to apply the plan")


def approves_nothing(options: argparse.Namespace) -> str:
    """Why ``--approve`` says nothing here, else "": alone it would act at once, without the second name."""
    if getattr(options, "approve", False) and not getattr(options, "save", None):
        return "--approve goes with --save FILE: somebody else applies that plan"
    return ""


def request_of(kind: RequestKind, options: argparse.Namespace) -> Request:
    """The request that the options of a command make.

    :raises Incomplete: when not exactly one of its choices is given, or none of which there may be several, and for
        an option without the one that it goes with.
    """
    lacking = approves_nothing(options)
    if lacking:
        raise Incomplete(lacking)
    values: Dict[str, Any] = {}
    for name in kind.fields:
        value = getattr(options, name, FIELDS[name].empty)
        if FIELDS[name].type == "list":
            value = (value,) if isinstance(value, str) else tuple(value or ())
        values[FIELDS[name].attribute] = value
    if values.get("env"):
        values["env"] = tuple(_with_value(entry) for entry in values["env"])
    if values.get("plan"):
        values["plan"] = _digest(values["plan"])
    if kind.confirmed and values["force"]:
        values["confirm"] = values["host"]  # it was named beside --force
    choice = kind.one_of or kind.any_of
    given = [name for name in choice if values[FIELDS[name].attribute]]
    if choice and len(given) != 1 and (kind.one_of or not given):
        subject = [kind.subject.metavar] if kind.subject is not None else []
        words = " or ".join([*subject, *(field.options[0] for field in _optional(kind) if field.name in choice)])
        raise Incomplete("%s needs %s%s" % (kind.command or kind.name, words, ", not both" if given else ""))
    return Request(kind.name, **values)


def _with_value(entry: str) -> str:
    """A variable that is given by its name only has the value that it has here: so it is in nobody's list of processes.

    :raises Incomplete: when it has none.
    """
    import os

    if not entry or "=" in entry:
        return entry
    if entry not in os.environ:
        raise Incomplete("--env %s names no variable of this command's environment: write NAME=VALUE" % entry)
    return "%s=%s" % (entry, os.environ[entry])


def _digest(path: str) -> str:
    """:raises Incomplete: when the file is no saved plan."""
    from . import saved_plan  # for one command only

    try:
        return path if saved_plan.is_digest(path) else saved_plan.digest_of_file(path)
    except saved_plan.NoPlan as error:
        raise Incomplete("%s %s" % (path, error)) from None


def _optional(kind: RequestKind) -> List[Field]:
    """The fields that are options. What follows the command stands for its whole choice, but for flags."""
    subject = kind.subject.field if kind.subject is not None else ""
    also = kind.also.field if kind.also is not None else ""
    fields = [FIELDS[name] for name in kind.fields if name not in (subject, also, "confirm")]
    return [f for f in fields if f.type == "flag" or subject not in kind.one_of or f.name not in kind.one_of]


class _Whole:
    """Reads a whole number within the limits of a schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._least, self._most = int(schema["minimum"]), int(schema["maximum"])

    def __call__(self, text: str) -> int:
        value = int(text) if text.lstrip("-").isdigit() else None
        if value is None or not self._least <= value <= self._most:
            raise argparse.ArgumentTypeError("must be a whole number from %d to %d" % (self._least, self._most))
        return value


def _wrapped(text: str) -> str:
    import textwrap  # only for a command's own help

    return textwrap.fill(text, 100)
