#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What `make lab-test` needs of the machine, as far as it can be installed here.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
  ! { command -v systemd-nspawn && command -v sshd && command -v nft && command -v sudo && command -v supervisord &&
    command -v ip && command -v dbus-daemon && python3 -c 'import psutil'; } >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  # No sshd and no supervisord of this machine is to run because of that.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"; fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd systemd-sysv systemd-container dbus \
    openssh-server openssh-client iproute2 nftables util-linux sudo supervisor python3 python3-psutil libfaketime; } \
    >/dev/null || echo "not all that the lab needs could be installed: its tests are skipped" >&2
  [ -z "$policy" ] || rm -f "$policy"
fi
