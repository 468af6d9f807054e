# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a module or plugin, in Markdown, from what ansible-doc says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from antsibull_docs_parser.dom import Paragraph
from antsibull_docs_parser.html import to_html_plain
from antsibull_docs_parser.parser import Context, parse

Json = Mapping[str, Any]


def page(full: str, kind: str, about: Json) -> str:
    """The whole page."""
    doc = about["doc"]
    lines = [f"# {full} ({kind})", "", _text([doc["short_description"]]) + ".", ""]
    if doc.get("version_added"):
        lines += [f"New in {doc['version_added']}.", ""]
    lines += [_text([sentence]) + "\n" for sentence in _list(doc["description"])]
    if doc.get("options"):
        lines += ["## Options", "", "| option | type | default | what |", "|---|---|---|---|"]
        lines += _options(doc["options"])
    if doc.get("attributes"):
        lines += ["", "## Attributes", "", "| attribute | support | what |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {entry.get('support', '')} | {_text(_list(entry.get('description')))} |"
            for name, entry in sorted(doc["attributes"].items())
        ]
    if about.get("examples"):
        lines += ["", "## Examples", "", "```yaml", about["examples"].strip("\n"), "```"]
    if about.get("return"):
        lines += ["", "## Returned", "", "| key | type | returned | what |", "|---|---|---|---|"]
        lines += _returned(about["return"])
    return "\n".join(lines) + "\n"


def _options(options: Json, before: str = "") -> Iterator[str]:
    for name, option in sorted(options.items(), key=lambda entry: (not entry[1].get("required"), entry[0])):
        default = "required" if option.get("required") else _value(option.get("default"))
        choices = option.get("choices")
        more = " One of %s." % ", ".join(f"`{choice}`" for choice in choices) if choices else ""
        what = _text(_list(option.get("description"))) + more
        yield f"| `{before}{name}` | {_type(option)} | {default} | {what} |"
        yield from _options(option.get("suboptions") or {}, f"{before}{name}.")


def _returned(values: Json, before: str = "") -> Iterator[str]:
    for name, value in values.items():
        sample = f" For example {_value(value['sample'])}." if "sample" in value else ""
        what = _text(_list(value.get("description"))) + sample
        yield f"| `{before}{name}` | {_type(value)} | {_text(_list(value.get('returned')))} | {what} |"
        yield from _returned(value.get("contains") or {}, f"{before}{name}.")


def _type(entry: Json) -> str:
    return f"list of {entry['elements']}" if entry.get("elements") else str(entry.get("type", "str"))


def _value(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return "`%s`" % shown.replace("|", "\\|")


def _list(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [str(value)]


def _text(sentences: list[str]) -> str:
    found: list[Paragraph] = parse([str(sentence) for sentence in sentences], Context(), errors="message")
    shown = to_html_plain(found, par_start="", par_end="", par_sep=" ")
    return shown.replace("\n", " ").replace("|", "&#124;").replace("`", "&#96;").replace("*", "&#42;")
