#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What `make lab-test` needs of the machine, as far as it can be installed here.
there() {
  for program in systemd-nspawn sshd nft sudo supervisord ip dbus-daemon Xvfb xauth openbox xwininfo xdotool import; do
    command -v "$program" || return
  done
  python3 -c 'import psutil, tkinter' || return
  [ -z "${LAB_DEBIAN:-}" ] || command -v mmdebstrap
}
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! there >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  # No sshd and no supervisord of this machine is to run because of that.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"; fi
  {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends systemd systemd-sysv systemd-container libpam-systemd dbus \
      openssh-server openssh-client tcsh iproute2 nftables util-linux sudo supervisor python3 python3-psutil libfaketime \
      ${LAB_DEBIAN:+mmdebstrap} ||
      echo "not all that the lab needs could be installed: its tests are skipped" >&2
    apt-get install -y -qq --no-install-recommends xvfb xauth openbox x11-utils xdotool imagemagick python3-tk \
      fonts-dejavu-core || echo "not all that windows need could be installed: their tests are skipped" >&2
  } >/dev/null
  [ -z "$policy" ] || rm -f "$policy"
fi
