# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory in the INI form as YAML's nodes, so that what looks for places and odd values reads one kind of data.

Ansible takes each value there for Python where it can: -70.40 becomes -70.4, and 0x10 becomes 16.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.inventory import detect_range, expand_hostname_range

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?\Z")
_TAGS = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}
_APART = 1 << 20  # columns between variables, more than a line has
_OTHERS = (".toml", ".py", ".pyc", ".cfg", ".md", ".rst", ".txt", ".orig", ".bak", ".swp", ".retry", "~")


class Literal(yaml.ScalarNode):
    """A value; `read` is what it is taken for."""

    read: str | None = None


@dataclass
class Ini:
    """What an inventory says, in nodes. Every key has the node of its name."""

    groups: dict[str, Any] = field(default_factory=dict)  # group -> where it begins
    hosts: dict[str, Any] = field(default_factory=dict)  # host -> where it is first
    of_groups: list[tuple[str, Any]] = field(default_factory=list)  # group and variables
    of_hosts: list[tuple[str, Any]] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)  # group -> its hosts
    children: dict[str, list[str]] = field(default_factory=dict)

    def memberships(self) -> Iterator[tuple[str, list[str]]]:
        """Each host with its groups, parents first."""
        parents: dict[str, list[str]] = {}
        for group, below in self.children.items():
            for child in below:
                parents.setdefault(child, []).append(group)
        for host in self.hosts:
            found: list[str] = []
            left = [group for group, members in self.members.items() if host in members]
            while left:
                group = left.pop(0)
                if group not in found:
                    found.append(group)
                    left += parents.get(group, [])
            yield host, found[::-1]


def is_ini(path: str) -> bool:
    """Whether Ansible would read a file in this form."""
    name = os.path.basename(path)
    other = name.startswith(".") or name.endswith(_OTHERS) or name.endswith((".yml", ".yaml", ".json"))
    return not other and os.path.isfile(path) and not os.access(path, os.X_OK)


def read(text: str) -> Ini:
    """What can be read; Ansible has its own word about a line that cannot."""
    found, group, kind = Ini(), "ungrouped", "hosts"
    for number, line in enumerate(text.splitlines()):
        line = line.strip()
        if not line or line[0] in ";#":
            continue
        section = _SECTION.match(line)
        if section:
            group, kind = section[1], section[2] or "hosts"
            found.groups.setdefault(group, _scalar(group, _mark(number)))
        elif kind == "vars" and "=" in line:
            name, value = (part.strip() for part in line.split("=", 1))
            found.of_groups.append((group, _mapping([(name, value)], number)))
        elif kind == "children":
            found.children.setdefault(group, []).append(line.split()[0])
        elif kind == "hosts":
            _hosts(found, group, line, number)
    return found


def _hosts(found: Ini, group: str, line: str, number: int) -> None:
    try:
        pattern, *words = shlex.split(line, comments=True)
        names = expand_hostname_range(pattern) if detect_range(pattern) else [pattern]
    except (ValueError, AnsibleError):
        return
    pairs = [(word.partition("=")[0], word.partition("=")[2]) for word in words if "=" in word]
    for name in names:
        found.hosts.setdefault(name, _scalar(name, _mark(number)))
        found.members.setdefault(group, []).append(name)
        found.of_hosts.append((name, _mapping(pairs, number)))


def _mapping(pairs: list[tuple[str, str]], line: int) -> Any:
    nodes = []
    for number, (name, value) in enumerate(pairs):
        first = number * _APART
        nodes.append((_scalar(name, _mark(line, first)), _value(value, line, first)))
    return yaml.MappingNode("tag:yaml.org,2002:map", nodes, _mark(line), _mark(line))


def _value(text: str, line: int, first: int) -> Any:
    """:param first: the column of the name, for no two values may have one mark."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            ast.literal_eval(text)
            source = text.lstrip(" \t")
            return _node(ast.parse(source, mode="eval").body, source, line, first)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _scalar(text, _mark(line, first))  # Ansible takes it for text


def _node(part: ast.expr, text: str, line: int, first: int) -> Any:
    mark = _mark(line, first + 1 + part.col_offset)
    if isinstance(part, ast.Dict):
        pairs = [(_node(key, text, line, first), _node(value, text, line, first))
                 for key, value in zip(part.keys, part.values) if key is not None]  # fmt: skip
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, mark, mark)
    if isinstance(part, (ast.List, ast.Tuple, ast.Set)):
        entries = [_node(one, text, line, first) for one in part.elts]
        return yaml.SequenceNode("tag:yaml.org,2002:seq", entries, mark, mark)
    value = ast.literal_eval(part)
    if isinstance(value, str):
        return _scalar(value, mark)
    node = Literal("tag:yaml.org,2002:" + _TAGS.get(type(value), "str"), ast.get_source_segment(text, part), mark, mark)
    node.read = str(value)
    return node


def _scalar(text: str, mark: Any) -> Any:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, mark, mark, style='"')


def _mark(line: int, column: int = 0) -> Any:
    return yaml.Mark("", 0, line, column, None, None)
