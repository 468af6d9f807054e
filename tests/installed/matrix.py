# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests/installed with other versions of ansible-core and Python: python -m tests.installed.matrix [NAME ...]

Each pair has an environment of its own below .cache/matrix. The result is the table in docs/versions.md (--write).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "matrix"
RESULTS = PLACE / "results.json"
PAGE = ROOT / "docs" / "versions.md"
BEGIN, END = "<!-- begin: make matrix ARGS=--write -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Pair:
    """What one row of the table is about."""

    core: str
    python: str
    host: str = ""  # Python of the hosts; by default the controller's

    @property
    def name(self) -> str:
        return f"{self.core}-{self.python}" + (f"-{self.host}" if self.host else "")


PAIRS = (
    Pair("2.16", "3.11"), Pair("2.16", "3.12"), Pair("2.17", "3.11"), Pair("2.18", "3.12"), Pair("2.18", "3.13"),
    Pair("2.19", "3.11"), Pair("2.19", "3.11", "3.8"), Pair("2.19", "3.13"), Pair("2.20", "3.12"), Pair("2.20", "3.13"),
    Pair("2.21", "3.13"), Pair("2.21", "3.13", "3.8"),
)  # fmt: skip
TEST = "tests/installed/test_installed_collection.py::test_a_site_is_deployed_used_and_removed_by_full_names[installed]"
ENDS = ("2.16-3.11", "2.21-3.13")  # the oldest and the newest


def interpreter(version: str) -> str:
    """A Python of this version, or nothing."""
    found = shutil.which(f"python{version}")
    if found and ".pyenv/shims" not in found:
        return found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    built = sorted(root.glob(f"{version}.*/bin/python"))
    return str(built[-1]) if built else ""


def environment(pair: Pair) -> Path:
    """The folder of the programs of a pair, made when it is not there.

    :raises subprocess.CalledProcessError: when pip could not install them.
    """
    place = PLACE / f"{pair.core}-{pair.python}"
    stamp = place / "made"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([interpreter(pair.python), "-m", "venv", str(place)], check=True)
        asked = [line for line in (ROOT / "requirements/runtime.in").read_text().splitlines() if re.match(r"\w", line)]
        packages = [line for line in asked if not line.startswith("ansible-core")]
        pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ansible-core=={pair.core}.*", *packages], check=True, stderr=subprocess.DEVNULL)
        stamp.touch()
    return place / "bin"


def tried(pair: Pair) -> dict[str, str]:
    """The result of a pair, as the table shows it."""
    if not interpreter(pair.python) or (pair.host and not interpreter(pair.host)):
        return {"core": pair.core, "result": "not run: no such Python here"}
    bin_folder = environment(pair)
    version = [str(bin_folder / "ansible"), "--version"]
    core = re.search(r"core ([^]]+)", subprocess.run(version, check=True, stdout=subprocess.PIPE, text=True).stdout)
    begin = time.monotonic()
    test = [sys.executable, "-m", "pytest", "-q", TEST]
    more = {"MUSTER_TEST_BIN": str(bin_folder), "MUSTER_TEST_HOST_PYTHON": interpreter(pair.host) if pair.host else ""}
    said = subprocess.PIPE
    done = subprocess.run(
        test, cwd=ROOT, env={**os.environ, **more}, stdout=said, stderr=subprocess.STDOUT, text=True, check=False
    )
    (PLACE / f"{pair.name}.log").write_text(done.stdout, encoding="utf-8")
    word = "ok" if done.returncode == 0 else "failed"
    return {"core": core[1] if core else pair.core, "result": word, "seconds": f"{time.monotonic() - begin:.0f}"}


def table(results: dict[str, dict[str, str]]) -> Iterator[str]:
    """The lines of the table."""
    yield "| ansible-core | Python of the controller | Python of the hosts | result |"
    yield "|---|---|---|---|"
    for pair in PAIRS:
        found = results.get(pair.name, {"core": pair.core, "result": "not run"})
        yield f"| {found['core']} | {pair.python} | {pair.host or pair.python} | {found['result']} |"


def page(results: dict[str, dict[str, str]]) -> str:
    """docs/versions.md with the table of these results."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(table(results)) + "\n\n" + END + rest.partition(END)[2]


def main() -> int:
    """1 when a pair failed."""
    parser = argparse.ArgumentParser(prog="make matrix")
    known = ", ".join(pair.name for pair in PAIRS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of pairs: {known}; or 'ends'")
    parser.add_argument("--write", action="store_true", help="write the table in docs/versions.md")
    options = parser.parse_args()
    wanted = {name for word in options.names for name in (ENDS if word == "ends" else (word,))}
    unknown = wanted - {pair.name for pair in PAIRS}
    if unknown:
        parser.error(f"there is no pair {', '.join(sorted(unknown))}; there are {known}")
    PLACE.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    run = [pair for pair in PAIRS if not wanted or pair.name in wanted]
    for pair in run:
        results[pair.name] = tried(pair)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{pair.name:<14} {results[pair.name]['core']:<9} {results[pair.name]['result']}"
              f" {results[pair.name].get('seconds', '')} s", flush=True)
    if options.write:
        PAGE.write_text(page(results), encoding="utf-8")
    return 1 if any(results[pair.name]["result"] == "failed" for pair in run) else 0


if __name__ == "__main__":
    sys.exit(main())
