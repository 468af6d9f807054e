# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics that Prometheus scrapes. No clock, no I/O.

Names end in their unit; a host, item, instance or service is a label. Counters start at 0 with each start of the
monitor. A family without samples, and a sample whose value is not known, are left out.

Import `exposition` where metrics are asked for, not where the monitor starts: `prometheus_client` takes about 0.1 s to
import.
"""
