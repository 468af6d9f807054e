# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shell may complete: the words that can stand at the end of a command line, from the parser that reads it.

Names of items, instances and hosts come from the last status; a shell asks at each press of a key, so no host and no
playbook is asked. Own code and not argcomplete, because consoles have the standard library only.
"""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Mapping, Sequence, Tuple

ITEMS, INSTANCES, HOSTS, REQUESTS = "items", "instances", "hosts", "requests"
# What an argument takes, by the word that its help shows for it.
METAVARS: Mapping[str, Tuple[str, ...]] = {
    "ITEM": (ITEMS,), "INSTANCE": (ITEMS, INSTANCES), "HOST": (HOSTS,), "ID": (ITEMS,), "HOST=PERCENT": (HOSTS,),
    "NAME": (ITEMS, HOSTS), "REQUEST": (REQUESTS,), "NAME[/PROGRAM]": (ITEMS, INSTANCES, HOSTS),
}  # fmt: skip
FILES = ("FILE", "PATH", "FOLDER", "INVENTORY", "STATE_DIR")
AS_FILES = "//files"  # instead of words: the shell completes names of files itself
SCRIPTS = {
    "bash": """\
_muster() {
  local IFS=$'\\n' words
  words=$("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
  if [ "$words" = //files ]; then
    compopt -o default
    COMPREPLY=()
    return
  fi
  COMPREPLY=($words)
  [ ${#COMPREPLY[@]} != 1 ] || COMPREPLY=($(printf '%q' "${COMPREPLY[0]}"))
}
complete -F _muster muster
""",
    "zsh": """\
#compdef muster
_muster() {
  local -a found
  found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "${found[1]}" = //files ]]; then
    _files
  else
    compadd -a found
  fi
}
compdef _muster muster
""",
    "fish": """\
function __muster_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = //files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c muster -f -a '(__muster_complete)'
""",
}


def candidates(parser: argparse.ArgumentParser, words: Sequence[str], status: Mapping[str, Any]) -> List[str]:
    """The words that may stand in the place of the last one, or `AS_FILES` alone.

    :param words: of the command line, without `muster`; the last one is what is being typed, "" for a new one.
    :param status: the status document, or nothing.
    """
    given = [word for number, word in enumerate(words) if word != "=" or number == 0]  # bash makes it a word of its own
    typed, before = (given[-1], given[:-1]) if words and words[-1] != "=" else ("", given)
    found = _at(parser, before, typed, _names(status))
    return [AS_FILES] if AS_FILES in found else sorted({word for word in found if word.startswith(typed)})


def _at(parser: argparse.ArgumentParser, before: List[str], typed: str, names: Mapping[str, List[str]]) -> List[str]:
    given: List[str] = []
    while before:
        word = before.pop(0)
        if word == "--":
            given += before
            break
        option = parser._option_string_actions.get(word.partition("=")[0]) if word.startswith("-") else None
        if option is not None:
            if option.nargs != 0 and "=" not in word:
                if not before:
                    return _values(option, names, [])
                before.pop(0)
        elif not word.startswith("-"):
            inner = _subcommands(parser)
            if inner is not None:
                return _at(inner[word], before, typed, names) if word in inner else []
            given.append(word)
    if typed.startswith("--") and "=" in typed:
        option = parser._option_string_actions.get(typed.partition("=")[0])
        prefix = typed.partition("=")[0] + "="
        return [prefix + value for value in _values(option, names, [])] if option is not None else []
    options = sorted(name for name in parser._option_string_actions if name.startswith("--"))
    if typed.startswith("-"):
        return options
    inner = _subcommands(parser)
    return list(inner) if inner is not None else _positional(parser, given, names)


def _positional(parser: argparse.ArgumentParser, given: List[str], names: Mapping[str, List[str]]) -> List[str]:
    left = list(given)
    for action in (action for action in parser._actions if not action.option_strings):
        if action.nargs in ("*", "+") or not left:
            return _values(action, names, left)
        left.pop(0)
    return []


def _values(action: argparse.Action, names: Mapping[str, List[str]], given: Sequence[str]) -> List[str]:
    """The values of an argument. Those that are given already are not offered again."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    metavar = str(action.metavar or action.dest).upper()
    if metavar in FILES:
        return [AS_FILES]
    return [name for kind in METAVARS.get(metavar, ()) for name in names[kind] if name not in given]


def _subcommands(parser: argparse.ArgumentParser) -> Any:
    """Name -> parser; None where the parser has no subcommands."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return found[0].choices if found else None


def _names(status: Mapping[str, Any]) -> Dict[str, List[str]]:
    return {
        ITEMS: [str(entry["item"]) for entry in status.get("items") or ()],
        INSTANCES: [str(name) for name in status.get("instances") or ()],
        HOSTS: [str(entry["host"]) for entry in status.get("hosts") or ()],
        REQUESTS: [str(entry["id"]) for entry in status.get("requests") or ()],
    }
