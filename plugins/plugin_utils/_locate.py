# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the place (``file:line``) of a site's value in the files of an inventory, and of variables given to a command.

Ansible gives values without places, and silently keeps the last of two equal keys. So this module reads the files
again, as nodes with positions, in the order in which Ansible lets one file win over another.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..module_utils._core.compile.errors import (
    Key,
    Keys,
    SiteError,
    SiteErrors,
    path_text,
)
from . import _ini_nodes, _yaml_texts

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXTENSIONS = ("", ".yml", ".yaml", ".json")
_NOT_INVENTORY = ("group_vars", "host_vars")
_GIVEN = "-e"  # the place of variables written on the command line itself
_STEP = re.compile(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.\[]+)')


@dataclass(frozen=True)
class _Source:
    """Variables of one group or host, written in one mapping node."""

    file: str
    node: Any
    rank: tuple[int, int, int]  # the greatest wins
    group: str = ""
    host: str = ""


class Locator:
    """Finds places in the YAML and INI files of inventories and of ``group_vars`` and ``host_vars`` beside them.

    :param paths: inventory sources as given to Ansible: files or folders.
    :param playbook_dir: its ``group_vars`` and ``host_vars`` count too.
    :param groups: host -> its groups, parents first; without it, what the inventory's YAML files say.
    :param controller: whose variables the site is made of; without it, the member of ``muster_controller``.
    :param given: variables of the command line as written behind ``-e``; they win over all others.
    """

    def __init__(
        self,
        paths: Iterable[str],
        playbook_dir: str | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        controller: str = "",
        given: Sequence[str] = (),
    ) -> None:
        self._sources: list[_Source] = []
        self._unreadable: list[SiteError] = []
        self._group_nodes: dict[str, tuple[str, Any]] = {}
        self._host_nodes: dict[str, tuple[str, Any]] = {}
        self._memberships: dict[str, list[str]] = {}
        folders = []
        for path in paths:
            folder = path if os.path.isdir(path) else os.path.dirname(path)
            folders.append(folder)
            for file in _inventory_files(path):
                if _ini_nodes.is_ini(file):
                    self._read_ini(file)
                else:
                    self._read_inventory(file)
        for order, folder in enumerate([*folders, *([playbook_dir] if playbook_dir else [])]):
            self._read_variables(folder, order)
        for order, text in enumerate(given):
            self._read_given(text, order)
        for host, names in (groups or {}).items():
            self._memberships[host] = list(names)
        members = [host for host, names in self._memberships.items() if "muster_controller" in names]
        self._controller = controller or (members[0] if members else "")

    def where(self, path: str | Sequence[Key]) -> str | None:
        """``inventory/local/group_vars/all/site.yml:41`` for a path of the site, or of the deepest part that is found.

        :param path: ``muster_applications.scen2_srv.ports.base``, the same as a sequence of keys, ``hosts.<host>
            .<variable>`` for a host's variable, or ``groups.<group>``.
        """
        keys = parse_path(path) if isinstance(path, str) else tuple(path)
        if not keys:
            return None
        if keys[0] == "hosts" and len(keys) > 1:
            host = str(keys[1])
            found = self._variable(host, keys[2:]) if len(keys) > 2 else None
            return found or _place(*self._host_nodes[host]) if host in self._host_nodes or found else None
        if keys[0] == "groups":
            group = str(keys[1]) if len(keys) > 1 else ""
            return _place(*self._group_nodes[group]) if group in self._group_nodes else None
        return self._variable(self._controller, keys)

    def repeated(self) -> list[SiteError]:
        """An error for every ``muster_*`` variable, and every key in one, that one mapping holds twice.

        Each error has the second place; its message names the first one.
        """
        found: list[SiteError] = []
        seen: set[tuple[str, int, int]] = set()
        for source in self._sources:
            for keys, again, first in sorted(_duplicates(source.node), key=lambda one: one[1].start_mark.line):
                mark = (source.file, again.start_mark.line, again.start_mark.column)
                if not str(keys[0]).startswith("muster_") or mark in seen:
                    continue
                seen.add(mark)
                keys = ("hosts", source.host, *keys) if source.host else keys
                message = "written twice, first at %s" % _place(source.file, first)
                hint = "Ansible would silently keep the last one only"
                found.append(SiteError(path_text(keys), message, None, hint, keys, _place(source.file, again)))
        return found

    def rewritten(self) -> list[SiteError]:
        """An error for every value that a program would get in another way than it is written here, such as ``010``.

        Ansible has only the value left. Numbers of muster's own keys may be written as one likes, but for octal ones.
        """
        found: list[SiteError] = []
        seen: set[tuple[str, int, int]] = set()
        for source in self._sources:
            for keys, node in _scalars(source.node):
                mark = (source.file, node.start_mark.line, node.start_mark.column)
                if not str(keys[0]).startswith("muster_") or mark in seen:
                    continue
                read = _yaml_texts.read_as(node, keys)
                if not read:
                    continue
                seen.add(mark)
                keys = ("hosts", source.host, *keys) if source.host else keys
                reader = "Ansible" if isinstance(node, _ini_nodes.Literal) else "YAML"
                message = "is %s, which %s reads as %s" % (node.value, reader, read)
                hint = "put it in quotes, or write %s" % read
                found.append(SiteError(path_text(keys), message, None, hint, keys, _place(source.file, node)))
        return found

    def unreadable(self) -> list[SiteError]:
        """An error for every YAML file that is none. Of an inventory, Ansible only warns of it and leaves it out: its
        hosts would be gone. Of variables, it says no place."""
        return list(self._unreadable)

    def _variable(self, host: str, keys: Keys) -> str | None:
        groups = self._memberships.get(host, [])
        best: tuple[tuple[int, int, int, int], str] | None = None
        for source in self._sources:
            if source.host and source.host != host:
                continue
            if source.group not in ("", "all") and source.group not in groups:
                continue
            pair = _entry(source.node, keys[0])
            if pair is None:
                continue
            depth = groups.index(source.group) if source.group in groups else -1
            rank = (source.rank[0], depth, *source.rank[1:])
            if best is None or rank >= best[0]:
                best = (rank, _deepest(source.file, pair, keys[1:]))
        return best[1] if best else None

    def _read_inventory(self, file: str) -> None:
        root = self._compose(file)
        for key, node in _pairs(root):
            self._read_group(file, key, node, ())

    def _read_ini(self, file: str) -> None:
        try:
            with open(file, encoding="utf-8") as handle:
                found = _ini_nodes.read(handle.read())
        except (OSError, ValueError):
            return
        for names, nodes in ((found.groups, self._group_nodes), (found.hosts, self._host_nodes)):
            for name, node in names.items():
                nodes.setdefault(name, (file, node))
        for group, node in found.of_groups:
            self._sources.append(_Source(file, node, (0 if group == "all" else 1, 0, 0), group=group))
        for host, node in found.of_hosts:
            self._sources.append(_Source(file, node, (4, 0, 0), host=host))
        for host, groups in found.memberships():
            known = self._memberships.setdefault(host, [])
            known.extend(group for group in groups if group not in known)

    def _read_given(self, text: str, order: int) -> None:
        if text.startswith("@"):
            file, node = text[1:], self._compose(text[1:])
        elif text[:1] in ("{", "["):
            file, node = _GIVEN, self._compose_text(text, _GIVEN)
        else:
            return  # k=v: what is given so stays text
        if isinstance(node, yaml.MappingNode):
            self._sources.append(_Source(file, node, (6, order, 0)))

    def _read_group(self, file: str, key: Any, node: Any, above: tuple[str, ...]) -> None:
        name = str(key.value)
        self._group_nodes.setdefault(name, (file, key))
        for part, content in _pairs(node):
            if part.value == "vars" and isinstance(content, yaml.MappingNode):
                self._sources.append(_Source(file, content, (0 if name == "all" else 1, 0, 0), group=name))
            elif part.value == "children":
                for child, below in _pairs(content):
                    self._read_group(file, child, below, (*above, name))
            elif part.value == "hosts":
                for host, variables in _pairs(content):
                    self._read_host(file, host, variables, (*above, name))

    def _read_host(self, file: str, key: Any, node: Any, groups: tuple[str, ...]) -> None:
        name = str(key.value)
        self._host_nodes.setdefault(name, (file, key))
        known = self._memberships.setdefault(name, [])
        known.extend(group for group in groups if group not in known)
        if isinstance(node, yaml.MappingNode):
            self._sources.append(_Source(file, node, (4, 0, 0), host=name))

    def _read_variables(self, folder: str, order: int) -> None:
        for kind in _NOT_INVENTORY:
            base = os.path.join(folder, kind)
            for name in _owners(base):
                for position, file in enumerate(_variable_files(os.path.join(base, name))):
                    node = self._compose(file)
                    if not isinstance(node, yaml.MappingNode):
                        continue
                    if kind == "host_vars":
                        self._sources.append(_Source(file, node, (5, order, position), host=name))
                    else:
                        rank = (2 if name == "all" else 3, order, position)
                        self._sources.append(_Source(file, node, rank, group=name))

    def _compose(self, file: str) -> Any:
        try:
            with open(file, "rb") as handle:
                return self._compose_text(handle.read(), file)
        except OSError:
            return None  # Ansible has its own word about files it cannot read

    def _compose_text(self, text: bytes | str, file: str) -> Any:
        try:
            return yaml.compose(text, Loader=_LOADER)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            if _is_json(text):  # Ansible tries that first, and it may be indented by tabs
                return yaml.compose(text.replace(*((b"\t", b" ") if isinstance(text, bytes) else ("\t", " "))), _LOADER)
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
                line = error.problem_mark.line
                written = text if isinstance(text, str) else text.decode("utf-8", "replace")
                tabs = "indent with blanks, not with tabs" if _tabbed(written, line) else ""
                message = "this is no YAML: %s" % error.problem
                place = "%s:%d" % (_shown(file), line + 1)
                self._unreadable.append(SiteError(os.path.basename(file), message, None, tabs, (), place))
            return None


def messages(errors: Iterable[SiteError], locator: Locator) -> list[str]:
    """One line per error, each with file and line where they are known, in that order."""
    return SiteErrors(errors).lines(locator.where)


def parse_path(text: str) -> Keys:
    """``muster_items[2].slot`` -> ``("muster_items", 2, "slot")``: the inverse of ``compile.errors.path_text``."""
    keys: list[Key] = []
    for number, quoted, plain in _STEP.findall(text):
        if number:
            keys.append(int(number))
        elif plain:
            keys.append(plain)
        else:
            keys.append(quoted.replace('\\"', '"').encode("ascii", "backslashreplace").decode("unicode_escape"))
    return tuple(keys)


def _inventory_files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path] if path.endswith(_EXTENSIONS[1:]) or _ini_nodes.is_ini(path) else []
    files = [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.startswith(".")]
    return [file for file in files if os.path.isfile(file)
            and (file.endswith(_EXTENSIONS[1:]) or _ini_nodes.is_ini(file))]  # fmt: skip


def _tabbed(text: str, line: int) -> bool:
    """Whether a line begins with a tab, perhaps behind blanks."""
    return any(one.lstrip(" ").startswith("\t") for one in text.split("\n")[line : line + 1])


def _is_json(text: bytes | str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _owners(base: str) -> list[str]:
    """Names of groups or hosts that have variables below this folder."""
    if not os.path.isdir(base):
        return []
    names = set()
    for entry in os.listdir(base):
        stem, extension = os.path.splitext(entry)
        names.add(stem if extension in _EXTENSIONS[1:] else entry)
    return sorted(names)


def _variable_files(path: str) -> list[str]:
    """As Ansible does: the first of ``all/``, ``all``, ``all.yml``... that exists; a folder with all its files."""
    for extension in _EXTENSIONS:
        candidate = path + extension
        if os.path.isfile(candidate):
            return [candidate]
        if os.path.isdir(candidate):
            return list(_walk(candidate))
    return []


def _walk(folder: str) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.startswith(".") or name.endswith("~"):
            continue
        if os.path.isdir(path):
            yield from _walk(path)
        elif os.path.splitext(name)[1] in _EXTENSIONS:
            yield path


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _entry(node: Any, key: Key) -> tuple[Any, Any] | None:
    """The key's node and its value's: of a mapping (the last one wins) or of a list."""
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return (node.value[key], node.value[key]) if 0 <= key < len(node.value) else None
    found = None
    for name, value in _pairs(node):
        if isinstance(name, yaml.ScalarNode) and name.value == str(key):
            found = (name, value)
    return found


def _deepest(file: str, pair: tuple[Any, Any], keys: Keys) -> str:
    place, node = pair
    for key in keys:
        found = _entry(node, key)
        if found is None:
            break
        place, node = found
    return _place(file, place)


def _place(file: str, node: Any) -> str:
    return "%s:%d" % (_shown(file), node.start_mark.line + 1)


def _shown(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _duplicates(root: Any) -> Iterator[tuple[Keys, Any, Any]]:
    """The path of each repeated key, its node and the node of the first one."""
    for keys, node in _nodes(root):
        first: dict[str, Any] = {}
        for name, _value in _pairs(node):
            if not isinstance(name, yaml.ScalarNode) or name.tag.endswith(":merge"):
                continue
            if name.value in first:
                yield (*keys, str(name.value)), name, first[name.value]
            first.setdefault(name.value, name)


def _scalars(root: Any) -> Iterator[tuple[Keys, Any]]:
    return ((keys, node) for keys, node in _nodes(root) if keys and isinstance(node, yaml.ScalarNode))


def _nodes(root: Any) -> Iterator[tuple[Keys, Any]]:
    """Every node with its path, in the order of the file. What an anchor repeats, also within itself, comes once."""
    left: list[tuple[Keys, Any]] = [((), root)]
    seen: set[int] = set()
    while left:
        keys, node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield keys, node
        below: list[tuple[Keys, Any]] = []
        if isinstance(node, yaml.SequenceNode):
            below = [((*keys, position), entry) for position, entry in enumerate(node.value)]
        for name, value in _pairs(node):
            if isinstance(name, yaml.ScalarNode):
                merged = name.tag.endswith(":merge")
                below.append((keys if merged else (*keys, str(name.value)), value))
        left += reversed(below)
