# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that change something, as subcommands of a parser: one for each kind of request in `model.request`.

Both command lines use it: the controller's, and the one for consoles.
"""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Iterable, List

from ..model.request import KINDS, RequestKind
from . import options

Command = Callable[[argparse.Namespace, Any], int]
Add = Callable[[str, Command, str, str], argparse.ArgumentParser]  # name, command, what it does, example
ROLLOUT = "rollout"
GROUPS = {"site": "the whole site", "drill": "exercises, whose alarms are apart"}  # first word -> what its commands do


class Verbs:
    """Adds subcommands to a parser.

    :param add: adds one of one word.
    :param common: adds the options that every subcommand has, to one of two words.
    :param change: carries a request out.
    :param shown: prints how far the rollout is.
    """

    def __init__(
        self, add: Add, common: Callable[[argparse.ArgumentParser], None], change: Command, shown: Command
    ) -> None:
        self._add = add
        self._common = common
        self._change = change
        self._shown = shown
        self._groups: Dict[str, Any] = {}

    def add(self, kinds: Iterable[RequestKind]) -> None:
        """Add a subcommand for each of these kinds."""
        kinds = list(kinds)
        of = [_words(kind)[0] for kind in kinds]
        for kind in kinds:
            first, second = _words(kind)
            if first == ROLLOUT:
                continue
            if second and of.count(first) > 1:
                sub = self._one_of(first, second, options.phrase(kind))
            else:
                sub = self._add(first, self._change, options.phrase(kind), kind.example)
                if second:
                    sub.add_argument("what", choices=[second], help=options.phrase(kind))
            sub.description = options.description(kind)
            options.add_arguments(sub, kind)
            sub.epilog = "examples:\n  muster %s --dry-run\n  muster %s" % (kind.example, kind.example)
        if ROLLOUT in of:
            self._rollout([kind for kind in kinds if _words(kind)[0] == ROLLOUT])

    def _one_of(self, first: str, second: str, text: str) -> argparse.ArgumentParser:
        """The parser of a command of two words whose first one several commands share."""
        if first not in self._groups:
            about = GROUPS.get(first, first)
            parent = self._add(first, self._change, "%s: %s --help lists what can be done" % (about, first),
                               "%s --help" % first)  # fmt: skip
            group = parent.add_subparsers(title="commands", metavar="COMMAND", dest="what")
            group.required = True
            self._groups[first] = group
        sub: argparse.ArgumentParser = self._groups[first].add_parser(
            second, help=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )
        self._common(sub)
        return sub

    def _rollout(self, kinds: List[RequestKind]) -> None:
        """``muster rollout status``, and the requests about a rollout: all of them have the same options."""
        words = {_words(kind)[1]: kind for kind in kinds}
        shown = self._shown

        class What(argparse.Action):
            def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
                namespace.what = values
                if values == "status":
                    namespace.command = shown
                else:
                    namespace.kind = words[values].name

        rollout = self._add(
            ROLLOUT, self._change, "how far a changed configuration is, and what becomes of it", "rollout status"
        )
        lines = ["status: how far it is"] + ["%s: %s" % (word, options.phrase(kind)) for word, kind in words.items()]
        rollout.description = "A changed configuration on its way to what runs.\n\n" + "\n".join(lines)
        rollout.add_argument("what", choices=["status", *words], action=What, help="what to do with it")
        options.add_arguments(rollout, kinds[0])
        rollout.add_argument("--json", action="store_true", help="status: the whole record, for programs")


def by_command() -> List[RequestKind]:
    """The kinds that are commands of the controller."""
    return [kind for kind in KINDS.values() if kind.by_command]


def by_console() -> List[RequestKind]:
    """The kinds that are commands of a console: those that the monitor carries out."""
    return [kind for kind in KINDS.values() if kind.by_command and kind.by_api]


def _words(kind: RequestKind) -> List[str]:
    """The words of its command: one or two, the second one "" where there is none."""
    first, _unused, second = (kind.command or kind.name).partition(" ")
    return [first, second]
