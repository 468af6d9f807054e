# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the site of the documentation: python -m tests.release.site FOLDER

Every Markdown page, and one page for each module, plugin and role from their documentation, with a search that needs no
server. Ends with 1 when a link leads nowhere.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import markdown
import yaml

from tests.release import plugin_pages
from tests.sanity.links import ELSEWHERE, LINK

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STATIC = Path(__file__).with_name("static")
LISTED = ("README.md", "docs/*.md", "roles/*/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
          "CODE_OF_CONDUCT.md")  # fmt: skip
SHOWN = {"module": "Modules", "inventory": "Inventory plugins", "callback": "Callback plugins",
         "connection": "Connection plugins"}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """A page: its source's path below the root, its path in the site, its title and text."""

    source: str
    name: str
    title: str
    text: str  # Markdown


def slug(text: str, _separator: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def written() -> Iterator[Page]:
    """The pages that people wrote."""
    for pattern in LISTED:
        for path in sorted(ROOT.glob(pattern)):
            source = path.relative_to(ROOT).as_posix()
            text = path.read_text(encoding="utf-8")
            title = re.search(r"^# (.*)", text, re.MULTILINE)
            name = "index.html" if source == "README.md" else source.removesuffix(".md") + ".html"
            yield Page(source, name, title[1].replace("\\", "") if title else source, text)


def documented(tree: Path) -> Iterator[Page]:
    """A page for each module and plugin, from the exported collection."""
    place = tree.parents[2]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(place), "ANSIBLE_HOME": str(place / ".ansible"),
                   "PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}  # fmt: skip
    dump = subprocess.run(
        [str(BIN / "ansible-doc"), "--metadata-dump", "--no-fail-on-errors", "control_room.muster"], cwd=place,
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for kind, plugins in json.loads(dump.stdout)["all"].items():
        if kind not in SHOWN:
            continue
        for full, about in sorted(plugins.items()):
            if full.startswith("control_room.muster."):
                short = full.rpartition(".")[2]
                yield Page("", f"{kind}/{short}.html", f"{full} ({kind})", plugin_pages.page(full, kind, about))


def linked(page: Page, known: dict[str, str], base: str) -> str:
    """The Markdown of a page with links into the site, or into the repository."""

    def link(match: Any) -> str:
        target = match.group(1)
        name, mark, anchor = target.partition("#")
        if target.startswith(ELSEWHERE) or not name:
            return str(match.group(0))
        path = os.path.normpath(PurePosixPath(page.source).parent / name)
        here = PurePosixPath(page.name).parent
        if path in known:
            found = os.path.relpath(known[path], here)
        elif path.startswith("docs/img/"):
            found = os.path.relpath(path, here)
        else:
            found = f"{base}/{path}"
        return str(match.group(0).replace(target, found + mark + anchor))

    return LINK.sub(link, page.text) if page.source else page.text


def build(target: Path) -> list[str]:
    """Make the site in a new folder; returns what is wrong with its links."""
    about = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    base = f"{about['repository']}/blob/{about['version']}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="muster-site-") as place:
        export = [str(ROOT / "tests/sanity/export.sh"), place]
        tree = Path(subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
        (tree / "ansible.cfg").unlink()
        pages = [*written(), *documented(tree)]
    known = {page.source: page.name for page in pages if page.source}
    frame = (STATIC / "page.html").read_text(encoding="utf-8")
    index = []
    for page in pages:
        body = markdown.markdown(linked(page, known, base), extensions=["tables", "fenced_code", "toc"],
                                 extension_configs={"toc": {"slugify": slug}})  # fmt: skip
        up = os.path.relpath(".", PurePosixPath(page.name).parent)
        values = {"title": html.escape(page.title), "up": up, "menu": menu(pages, page), "body": body}
        path = target / page.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"@(\w+)@", lambda match, v=values: v[match[1]], frame), encoding="utf-8")
        words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))
        index.append({"page": page.name, "title": page.title, "text": words})
    (target / "search.js").write_text(
        f"const pages = {json.dumps(index)};\n" + (STATIC / "search.js").read_text(encoding="utf-8"), encoding="utf-8"
    )
    shutil.copy(STATIC / "site.css", target)
    shutil.copytree(ROOT / "docs/img", target / "docs/img")
    return [f"{name}: {why}" for name, why in broken(target)]


def menu(pages: list[Page], here: Page) -> str:
    """The list of all pages, with the present one marked."""
    groups: dict[str, list[str]] = {}
    for page in pages:
        folder = page.name.split("/")[0] if "/" in page.name else ""
        group = {"": "muster", "docs": "Pages", "roles": "Roles", **SHOWN}[folder]
        link = os.path.relpath(page.name, PurePosixPath(here.name).parent)
        mark = ' class="here"' if page == here else ""
        title = html.escape(page.title.replace("control_room.muster.", "").partition(" (")[0])
        groups.setdefault(group, []).append(f'<li{mark}><a href="{link}">{title}</a></li>')
    return "".join(f"<h2>{group}</h2><ul>{''.join(entries)}</ul>" for group, entries in groups.items())


class Links(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken(target: Path) -> Iterator[tuple[str, str]]:
    """(page, sentence) of links that lead nowhere."""
    found = {}
    for path in target.rglob("*.html"):
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    for path, page in found.items():
        for link in page.links:
            name, _, anchor = link.partition("#")
            if link.startswith(ELSEWHERE):
                continue
            other = (path.parent / name).resolve() if name else path
            if not other.exists():
                yield path.relative_to(target).as_posix(), f"{link} leads nowhere"
            elif anchor and other in found and anchor not in found[other].anchors:
                yield path.relative_to(target).as_posix(), f"{link} names no heading"


def main(folder: str) -> int:
    """0 when every link is good."""
    target = Path(folder).resolve()
    wrong = build(target)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    print(f"site: {len(list(target.rglob('*.html')))} pages in {folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
