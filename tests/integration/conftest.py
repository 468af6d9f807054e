# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests may run beside each other: a site of its own is a group, what shares fixed addresses is one group."""

from __future__ import annotations

import pytest

# These kits give their hosts and buses fixed addresses.
SHARED = ("hostkit", "listenerkit", "monitorkit", "probekit", "scen2_lab", "scen2_mqtt", "systemdkit", "apikit")
LONG_FIRST = ("test_faults_pairs", "test_monitor_faults", "test_req_hosts", "test_schedule_role", "test_discovery")


@pytest.hookimpl(tryfirst=True)  # the marks are read by xdist's own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    groups: dict[str, str] = {}
    for item in items:
        module = getattr(item, "module", None)
        name = module.__name__ if module is not None else item.nodeid
        if name not in groups:
            used = {getattr(value, "__module__", getattr(value, "__name__", "")) for value in vars(module).values()}
            groups[name] = "addresses" if used & set(SHARED) or name == "test_dummies" else name
        item.add_marker(pytest.mark.xdist_group(groups[name]))
    items.sort(key=lambda item: next((n for n, word in enumerate(LONG_FIRST) if word in item.nodeid), len(LONG_FIRST)))
