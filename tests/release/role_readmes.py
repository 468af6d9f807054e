# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the tables of variables in the README of each role, from its argument specification.

usage: python -m tests.release.role_readmes --write
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "<!-- begin: python -m tests.release.role_readmes --write -->\n"
END = "<!-- end -->\n"
_MARKUP = re.compile(r"\b[VCOPM]\(([^()]*)\)")


def roles() -> list[Path]:
    """The folders of all roles."""
    return sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


def page(role: Path) -> str:
    """The README as it must be."""
    text = (role / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables(role) + "\n" + END + rest.partition(END)[2]


def tables(role: Path) -> str:
    """One table per entry point."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return "\n".join(_table(entry, spec) for entry, spec in specs.items())


def _table(entry: str, spec: dict[str, Any]) -> str:
    title = "" if entry == "main" else f" (`tasks_from: {entry}`)"
    lines = [f"### {spec['short_description']}{title}", "", "| variable | type | default | what |", "|---|---|---|---|"]
    for name, option in spec.get("options", {}).items():
        lines.append(f"| `{name}` | {_type(option)} | {_default(option)} | {_text(option)} |")
    return "\n".join(lines) + "\n"


def _default(option: dict[str, Any]) -> str:
    value = option.get("default")
    if value in (None, "", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(option: dict[str, Any]) -> str:
    kind = option.get("type", "str")
    return f"list of {option['elements']}" if kind == "list" and "elements" in option else str(kind)


def _text(option: dict[str, Any]) -> str:
    said = option["description"]
    words = " ".join(said if isinstance(said, list) else [said])
    choices = option.get("choices")
    allowed = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return _MARKUP.sub(r"`\1`", words).replace("|", "\\|") + allowed


def main(arguments: list[str]) -> int:
    """1 when a page is not up to date."""
    stale = [role for role in roles() if (role / "README.md").read_text(encoding="utf-8") != page(role)]
    for role in stale:
        if "--write" in arguments:
            (role / "README.md").write_text(page(role), encoding="utf-8")
        print(f"roles/{role.name}/README.md")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
