# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's configuration through the agent: written, swept, left alone; full disks and folders that refuse."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host import agent
from monitor.core.host.machine import files as machine_files
from monitor.core.host.machine import instance_files
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    gate,
    host_fixture,
    mode_of,
    only_supervisor,
    program,
    wait_for,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)], check=False)
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def available(host: Host) -> Path:
    return Path(host.root, "etc/available")


def test_files_get_what_differs_between_hosts_filled_in(host: Host) -> None:
    text = "listen @@address@@ @@host@@ @@root@@ @@site_id@@\n"
    host.extra_files = {"app_01/bus.conf": {"text": text, "mode": "0600"}}
    answer = host.act()
    assert answer["config"]["written"] == ["app_01/bus.conf"]
    path = available(host) / "app_01/bus.conf"
    assert path.read_text() == "listen %s.1.1 server_1 %s %s\n" % (NET, host.root, host.facts["site_id"])
    assert mode_of(str(path)) == 0o600 and mode_of(host.root) == 0o750


def test_the_observation_has_the_digest_until_a_file_is_changed(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.act()
    digest = machine_files.config_digest(host.config_files())
    assert host.observe()["config"] == digest
    name = host.config_names("app_01")[-1]
    path = available(host) / name
    path.touch()
    assert host.observe()["config"] == digest  # the text is what counts
    path.write_text(path.read_text() + "; mine\n")
    (available(host) / "notes.txt").write_text("do not forget\n")
    seen = host.observe()
    assert seen["config"] == ""
    assert seen["drift"] == ["etc/available/%s changed by somebody" % name]
    assert seen["foreign"] == ["etc/available/notes.txt"]


def test_an_instance_that_left_the_site_is_swept_and_foreign_files_stay(host: Host) -> None:
    for name in ("app_01", "app_02"):
        host.define(name, [program("bus", 1)])
        host.extra_files[name + "/settings.json"] = {"text": "{}", "mode": "0640"}
    host.act()
    (available(host) / "app_02/mine.txt").write_text("mine")
    del host.instances["app_02"], host.extra_files["app_02/settings.json"]
    answer = host.act()
    assert answer["config"]["removed"] == sorted([*host.config_names("app_02"), "app_02/settings.json"])
    assert answer["config"]["foreign"] == ["app_02/mine.txt"]
    assert sorted(p.name for p in available(host).iterdir()) == sorted(
        [".manifest.json", "app_01", *host.config_names("app_01"), "app_02"])


def test_an_act_without_anything_new_is_not_a_change(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    assert host.act()["changed"]
    path = available(host) / host.config_names("app_01")[-1]
    before = os.stat(path).st_mtime_ns
    assert not host.act()["changed"]
    assert os.stat(path).st_mtime_ns == before


def test_check_mode_tells_everything_and_touches_nothing(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    before = snapshot(host)
    answer = host.act(host.wish("start", "app_01", 1), check=True, diff=True)
    assert answer["changed"] and answer["config"]["written"] == host.config_names("app_01")
    for diff, name in zip(answer["diff"], host.config_names("app_01"), strict=True):
        assert diff["before_header"] == "/dev/null"
        assert diff["after_header"] == "%s/etc/available/%s" % (host.root, name)
        assert "bus" in diff["after"]
    assert answer["results"]["app_01"]["result"] == "running"
    assert snapshot(host) == before and host.processes("app_01") == []

    host.do("start", "app_01", 1)
    before = snapshot(host)
    assert not host.act(host.wish("start", "app_01", 1), check=True)["changed"]
    assert host.act(host.wish("restart", "app_01", 2), check=True)["changed"]
    stop = host.act(host.wish("stop", "app_01", 1), check=True)
    assert stop["changed"] and stop["results"]["app_01"]["result"] == "stopped"
    assert host.act(host.wish("stop", "app_01", 0), check=True)["results"]["app_01"]["result"] == "refused"
    assert snapshot(host) == before and len(host.processes("app_01")) == 1


def snapshot(host: Host) -> dict[str, tuple[int, int]]:
    found = {}
    for where, _, names in os.walk(host.root):
        for name in names:
            if "log" not in where and name != "supervisord.log":
                status = os.lstat(os.path.join(where, name))
                found[os.path.join(where, name)] = (status.st_mtime_ns, status.st_size)
    return found


def test_a_full_disk_is_one_sentence_and_the_old_configuration_stays_whole(host: Host, small_disk: Path) -> None:
    other = Host("server_2", NET + ".1.2", str(small_disk))
    try:
        other.prepare()
        other.extra_files = {"app_%02d.ini" % n: {"text": "; old %d\n" % n, "mode": "0640"} for n in range(20)}
        digest = other.act()["config"]["digest"]
        files = {name: {"text": "; new\n" + "x" * 400_000, "mode": "0640"} for name in other.extra_files}
        answer = agent.handle({"verb": "act", "host": other.facts, "instances": [],
                                "config": {"digest": "new", "files": files}})
        assert answer["config_error"].startswith("cannot write %s" % available(other))
        assert answer["config_error"].endswith(": No space left on device; what was there before is intact")
        assert {p.read_text() for p in available(other).glob("*.ini")} == {"; old %d\n" % n for n in range(20)}
        assert sorted(p.name for p in available(other).iterdir() if not p.name.endswith(".ini")) == [".manifest.json"]
        assert other.observe()["config"] == digest
    finally:
        other.close()


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as filler:
        for size in (65536, 512):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * size)


def test_a_full_disk_leaves_a_copy_that_is_to_be_restarted_alone(small_disk: Path) -> None:
    """It could be stopped, and not be started again."""
    other = Host("server_2", NET + ".1.2", str(small_disk))
    try:
        other.prepare()
        other.define("app_01", [program("bus", 1)])
        other.do("start", "app_01", 1)
        before = other.pids("app_01")
        fill(small_disk)
        result = other.do("restart", "app_01", 2, config=None)
        assert (result["result"], other.pids("app_01")) == ("refused", before)
        assert "No space left on device" in result["reason"]
        os.unlink(small_disk / "filler")
        assert other.do("restart", "app_01", 3)["result"] == "running"
    finally:
        other.close()


def test_a_disk_that_fills_up_during_a_start_does_not_hide_what_lives(small_disk: Path) -> None:
    """The start cannot be finished; the host keeps the processes that it started."""
    other = Host("server_2", NET + ".1.2", str(small_disk))
    try:
        other.prepare()
        greedy = "while dd if=/dev/zero bs=512 count=512; do :; done >>%s/filler 2>/dev/null; exit 3" % small_disk
        programs = [program("bus", 1), gate("check", 2, ["/bin/sh", "-c", greedy])]
        other.define("app_01", programs, strategy="abort")
        result = other.do("start", "app_01", 1)
        assert (result["result"], result["left"]) == ("failed", ["bus"]), result
        assert "check exited with 3" in result["reason"] and "No space left on device" in result["reason"]
        assert [p.program for p in other.processes("app_01")] == ["bus"]
    finally:
        other.close()


def test_a_configuration_that_cannot_be_written_keeps_no_stop_waiting(host: Host) -> None:
    for name in ("app_01", "app_02", "app_03"):
        host.define(name, [program("bus", 1)])
        if name != "app_03":
            host.do("start", name, 1)
    before = host.pids("app_02")
    (available(host) / "app_04").write_text("a file where a folder must be")
    host.extra_files = {"app_04/bus.conf": {"text": "x", "mode": "0640"}}
    results = host.act(host.wish("stop", "app_01", 1), host.wish("restart", "app_02", 2),
                       host.wish("start", "app_03", 1))["results"]
    assert {name: result["result"] for name, result in results.items()} == {
        "app_01": "stopped", "app_02": "refused", "app_03": "refused"}
    assert "cannot write" in results["app_02"]["reason"] and "cannot write" in results["app_03"]["reason"]
    assert host.processes("app_01") == [] and host.pids("app_02") == before and host.processes("app_03") == []
    assert "refused, cannot write" in (Path(host.root) / "log" / "muster.log").read_text()


def test_records_of_another_epoch_are_not_reported_for_the_running_copy(host: Host) -> None:
    """A start of a later epoch that never began: its file tells of that one."""
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    assert host.observe()["instances"]["app_01"]["digest"] == "d"
    later = {"epoch": 2, "digest": "e", "deferred": ["bus"], "failed": {"bus": "x"}}
    instance_files.write_seen(host.root, "app_01", later)
    seen = host.observe()["instances"]["app_01"]
    assert (seen["epoch"], seen["digest"], seen["deferred"], seen["failed"]) == (1, "", [], {})
    assert seen["last_epoch"] == 2


def test_a_full_disk_refuses_a_start_with_a_sentence_and_no_process(small_disk: Path) -> None:
    other = Host("server_2", NET + ".1.2", str(small_disk))
    try:
        other.prepare()
        other.define("app_01", [program("bus", 1)])
        other.act()
        fill(small_disk)
        result = other.do("start", "app_01", 1, config=None)
        assert (result["result"], result["changed"]) == ("refused", False), "it costs nothing, and starts elsewhere"
        assert "No space left on device" in result["reason"]
        assert other.processes("app_01") == []
        os.unlink(small_disk / "filler")
        assert other.do("start", "app_01", 1)["result"] == "running"
    finally:
        other.close()


def test_a_folder_that_cannot_be_written_is_one_sentence(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.act()
    (available(host) / "app_02").write_text("a file where a folder must be")
    files = {"app_02/bus.conf": {"text": "x", "mode": "0640"}}
    answer = agent.handle({"verb": "act", "host": host.facts, "config": {"digest": "n", "files": files}})
    assert answer["config_error"].startswith("cannot write %s/app_02" % available(host))
    assert "\n" not in answer["config_error"]
    assert (available(host) / host.config_names("app_01")[-1]).exists()


def test_a_thousand_items_are_written_in_well_under_the_time_that_rendering_them_takes(host: Host) -> None:
    text = "x" * 3000
    host.extra_files = {}
    for number in range(1000):
        host.extra_files["app_%04d.ini" % number] = {"text": text, "mode": "0640"}
        host.extra_files["app_%04d/bus.conf" % number] = {"text": text + "@@root@@", "mode": "0640"}
    files = host.extra_files
    config = {"digest": machine_files.config_digest(files), "files": files}
    request = {"verb": "act", "host": host.facts, "config": config}
    times = []  # of this process: what others compute meanwhile is no part of it
    for _ in range(2):
        began = time.process_time()
        answer = agent.handle(request)
        times.append(time.process_time() - began)
    assert answer["config"]["written"] == []
    began = time.process_time()
    assert host.observe()["config"] == request["config"]["digest"]
    times.append(time.process_time() - began)
    print("first %.2f s, again %.2f s, observe %.3f s" % tuple(times))
    assert times[0] < 5 and times[1] < 2 and times[2] < 1


@only_supervisor
def test_the_output_of_a_program_is_kept_within_bounds(host: Host) -> None:
    """1 MB, and three of that size before it."""
    talk = "dd if=/dev/zero bs=65536 count=64 2>/dev/null | tr '\\0' x"
    script = "while [ ! -e %s/var/enough ]; do %s; done; exec sleep infinity" % (host.root, talk)
    host.define("app_01", [program("talker", 1, ["/bin/sh", "-c", script])])
    host.do("start", "app_01", 1)
    folder = Path(host.root, "log", "app_01")
    wait_for(lambda: (folder / "talker.log.3").exists(), "the third old log")
    (Path(host.root) / "var" / "enough").touch()
    talker = Path("/proc/%d/comm" % host.pids("app_01")["talker"])

    def kept() -> dict[str, int] | None:
        """Name -> size; nothing while files still get new names."""
        with contextlib.suppress(FileNotFoundError):
            sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
            return sizes if talker.read_text() == "sleep\n" and "talker.log.3" in sizes else None
        return None

    sizes = wait_for(kept, "the end of the last rotation")
    assert sorted(sizes) == ["talker.log", "talker.log.1", "talker.log.2", "talker.log.3"]
    assert all(size < 3_000_000 for size in sizes.values()), sizes
