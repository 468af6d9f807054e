# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the rooms of the code, and the arrows between them, from the imports: ``python -m tests.sanity.rooms``.

A room is a folder with Python files. An arrow leads from a room to a room that it imports; its number counts the
imports, lazy ones and those for types included. An arrow goes *up* when it is against the order of the rooms, that is
the order with the fewest imports against it. A circle is a set of rooms, or of files, that reach
each other.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "development.md"
BEGIN = "<!-- begin: python -m tests.sanity.rooms --write -->\n"
END = "<!-- end -->\n"
TREES = ("plugins", "monitor")
COLLECTION = "ansible_collections.control_room.muster."
SHARED = ("monitor/core", "monitor/shared")  # the core under another name, now and before it had rooms

Node = str
Graph = Mapping[Node, Counter[Node]]  # from -> to -> number of imports


@dataclass(frozen=True)
class Code:
    """The files of a checkout, with their imports of each other. Names are paths below the root, with slashes."""

    lines: Mapping[str, int]
    arrows: Graph

    @classmethod
    def read(cls, root: Path) -> Code:
        paths = [path for tree in TREES for path in sorted((root / tree).rglob("*.py"))]
        texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
        lines = {name: len(text.splitlines()) for name, text in texts.items() if text.strip()}
        arrows = {
            name: Counter(found for found in _imports(name, ast.parse(text), texts) if found != name)
            for name, text in texts.items()
            if not name.endswith("/__init__.py")
        }
        return cls({name: number for name, number in lines.items() if name in arrows}, arrows)

    def rooms(self, depth: int) -> Graph:
        """The same with files put together by `room_of`."""
        found: dict[Node, Counter[Node]] = {room_of(name, depth): Counter() for name in self.arrows}
        for name, targets in self.arrows.items():
            here = room_of(name, depth)
            for target, number in targets.items():
                if room_of(target, depth) != here:
                    found[here][room_of(target, depth)] += number
        return found


def _imports(name: str, tree: ast.Module, known: Iterable[str]) -> Iterator[str]:
    """The files that a file imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name.replace(".", "/") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                folder = PurePosixPath(name).parents[node.level - 1].as_posix()
                module = folder + ("/" + node.module.replace(".", "/") if node.module else "")
            else:
                module = str(node.module).removeprefix(COLLECTION).replace(".", "/")
            wanted = ["%s/%s" % (module, alias.name) for alias in node.names]
        else:
            continue
        for path in wanted:
            for candidate in (path, path.rpartition("/")[0]):  # a module, or a name in one
                if found := _file(candidate, known):
                    yield found
                    break


def _file(module: str, known: Iterable[str]) -> str:
    for shared in SHARED:
        if module.startswith(shared + "/"):
            rest = module.removeprefix(shared + "/")
            for folder in ("plugins/module_utils/_core/", "plugins/module_utils/"):
                if folder + rest + ".py" in known:
                    return folder + rest + ".py"
    return module + ".py" if module + ".py" in known else ""


def room_of(name: str, depth: int = 9) -> str:
    """`core/...`, `monitor/...` or a folder of `plugins`; below the first two so many folders deep."""
    folder = PurePosixPath(name).parent.as_posix()
    if folder.startswith("plugins/module_utils/_core"):
        parts = folder.split("/")[3:]
        return "/".join(["core", *parts[:depth]])
    if folder.startswith("monitor"):
        return "/".join(folder.split("/")[: 1 + depth])
    return folder.removeprefix("plugins/")


def circles(graph: Graph) -> list[list[Node]]:
    """Every set of more than one node that reach each other (Tarjan's strongly connected components)."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    found: list[list[Node]] = []

    def visit(node: Node) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)


def ordered(graph: Graph) -> list[Node]:
    """From what imports to what is imported; within a circle against as few imports as moving single nodes reaches."""
    parts = {node: ring for ring in circles(graph) for node in ring}
    left = {node: set(targets) for node, targets in graph.items()}
    found: list[Node] = []
    while left:  # from the bottom: what imports nothing that is left, but its own circle
        node = max(n for n in left if left[n] & left.keys() <= set(parts.get(n, [n])) and _lowest(left, parts, n))
        ring = parts.get(node, [node])
        found = _within(graph, ring) + found
        for done in ring:
            del left[done]
    return found


def _lowest(left: Mapping[Node, set[Node]], parts: Mapping[Node, list[Node]], node: Node) -> bool:
    ring = set(parts.get(node, [node]))
    return all(left[other] & left.keys() <= ring for other in ring)


def _within(graph: Graph, ring: list[Node]) -> list[Node]:
    def against(order: list[Node]) -> int:
        return sum(graph[b][a] for number, a in enumerate(order) for b in order[number + 1 :])

    order, better = list(ring), True
    while better:
        better = False
        for node in ring:
            rest = [other for other in order if other != node]
            trials = [rest[:place] + [node] + rest[place:] for place in range(len(ring))]
            best = min(trials, key=against)
            if against(best) < against(order):
                order, better = best, True
    return order


def upward(graph: Graph) -> list[tuple[Node, Node]]:
    """The arrows against the order."""
    place = {node: number for number, node in enumerate(ordered(graph))}
    return sorted((a, b) for a, targets in graph.items() for b in targets if place[b] < place[a])


def floors(graph: Graph) -> int:
    """Nodes on the longest way down."""
    up = set(upward(graph))
    height: dict[Node, int] = {}
    for node in reversed(ordered(graph)):
        height[node] = 1 + max((height[b] for b in graph[node] if (node, b) not in up), default=0)
    return max(height.values())


def shortest(graph: Graph) -> list[tuple[Node, Node]]:
    """The arrows that no longer way replaces; those that go up are always among them."""
    up = set(upward(graph))
    down = {node: {b for b in graph[node] if (node, b) not in up} for node in graph}

    def reach(node: Node) -> set[Node]:
        return set().union(*({b} | reach(b) for b in down[node]))

    kept = {(a, b) for a in down for b in down[a] if not any(b in reach(c) for c in down[a] - {b})}
    return sorted(kept | up)


def summary(title: str, graph: Graph, what: str) -> str:
    number = sum(len(targets) for targets in graph.values())
    up, rings = upward(graph), circles(graph)
    lines = [
        "%s: %d %s, %d floors, %d arrows, %d of them up, %d circles"
        % (title, len(graph), what, floors(graph), number, len(up), len(rings))
    ]
    lines += ["  up: %s -> %s (%d)" % (a, b, graph[a][b]) for a, b in up]
    lines += ["  circle: %s" % ", ".join(ring) for ring in rings]
    return "\n".join(lines)


def text(code: Code) -> str:
    """What the program prints."""
    rooms = code.rooms(9)
    files, lines = Counter(room_of(name) for name in code.lines), Counter[str]()
    for name, number in code.lines.items():
        lines[room_of(name)] += number
    parts = ["%-34s %5s %6s  %s" % ("room", "files", "lines", "imports from")]
    for room in ordered(rooms):
        targets = ", ".join("%s %d" % (b, rooms[room][b]) for b in sorted(rooms[room])) or "-"
        parts.append("%-34s %5d %6d  %s" % (room, files[room], lines[room], targets))
    parts.append("")
    parts.append(
        "%d files, %d lines; the largest room has %d files"
        % (len(code.lines), sum(code.lines.values()), max(files.values()))
    )
    parts.append(summary("rooms", rooms, "rooms"))
    parts.append(summary("files", code.arrows, "files"))
    groups: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("module_utils", lambda name: name.startswith("plugins/module_utils/")),
        ("monitor", lambda name: name.startswith("monitor/")),
    )
    for title, inside in groups:
        part = {
            name: Counter({b: number for b, number in targets.items() if inside(b)})
            for name, targets in code.arrows.items()
            if inside(name)
        }
        parts.append(summary("files of %s" % title, part, "files"))
    return "\n".join(parts)


def picture(code: Code) -> str:
    """The block of docs/development.md: top rooms, and the arrows that no longer way replaces, for Mermaid.

    It has no numbers, so that it changes only when the structure does.
    """
    rooms = {
        room: Counter({b: number for b, number in targets.items() if b not in _LEFT_OUT})
        for room, targets in code.rooms(1).items()
        if room not in _LEFT_OUT
    }
    up = set(upward(rooms))
    lines = [BEGIN.rstrip("\n"), "", "```mermaid", "flowchart TD"]
    for title, heading in (
        ("monitor", "monitor: the daemon and the command line"),
        ("plugins", "plugins: the Ansible side"),
        ("core", "plugins/module_utils/_core: the core"),
    ):
        lines.append('  subgraph %s_rooms["%s"]' % (title, heading))
        for room in ordered(rooms):
            if _group(room) == title:
                lines.append('    %s["%s"]' % (_id(room), room.removeprefix("core/")))
        lines.append("  end")
    for a, b in shortest(rooms):
        lines.append("  %s %s %s" % (_id(a), "-. up .->" if (a, b) in up else "-->", _id(b)))
    lines += ["```", "", END.rstrip("\n")]
    return "\n".join(lines) + "\n"


_LEFT_OUT = {"inventory", "callback", "connection", "doc_fragments"}  # plugins that import nothing of this or nearly


def _group(room: str) -> str:
    first = room.partition("/")[0]
    return first if first in ("core", "monitor") else "plugins"


def _id(room: str) -> str:
    return room.replace("/", "_")


def page(code: Code) -> str:
    """docs/development.md with the picture as it is now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + picture(code) + after


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sanity.rooms", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--mermaid", action="store_true", help="the picture only")
    parser.add_argument("--write", action="store_true", help="put the picture into docs/development.md")
    options = parser.parse_args(arguments)
    code = Code.read(options.root)
    if options.write:
        PAGE.write_text(page(code), encoding="utf-8")
    else:
        print(picture(code) if options.mermaid else text(code))
    return 0


if __name__ == "__main__":
    sys.exit(main())
