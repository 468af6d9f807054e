# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' figures: what they say, and when they judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import machine
from tests.benchmarks.figures import MISSED, Figure, Report, percentile, spread


def test_the_percentile_is_a_value_that_was_measured():
    values = [float(n) for n in range(1, 201)]
    assert percentile(values, 0.99) == 198
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3


def test_one_value_is_shown_alone_and_several_with_their_range():
    assert spread([0.2], "s") == "0.200 s"
    assert spread([0.1, 0.3, 0.2], "s") == "0.200 s (0.100..0.300, n=3)"
    assert spread([0.1] * 98 + [0.2, 0.3], "s") == "0.100 s (p99 0.200, 0.100..0.300, n=100)"


def test_an_aim_is_met_by_the_median():
    assert Figure("restart", [0.1, 0.2, 0.9], aim=0.23).verdict() == "met"
    assert Figure("restart", [0.1, 0.3, 0.4], aim=0.23).verdict() == "MISSED"


def test_nothing_is_judged_on_a_busy_machine():
    assert Figure("restart", [0.1], aim=0.23, load=3.2).verdict() == "not judged, the load average was 3.2"


def test_the_peer_is_shown_with_the_ratio_of_the_medians():
    assert "| Supvisors 20.0 s | ratio 0.25" in Figure("bring-up", [5.0], peer=[20.0]).sentence()


def test_the_report_keeps_figures_failures_and_what_was_left_out(tmp_path, capsys):
    report = Report(tmp_path / "below" / "figures.json")
    report.begin("restart", patient=False)
    report.skip("no root")
    report.skip("no root")
    report.add(Figure("restart", [0.1], aim=0.23))
    report.fail("idle: nothing ran")
    kept = json.loads(report.path.read_text(encoding="utf-8"))
    assert [figure["name"] for figure in kept["figures"]] == ["restart"]
    assert (kept["skipped"], kept["failed"]) == (["no root"], ["idle: nothing ran"])
    assert report.end() == 1, "a measurement that could not be taken is an error"
    assert capsys.readouterr().out.count("left out: no root") == 1


@pytest.mark.parametrize(("load", "value", "code"), [(0.2, 0.1, 0), (0.2, 0.3, MISSED), (2.5, 0.3, 0)])
def test_the_exit_code_shows_a_missed_aim_but_not_on_a_busy_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, value: float, code: int
) -> None:
    monkeypatch.setattr(machine, "load_average", lambda: load)
    report = Report(tmp_path / "figures.json")
    report.begin("restart", patient=False)
    report.add(Figure("restart", [value], aim=0.23))
    assert report.end() == code


def test_the_report_ends_with_tables_for_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "load_average", lambda: 0.25)
    report = Report(tmp_path / "figures.json")
    report.begin("bus-crash: a bus dies", patient=False)
    report.add(Figure("   stage: start", [0.1], aim=0.23, peer=[0.5, 0.7], note="dummies"))
    report.begin("nothing to see", patient=False)
    report.begin("host-loss: a server dies", patient=False)
    report.add(Figure("all of it elsewhere", [3.0], cited=6.9))
    report.end()
    said = capsys.readouterr().out
    table = said[said.index("### bus-crash"):].splitlines()
    assert table[0] == "### bus-crash: a bus dies"
    assert table[2].startswith("Load average 0.25; took ")
    assert table[6] == "| stage: start (dummies) | 0.100 s | 0.600 s (0.500..0.700, n=2) | 0.230 s: met |"
    assert "| all of it elsewhere | 3.000 s | 6.900 s (cited) |  |" in table
    assert "### nothing" not in said
