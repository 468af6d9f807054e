# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed configuration on a running site: a few items at a time, windows stay open, a failure stops it.

On the lab over twelve items, two at a time; here over three, since `test_rollout_faults.py` has twelve of them, too.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator

import pytest

from tests.integration.local_site import SERVICE_PROGRAMS, SiteLab, site_lab, wait_for
from tests.integration.rolling import DownAtMost, applications, light_models, record, words

PARALLEL = 2 if os.environ.get("MUSTER_TEST_SITE") == "lab" else 1
ITEMS = ["%02d" % number for number in range(1, 13 if PARALLEL > 1 else 4)]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]
WINDOWS = {"scen2_hci_01": "console_1", "scen2_hci_02": "console_2"}  # of the first items: these come last
CLOSED = SERVICES[2:]
LONG = 200.0  # s, on a busy machine


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    rules = {"max_parallel": PARALLEL, "hold_for": 0.5}
    with site_lab(77, ["console_1", "console_2"], muster_items=ITEMS, muster_applications=applications("one"),
                  muster_models=light_models(), muster_rollout=rules) as deployed:  # fmt: skip
        # Where the common bus was late, a reconcile starts what waits for it: there is no monitor.
        wait_for(lambda: all(deployed.whole(name) for name in SERVICES) or not deployed.good("reconcile"),
                 "all of it runs", lambda: deployed.muster("status").output, LONG)  # fmt: skip
        yield deployed


def test_a_refusal_is_said_once(lab: SiteLab) -> None:
    refused = lab.muster("rollout", "pause")
    assert refused.rc == 5 and refused.output.count("there is no rollout") == 1, refused.output


def test_a_change_of_all_items_takes_down_one_at_a_time_and_closes_no_window(lab: SiteLab) -> None:
    for name, console in WINDOWS.items():
        assert lab.muster("open", name[-2:], "--console", console).rc == 0
    windows = {name: lab.programs(name) for name in WINDOWS}
    lab.set(muster_applications=applications("two"))
    told = lab.muster("plan", "--deploy")
    assert told.rc == 0, told.output
    assert "which was edited since the last deploy" in told.output
    said = "restarts  %d instances in %d batches" % (len(ITEMS), 1 + -(-(len(ITEMS) - 1) // PARALLEL))
    assert said in told.output and "batch 1: scen2_srv_03\n" in told.output
    assert "window    scen2_hci_01 on console_1 stays open" in told.output
    changed = [line for line in told.output.splitlines() if line.startswith("  +") and "WORD=" in line]
    assert len(changed) == 2, told.output  # one of all services, on three hosts, and one of all windows
    assert "(the same in %d more: scen2_srv_" % (len(ITEMS) - 1) in told.output
    with DownAtMost(lab, SERVICES) as down:
        lab.good("deploy")
    assert down.samples > 20 and down.most == PARALLEL
    assert words(lab, "data_processing", SERVICES) == ["two"] * len(SERVICES)
    assert {name: lab.programs(name) for name in WINDOWS} == windows
    assert words(lab, "sensor_view", list(WINDOWS)) == ["one", "one"]
    shown = record(lab)
    assert shown["state"] == "done" and shown["batches"][0] == [CLOSED[0]]
    assert [name for batch in shown["batches"] for name in batch] == [*CLOSED, "scen2_srv_01", "scen2_srv_02"]

    status = lab.muster("status").output
    assert "for scen2_hci_01 and scen2_hci_02: taken when it is closed" in status
    assert lab.good("deploy").changed == 0
    one = lab.muster("restart", "--pending", "01")  # the item: its service has nothing pending
    assert one.rc == 0, one.output
    assert words(lab, "sensor_view", list(WINDOWS)) == ["two", "one"]
    lab.muster("close", "02")
    lab.muster("open", "02", "--console", "console_2")
    assert words(lab, "sensor_view", list(WINDOWS)) == ["two", "two"]
    assert "pending" not in lab.muster("status").output


def test_a_canary_that_fails_is_back_with_what_it_had_and_nothing_else_is_touched(lab: SiteLab) -> None:
    before = {name: lab.programs(name) for name in SERVICES}
    broken = applications("three", command=["/bin/false"])
    lab.set(muster_applications=broken)
    failed = lab.play("deploy")
    assert failed.rc != 0 and "rollout" in failed.output and "stopped" in failed.output, failed.output
    wait_for(lambda: set(lab.programs("scen2_srv_03")) >= SERVICE_PROGRAMS, "the canary is back")
    assert words(lab, "data_processing", SERVICES) == ["two"] * len(SERVICES)
    others = [name for name in SERVICES if name != "scen2_srv_03"]
    assert {name: lab.programs(name) for name in others} == {name: before[name] for name in others}
    shown = record(lab)
    assert (shown["state"], list(shown["failed"]), shown["returned"]) == (
        "stopped", ["scen2_srv_03"], ["scen2_srv_03"])  # fmt: skip

    assert lab.good("reconcile").changed == 0  # what the site describes does not come by itself


@pytest.mark.long
def test_a_saved_deploy_is_carried_out_exactly_or_not_at_all(lab: SiteLab) -> None:
    before, (folder, seen) = {name: lab.programs(name) for name in SERVICES}, lab.shared()
    path = seen + "/deploy.json"
    lab.set(muster_applications=applications("saved"))
    saved = lab.muster("plan", "--deploy", "--save", path)
    assert saved.rc == 0 and (folder / "deploy.json").exists(), saved.output
    lab.set(muster_applications=applications("other"))
    refused = lab.muster("apply", path)
    assert refused.rc == 5 and "does not fit any more" in refused.output, refused.output
    assert "inventory" in refused.output.partition("IN THE PLAN")[2] and refused.output.count("IN THE PLAN") == 1
    assert {name: lab.programs(name) for name in SERVICES} == before
    wrong = lab.play("apply", plan=path)
    assert wrong.rc != 0 and "use muster apply" in wrong.output, wrong.output
    lab.set(muster_applications=applications("saved"))
    applied = lab.muster("apply", path)
    assert applied.rc == 0, applied.output
    assert words(lab, "data_processing", SERVICES) == ["saved"] * len(SERVICES)
    assert lab.good("deploy").changed == 0
    again = lab.muster("apply", path)
    assert again.rc == 5, again.output


@pytest.mark.long
def test_what_was_reached_goes_back_when_a_person_says_so(lab: SiteLab) -> None:
    before = words(lab, "data_processing", SERVICES)
    lab.set(muster_applications=applications("four"))
    lab.good("deploy")
    assert words(lab, "data_processing", SERVICES) == ["four"] * len(SERVICES)
    back = lab.muster("rollout", "revert", "--why", "another day")
    assert back.rc == 0, back.output
    wait_for(lambda: lab.good("reconcile") and record(lab)["state"] == "done", "all of it has gone back",
             lambda: record(lab), LONG)  # fmt: skip
    assert words(lab, "data_processing", SERVICES) == before


@pytest.mark.long
def test_a_new_version_of_a_program_rolls_out_and_the_one_before_stays(lab: SiteLab) -> None:
    programs = lab.root("server_1").parent / "programs"  # of server_1
    shared, seen = lab.shared()

    def described(version: str) -> None:
        """A program of the role `programs`, in this version, in front of a program of the services."""
        folder = shared / ("processing-" + version)
        folder.mkdir()
        started = folder / "run"
        started.write_text(
            '#!/bin/sh\nWORD=%s; export WORD\nexec "$MUSTER_ROOT/bin/scen2/data_processing" "$@"\n' % version
        )
        started.chmod(0o755)
        archive = shared / ("processing-%s.tar.gz" % version)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(started, "run")
        checksum = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
        source = {"name": "processing", "from": "archive", "version": version, "checksum": checksum,
                  "archive": "%s/%s" % (seen, archive.name)}  # fmt: skip
        command = ["{{ program_dir.processing }}/run"]
        lab.set(programs_dir=os.path.dirname(lab.seen_root("server_1")) + "/programs", programs_sources=[source],
                muster_applications=applications("four", command=command))  # fmt: skip
        together = ["--limit", "server_1"] if PARALLEL == 1 else []  # the hosts of one machine share the folder
        lab.good("programs", *together)

    described("v1")
    lab.good("deploy")
    assert words(lab, "data_processing", SERVICES) == ["v1"] * len(SERVICES)
    described("v2")
    assert sorted(path.name for path in (programs / "processing").iterdir()) == ["v1", "v2"]
    assert words(lab, "data_processing", SERVICES) == ["v1"] * len(SERVICES)
    with DownAtMost(lab, SERVICES) as down:
        lab.good("deploy")
    assert down.most == PARALLEL
    assert words(lab, "data_processing", SERVICES) == ["v2"] * len(SERVICES)
    assert lab.muster("rollout", "revert", "--why", "slower").rc == 0
    wait_for(lambda: lab.good("reconcile") and record(lab)["state"] == "done", "all of it has gone back",
             lambda: record(lab), LONG)  # fmt: skip
    assert words(lab, "data_processing", SERVICES) == ["v1"] * len(SERVICES)
