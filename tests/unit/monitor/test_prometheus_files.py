# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files for Prometheus and Grafana below examples/, and the metrics themselves, judged by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import parser

from monitor.web.metrics.exposition import exposition
from tests.unit.monitor.test_metrics import facts

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "examples" / "prometheus"
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\bmuster_[a-z0-9_]+")
# There while something is wrong, or under way, only.
SOMETIMES = {
    "muster_quarantined_hosts", "muster_programs_missing", "muster_instances_pending", "muster_rollout_instances",
}  # fmt: skip
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")


def tool(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=FILES, input=given, capture_output=True, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def expressions() -> list[str]:
    """Of all alert rules and panels."""
    rules = yaml.safe_load((FILES / "alerts.yml").read_text(encoding="utf-8"))
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]] + [one for _t, one, _l in panels()]


def panels() -> list[tuple[str, str, set[str]]]:
    """(title, expression, labels that its legend names) of each query of the dashboard."""
    dashboard = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    return [(panel["title"], target["expr"], set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))))
            for panel in dashboard["panels"] for target in panel["targets"]]  # fmt: skip


@needs_promtool
def test_names_and_units_follow_the_conventions() -> None:
    assert tool("check", "metrics", given=exposition(facts(), "")[0]) == ""


@needs_promtool
def test_the_alert_rules_fire_where_they_should() -> None:
    tool("check", "config", "prometheus.yml")
    assert "SUCCESS" in tool("test", "rules", str(Path(__file__).with_name("prometheus_rules.yml")))


def test_every_expression_names_metrics_that_there_are() -> None:
    page = exposition(facts(), "")[0].decode()
    samples = {sample.name for family in parser.text_string_to_metric_families(page) for sample in family.samples}
    used = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(used) > 20
    assert used - samples - SOMETIMES == set()


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = {}
    for line in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`muster_"):
            rows[cells[1].strip("`")] = set(re.findall(r"`(\w+)`", cells[2]))
    page = exposition(facts(), "")[0].decode()
    for family in parser.text_string_to_metric_families(page):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert rows.pop(name, None) == labels, name
    assert set(rows) <= SOMETIMES | {"muster_host_left_behind", "muster_host_foreign", "muster_leader"}


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    rules = yaml.safe_load((FILES / "alerts.yml").read_text(encoding="utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_panels_of_the_dashboard_do_not_cover_each_other() -> None:
    dashboard = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
