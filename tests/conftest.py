# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: processes below pytest's own folders end with the tests, and generated input is the same each time.

`make search` looks for other input.
"""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.integration import last_logs
from tests.leftovers import own

settings.register_profile("same", derandomize=True)
settings.register_profile("search", print_blob=True)
settings.load_profile("same")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background: what tests start would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _nothing_outlives_this_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    own(tmp_path_factory.getbasetemp(), keep=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += list(last_logs.shown())
    return report
