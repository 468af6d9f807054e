# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of both command lines: what it says of a command that there is not.

It proposes a command that looks, never one that acts: a mistyped word must not become an act because somebody repeats
what the screen proposes. Which commands act is in the list of all of them.
"""

from __future__ import annotations

import argparse
import re
import textwrap

from ..model.request import KINDS
from ..model.sentences import did_you_mean, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, List, NoReturn, Sequence

LONGEST = 10000000  # seconds that a command may take
WIDTH = 100  # characters of a line of the list
# Those that act and are no request of `model.request`.
_ACTS_TOO = ("adopt", "demo", "exec", "ledger", "rotate-key", "withdraw")
_LOOKS_OF_GROUPS = ("status",)  # the only second words that look: `rollout status`
_UNKNOWN = re.compile(r"argument (?:COMMAND|what): invalid choice: (['\"])(.*?)\1")


class Parser(argparse.ArgumentParser):
    """Its parsers of subcommands are of this class too."""

    def error(self, message: str) -> NoReturn:
        typed = _UNKNOWN.match(message)
        if typed and typed.group(2) not in self.commands:
            message = unknown(self.prog.split()[1:], typed.group(2), self.commands)
        super().error(message)

    def _get_values(self, action: argparse.Action, arg_strings: List[str]) -> Any:
        # A name that a script took from a variable which is not set.
        if not action.option_strings and action.nargs != argparse.PARSER and not all(map(str.strip, arg_strings)):
            raise argparse.ArgumentError(action, "is empty; is a variable of your shell not set?")
        return super()._get_values(action, arg_strings)

    @property
    def commands(self) -> Sequence[str]:
        """The words of which one must follow; () where none must."""
        actions: List[Any] = [action for action in self._actions if action.dest in ("verb", "what") and action.choices]
        return list(actions[0].choices) if actions else ()


def unknown(before: Sequence[str], word: str, known: Collection[str]) -> str:
    """What is said of a command that there is not.

    :param before: words of the command before it: () or those of a group. :param known: the words that there are.
    """
    if before:
        near = did_you_mean(word, [name for name in known if name in _LOOKS_OF_GROUPS])
        there = "; there %s %s" % ("is" if len(known) == 1 else "are", listing(known))
        return "there is no command %s %s%s" % (" ".join(before), word, near or there)
    acting = {*((kind.command or kind.name).split()[0] for kind in KINDS.values()), *_ACTS_TOO}
    looks, acts = (sorted(name for name in known if (name in acting) is acts) for acts in (False, True))
    near = did_you_mean(word, looks)
    sentence = "there is no command %s%s (muster --help shows all)" % (word, near)
    return sentence if near else "\n".join([sentence, _list("to look:", looks), _list("to act:", acts)])


def _list(title: str, names: Sequence[str]) -> str:
    begin = "  %-8s " % title
    # Commands of two parts ("what-if") stay whole.
    return textwrap.fill(" ".join(names), WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin),
                         break_on_hyphens=False)  # fmt: skip


def seconds(text: str) -> float:
    """An argument that is a time. :raises ArgumentTypeError:"""
    value = float(text)
    if not 0 < value <= LONGEST:  # nan is neither, and no clock can wait for inf
        raise argparse.ArgumentTypeError("must be greater than 0, and at most %d" % LONGEST)
    return value
