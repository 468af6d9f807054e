# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What internal_data_bus and common_data_bus share (read by them with "."): which server $SCEN2_BUS asks for, and how it
# becomes this process.
set -f

cannot() {
    printf '%s\n' "$1" >&2
    exit 78
}

bus=${SCEN2_BUS:-nats}
etc=${MUSTER_ETC:-}
[ -n "$etc" ] || cannot "MUSTER_ETC is not set: this program is started by muster"
case $bus in
nats)
    server=${MUSTER_NATS_SERVER:-nats-server}
    setting=MUSTER_NATS_SERVER package=nats-server
    export GOMAXPROCS="${GOMAXPROCS:-1}" # saves memory and processor time at thirty buses a host
    ;;
mqtt)
    server=${MUSTER_MOSQUITTO:-/usr/sbin/mosquitto}
    setting=MUSTER_MOSQUITTO package=mosquitto
    ;;
*) cannot "SCEN2_BUS is '$bus': the buses of scen2 are nats and mqtt" ;;
esac
command -v "$server" >/dev/null ||
    cannot "$server is not there: install it (on Debian: apt install $package), or name another one as $setting in muster_environment"

serve() { # configuration: becomes the server
    # The first line of settings.json tells whether any fault was ordered, without reading JSON here.
    line=
    [ -r "$etc/settings.json" ] && IFS= read -r line <"$etc/settings.json"
    case $line in
    '' | '{"faults": {},') exec "$server" -c "$1" ;;
    *) exec "${MUSTER_PYTHON:-python3}" -E -s -S "${0%/*}/_faults.py" "$server" -c "$1" ;;
    esac
}

# Mosquitto reads no environment: bridges to brokers that only the start knows are added to its configuration, in the
# instance's own folder. One bridge per argument, joined to the first of its brokers that answers.
serve_bridged() { # "address:port [address:port...]"...
    [ $# -gt 0 ] || serve "$etc/bus.conf"
    text=$(cat "$etc/bus.conf")
    each=$(cat "$etc/bridge.conf")
    number=0
    for brokers; do
        number=$((number + 1))
        name=$MUSTER_INSTANCE.$MUSTER_HOST.$number # the names that a broker knows differ, or one bridge ends the other
        text="$text

connection $number
addresses $brokers
remote_clientid $name
local_clientid $name.local
$each"
    done
    printf '%s\n' "$text" >bus.conf.new && mv bus.conf.new bus.conf ||
        cannot "the bridges of $MUSTER_INSTANCE cannot be written to $PWD/bus.conf"
    serve "$PWD/bus.conf"
}
