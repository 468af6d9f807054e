# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual page, from the parser that reads the command line: ``muster manual | man -l -``."""

from __future__ import annotations

import argparse
import re
from typing import AbstractSet, Any, Dict, Iterator, List

from ..model.version import VERSION

Parsers = Dict[str, argparse.ArgumentParser]


def page(parser: argparse.ArgumentParser) -> str:
    """The page as roff, for section 1."""
    lines = ['.TH MUSTER 1 "" "muster %s" "control_room.muster"' % VERSION, ".SH NAME"]
    lines += ["muster \\- " + _text(str(parser.description)), ".SH SYNOPSIS", ".B muster", "COMMAND [OPTIONS]"]
    lines += [".SH COMMANDS"]
    for name, command in _commands(parser).items():
        lines += [".SS muster " + _text(name), *_paragraphs(str(command.description or ""))]
        lines += list(_arguments(command, leave_out=set(parser._option_string_actions)))
    lines += [".SH OPTIONS OF ALL COMMANDS", *_arguments(parser)]
    for title, body in _sections(str(parser.epilog or "")):
        lines += [".SH " + _text(title.upper()), ".nf", *[_text(line) for line in body], ".fi"]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser, before: str = "") -> Parsers:
    """Every command by its words."""
    found: Parsers = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                words = (before + " " + name).strip()
                found.update(_commands(inner, words) or {words: inner})
    return found


def _arguments(parser: argparse.ArgumentParser, leave_out: AbstractSet[str] = frozenset()) -> Iterator[str]:
    for action in parser._actions:
        if leave_out & set(action.option_strings):
            continue
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)) or action.help == argparse.SUPPRESS:
            continue
        value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
        names: List[Any] = list(action.option_strings) or [value]
        takes = action.option_strings and action.nargs != 0
        yield ".TP"
        yield ".B " + _text(", ".join(map(str, names)) + (" %s" % value if takes else ""))
        yield _text((action.help or "").replace("%%", "%"))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield from (_text(line) for line in paragraph.splitlines())


def _sections(text: str) -> Iterator[Any]:
    """(title, lines) of a text whose titles end in a colon and whose other lines are indented."""
    title, body = "", []  # type: str, List[str]
    for line in text.splitlines():
        head = re.match(r"(\w[\w ]*):(.*)", line)
        if head:
            if body:
                yield title, body
            title, body = head[1], [head[2].strip()] if head[2].strip() else []
        elif line.strip():
            body.append(line)
    if body:
        yield title, body


def _text(text: str) -> str:
    """Nothing of it is an order to roff."""
    shown = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + shown if shown[:1] in (".", "'") else shown
