# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers rendered configuration between runs, where the result is provably the same.

A template is a function of its inputs when it uses known filters and tests only, includes nothing, and names no
variable that looks elsewhere (lookups, `hostvars`, the time). The key then covers its text, the values of all variables
that it names, the site and the code of muster; equal keys mean equal results. A site with any other template is
rendered again in each run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import meta, nodes

# Of Jinja and ansible-core: the result depends on nothing but the arguments.
_FILTERS = frozenset(
    [
        "abs",
        "b64decode",
        "b64encode",
        "basename",
        "batch",
        "bool",
        "capitalize",
        "combine",
        "count",
        "d",
        "default",
        "dict2items",
        "dictsort",
        "difference",
        "dirname",
        "e",
        "escape",
        "first",
        "flatten",
        "float",
        "format",
        "from_json",
        "from_yaml",
        "groupby",
        "hash",
        "indent",
        "int",
        "intersect",
        "items",
        "items2dict",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "product",
        "quote",
        "reject",
        "rejectattr",
        "replace",
        "regex_escape",
        "regex_findall",
        "regex_replace",
        "regex_search",
        "reverse",
        "round",
        "select",
        "selectattr",
        "sha1",
        "checksum",
        "slice",
        "sort",
        "split",
        "splitext",
        "string",
        "subelements",
        "sum",
        "symmetric_difference",
        "ternary",
        "title",
        "to_json",
        "to_nice_json",
        "to_nice_yaml",
        "to_uuid",
        "to_yaml",
        "trim",
        "truncate",
        "type_debug",
        "union",
        "unique",
        "upper",
        "urlencode",
        "urlsplit",
        "wordcount",
        "zip",
        "zip_longest",
        "md5",
        "pow",
        "log",
        "root",
        "human_readable",
        "human_to_bytes",
        "comment",
        "safe",
        "tojson",
        "center",
        "wordwrap",
    ]
)
_TESTS = frozenset(
    [
        "defined",
        "undefined",
        "none",
        "string",
        "number",
        "integer",
        "float",
        "boolean",
        "true",
        "false",
        "truthy",
        "falsy",
        "mapping",
        "sequence",
        "iterable",
        "even",
        "odd",
        "divisibleby",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "equalto",
        "sameas",
        "in",
        "lower",
        "upper",
        "match",
        "search",
        "regex",
        "contains",
        "subset",
        "superset",
        "any",
        "all",
        "version",
        "callable",
        "filter",
        "test",
        "escaped",
    ]
)
_ELSEWHERE = frozenset(["lookup", "query", "q", "now", "undef", "hostvars", "vars", "groups", "lipsum", "omit"])
_PLAIN = frozenset(["range", "dict", "namespace", "cycler", "joiner", "true", "false", "none", "loop"])
_KEPT = 8
_ENCRYPTED = ("EncryptedString", "AnsibleVaultEncryptedUnicode")  # of ansible-core since 2.19, and before
_VAULT = b"$ANSIBLE_VAULT;"


def key(
    sources: Iterable[str], known: Iterable[str], resolve: Callable[[str], Any], inputs: Any, code: Sequence[str]
) -> str | None:
    """The key of what these templates give, or None when it is not certain.

    :param sources: template texts, and command strings.
    :param known: names that come from `inputs`.
    :param resolve: name -> value of an inventory variable; raises KeyError when there is none.
    :param inputs: everything else that goes in, as JSON data.
    :param code: files of muster that make the result.
    """
    texts = list(sources)
    names: set[str] = set()
    parser = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], autoescape=False)
    parser.filters = dict.fromkeys(_FILTERS, str)  # the parser asks whether they exist, no more
    parser.tests = dict.fromkeys(_TESTS, bool)
    for text in texts:
        try:
            tree = parser.parse(text)
            if not _is_function(tree):
                return None
            names |= meta.find_undeclared_variables(tree)
        except jinja2.TemplateError:
            return None
    names -= set(known) | _PLAIN
    if names & _ELSEWHERE:
        return None
    values = {}
    for name in sorted(names):
        with contextlib.suppress(KeyError):
            values[name] = resolve(name)
    digest = hashlib.sha256()
    for path in code:
        with open(path, "rb") as handle:
            digest.update(hashlib.sha256(handle.read()).digest())
    try:
        digest.update(json.dumps([texts, sorted(names), values, inputs], sort_keys=True).encode())
    except (TypeError, ValueError):
        return None
    return digest.hexdigest()[:32]


def secret(variables: Mapping[str, Any], folders: Iterable[str]) -> bool:
    """Whether what is rendered may hold something that is encrypted in the inventory: then it is not remembered.

    :param variables: of the inventory, as written; those of connections are no part of what is rendered.
    :param folders: with `group_vars` and `host_vars`, whose files may be encrypted as a whole.
    """
    if any(_encrypted(value) for name, value in variables.items() if not str(name).startswith("ansible_")):
        return True
    for folder in folders:
        for below in ("group_vars", "host_vars"):
            for where, _unused, names in os.walk(os.path.join(folder, below)):
                if any(_is_vault(os.path.join(where, name)) for name in names):
                    return True
    return False


def _encrypted(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_encrypted(entry) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return any(_encrypted(entry) for entry in value)
    return type(value).__name__ in _ENCRYPTED


def _is_vault(path: str) -> bool:
    try:
        with open(path, "rb") as handle:
            return handle.read(len(_VAULT)) == _VAULT
    except OSError:
        return False


def recall(folder: str, name: str) -> str | None:
    """The folder with the contents remembered under this key; None when there is none."""
    path = os.path.join(folder, name)
    try:
        os.utime(path)
    except OSError:
        return None
    return path


def remember(folder: str, name: str, contents: Mapping[str, Any]) -> str:
    """Keep these contents (file name -> JSON data) under the key; the oldest beyond a few are dropped.

    :return: the folder that holds them.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    own = tempfile.mkdtemp(prefix=".new-", dir=folder)
    for file, content in contents.items():
        handle = os.open(os.path.join(own, file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, separators=(",", ":"))
    path = os.path.join(folder, name)
    try:
        os.rename(own, path)
    except OSError:  # another run was quicker: the same key is the same content
        shutil.rmtree(own)
    others = sorted((entry for entry in os.scandir(folder) if entry.name != name), key=lambda e: -e.stat().st_mtime)
    for entry in others[_KEPT - 1 :]:
        shutil.rmtree(entry.path, ignore_errors=True)
    return path


def _is_function(tree: nodes.Template) -> bool:
    if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
        return False
    filters = {node.name.rpartition(".")[2] for node in tree.find_all(nodes.Filter)}
    tests = {node.name.rpartition(".")[2] for node in tree.find_all(nodes.Test)}
    # map('filter') and select('test') name theirs as text
    named = {
        argument.value
        for node in tree.find_all(nodes.Filter)
        if node.name in ("map", "select", "reject", "selectattr", "rejectattr")
        for argument in node.args
        if isinstance(argument, nodes.Const) and isinstance(argument.value, str)
    }
    by_name = any(node.name == "map" and node.args for node in tree.find_all(nodes.Filter))
    if by_name and not named <= _FILTERS:
        return False
    return filters <= _FILTERS and tests <= _TESTS
