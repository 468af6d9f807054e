# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own files agree with each other."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from monitor.core.model.plan import Plan
from monitor.web.schema import shapes
from tests.release import notes, pack, role_readmes

ROOT = Path(__file__).resolve().parents[3]
# REUSE.toml speaks for these.
IDENTIFIER = "-".join(("SPDX", "License", "Identifier"))  # REUSE would read it here, too
WITHOUT_HEADER = {".j2", ".json", ".md", ".txt", ".svg", ".png"}
FOLDERS_WITHOUT_HEADER = {"LICENSES", "inventory", "golden", "scenarios"}


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def _yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_every_source_file_names_its_license_at_the_top():
    bare = []
    for path in _files():
        if path.suffix in WITHOUT_HEADER or FOLDERS_WITHOUT_HEADER & set(path.relative_to(ROOT).parts):
            continue
        head = path.read_text(encoding="utf-8", errors="replace").splitlines()[:6]
        if not any(f"{IDENTIFIER}: GPL-3.0-or-later" in line for line in head):
            bare.append(str(path.relative_to(ROOT)))
    assert bare == []


def test_the_action_group_holds_every_action():
    actions = sorted(path.stem for path in (ROOT / "plugins" / "action").glob("[a-z]*.py"))
    assert _yaml("meta/runtime.yml")["action_groups"]["muster"] == actions


def test_every_action_plugin_but_the_steps_of_the_playbooks_is_documented_by_a_module():
    actions = {path.stem for path in (ROOT / "plugins" / "action").glob("[a-z]*.py")}
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py")}
    assert actions - modules == {"act", "adopt", "exec", "people", "phase", "settle", "standby", "ways"}
    assert modules - actions == set()


def _documented(module: str, name: str) -> dict:
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    return yaml.safe_load(re.search(rf'^{name} = r"""\n(.*?)^"""', text, re.MULTILINE | re.DOTALL)[1])


def _undescribed(name: str, entry: dict) -> list[str]:
    below = [bad for key, part in entry.get("contains", {}).items() for bad in _undescribed(f"{name}.{key}", part)]
    return below + [name for key in ("description", "returned", "type") if not entry.get(key)]


def test_every_module_says_since_when_it_is_there_and_describes_what_it_returns():
    modules = [path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py")]
    assert [name for name in modules if not _documented(name, "DOCUMENTATION").get("version_added")] == []
    returns = {name: _documented(name, "RETURN") for name in modules}
    parts = {f"{name}.{key}": part for name, keys in returns.items() for key, part in keys.items()}
    assert [bad for name, part in parts.items() for bad in _undescribed(name, part)] == []
    for name, key in (("status", "status"), ("plan", "plan"), ("observe", "observation")):
        assert returns[name][key]["contains"], name


def test_the_documented_parts_of_status_and_plan_are_those_of_the_real_documents():
    status, plan = (_documented(name, "RETURN")[name]["contains"] for name in ("status", "plan"))
    schema = shapes.SCHEMAS["Status"]["properties"]
    assert set(status) - {"readiness"} <= set(schema)
    item, host = (set(shapes.SCHEMAS[name]["properties"]) for name in ("Item", "Host"))
    assert set(status["items"]["sample"][0]) == item
    assert set(status["hosts"]["sample"][0]) <= host
    assert set(plan) <= {field.name for field in dataclasses.fields(Plan)}


def test_the_readme_of_each_role_lists_its_variables():
    roles = role_readmes.roles()
    stale = [role.name for role in roles if (role / "README.md").read_text(encoding="utf-8") != role_readmes.page(role)]
    assert roles and stale == []


def test_the_placeholder_organisation_is_told_in_one_place():
    home = urlsplit(_yaml("galaxy.yml")["repository"]).netloc
    naming = [path for path in _files() if path.suffix != ".png" and home in path.read_text(encoding="utf-8")]
    assert naming == [ROOT / "galaxy.yml"]


def test_links_of_packed_pages_lead_somewhere_without_the_checkout():
    text = "[a](docs/a.md#x) [b](#here) [c](https://example.org) ![d](img/d.png)"

    def packed(path: str) -> bool:
        return not pack.ignored(path, ["docs/img", "*.pyc"])

    assert pack.absolute(text, "docs/p.md", "B", packed) == (
        "[a](docs/a.md#x) [b](#here) [c](https://example.org) ![d](B/docs/img/d.png)"
    )
    assert pack.absolute(text, "README.md", "B", lambda path: False) == (
        "[a](B/docs/a.md#x) [b](#here) [c](https://example.org) ![d](B/img/d.png)"
    )


def test_collection_dependencies_are_the_same_in_both_files():
    wanted = _yaml("galaxy.yml")["dependencies"]
    assert {entry["name"]: entry["version"] for entry in _yaml("collections/requirements.yml")["collections"]} == wanted


def test_every_pinned_package_is_hashed():
    for name in ("runtime.txt", "development.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        entries = re.split(r"^(?=[A-Za-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
        assert entries
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_everything_asked_for_is_pinned():
    for name in ("runtime", "development"):
        asked = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8")
        names = {word.lower() for word in re.findall(r"^([A-Za-z][A-Za-z0-9_.-]*)", asked, re.MULTILINE)}
        assert names <= {pinned.lower() for pinned in _pins(f"{name}.txt")}


def test_both_lists_pin_the_same_versions():
    runtime, development = _pins("runtime.txt"), _pins("development.txt")
    shared = runtime.keys() & development.keys()
    assert {name: runtime[name] for name in shared} == {name: development[name] for name in shared}


def test_playbooks_and_roles_can_be_addressed_by_their_full_name():
    names = [path.stem for path in (ROOT / "playbooks").glob("*.yml")]
    names += [path.name for path in (ROOT / "roles").iterdir() if path.is_dir()]
    assert names
    assert [name for name in names if not re.fullmatch(r"_?[a-z][a-z0-9_]*", name)] == []


def test_every_make_target_is_documented_and_phony():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    documented = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert targets == documented == phony


def test_the_notes_of_a_release_are_its_section_of_the_changelog():
    text = '# R\n\n<a id="v0-3-0"></a>\n## v0\\.3\\.0\n\nNew\\.\n\n## v0\\.2\\.0\n\nOld\\.\n'
    assert notes.notes(text, "0.3.0") == "New\\.\n"
    assert notes.notes(text, "0.2.0") == "Old\\.\n"
    with pytest.raises(KeyError):
        notes.notes(text, "0.1.0")
