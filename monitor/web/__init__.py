# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's HTTP API, for the page, for programs and for the command line.

Nothing here decides or acts: it reads the published state, and passes requests to `Monitor.ask`. It is imported only
where the site's settings switch the API on.
"""
