# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of real hosts on this machine: booted systemd, real sshd, addresses of their own, and faults on command.

Words: a *host* of the lab is a systemd-nspawn container; the *switch* is a bridge in a network namespace without any
other link; the *desk* is a bare network namespace on the switch, for what a test itself asks over the network.
"""
