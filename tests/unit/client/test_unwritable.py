# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command shows cannot be written: a full disk, a closed descriptor, a reader that went away (`| head -1`)."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.core.client import api
from monitor.core.client.parser import seconds
from tests.unit.embedded_site import ROOT

BEGIN = """
import sys
from monitor.core.client import commands, terminal
class Remote:
    def follow(self, after=None):
        for number in range(1000):
            yield EVENT, {"id": number}
"""
PRINT = "sys.exit(terminal.guarded(lambda: print('x' * 9) or 0))"
ERROR = "sys.exit(terminal.guarded(lambda: print('x', file=sys.stderr) or 3))"
WATCH = "sys.exit(terminal.guarded(lambda: commands.watch(Remote(), lambda document: commands.say('seen')) or 0))"
FOLLOW = "sys.exit(terminal.guarded(lambda: commands.follow(Remote(), 1, lambda entry: commands.say('seen')) or 0))"


def ended(script: str, how: str, event: str = "") -> tuple[int, str]:
    """The exit code and standard error of a script, run by a shell with a redirection."""
    code = BEGIN.replace("EVENT", repr(event)) + script
    words = ["sh", "-c", '"$0" -c "$1" ' + how, sys.executable, code]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_sentence_and_a_failure() -> None:
    sentence = "muster: what is shown cannot be written: No space left on device\n"
    assert ended(PRINT, ">/dev/full") == (1, sentence)
    assert ended(ERROR, "2>/dev/full") == (3, ""), "what came of it is in the exit code"


def test_a_closed_descriptor_is_no_crash() -> None:
    assert ended(PRINT, ">&-") == (1, "muster: what is shown cannot be written: it is closed\n")
    assert ended(ERROR, "2>&-") == (3, "")
    assert ended(PRINT, "<&- 2>&-") == (0, "")


@pytest.mark.parametrize(
    ("script", "event"), [(WATCH, "status"), (WATCH, "alive"), (FOLLOW, "trail"), (FOLLOW, "alive"), (PRINT, "")]
)
def test_a_command_ends_when_nobody_reads_it_any_more(script: str, event: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    code = BEGIN.replace("EVENT", repr(event)) + script
    try:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, timeout=30,
                              check=False)  # fmt: skip
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "0", "-1", "-inf"])
def test_a_time_that_no_clock_can_wait_for_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)


def test_a_name_that_is_no_text_is_asked_for_byte_by_byte() -> None:
    assert api.quoted("a\udcff") == "a%FF"
