// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Words for states and times.

const KINDS = {
  operational: "good",
  running: "good",
  healthy: "good",
  up: "good",
  degraded: "warn",
  drained: "off",
  stopped: "off",
  paused: "off",
  "not in the site": "off",
  silent: "unknown",
  "not operational": "bad",
  failed: "bad",
  unhealthy: "bad",
  down: "bad",
  "not running": "bad",
  waiting: "wait",
  moving: "wait",
  "no room": "bad",
  starting: "wait",
  stopping: "wait",
  suspect: "warn",
  unknown: "unknown",
  unreachable: "unknown",
};

/** good | off: nothing to do; warn | wait | unknown | bad: not normal. */
export const kindOf = (word) => KINDS[word] || (word.startsWith("held back") ? "warn" : "unknown");
export const isNormal = (kind) => kind === "good" || kind === "off";

/** The worst first. */
export const VERDICTS = ["not operational", "unknown", "waiting", "degraded", "stopped", "operational"];

const SKEWED = 10; // s between two clocks that are worth a word
let known = false;
let ahead = 0; // s: how much the monitor's clock is ahead of this one

/** `sure`: the word came just now; an answer that took its time says little about clocks. */
export function setClock(at, sure = false) {
  ahead = at - Date.now() / 1000;
  known = known || sure;
}

export const now = () => Date.now() / 1000 + ahead;

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const ZONE = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

/** The time zone of all times here. */
export const zone = () => ZONE.formatToParts(new Date()).find((part) => part.type === "timeZoneName").value;

/** A sentence when the clock of this screen differs from the monitor's, whose times are shown; else empty. */
export function skew() {
  if (!known || Math.abs(ahead) < SKEWED) return "";
  return `this screen's clock is ${span(Math.abs(ahead))} ${ahead > 0 ? "behind" : "ahead of"} the monitor's`;
}

/** `14:03:07`, with the day when it is not today; the monitor's time, in the zone of this screen. */
export function clock(at, seconds = true, days = true) {
  if (!at) return "";
  const when = new Date(at * 1000);
  const text = seconds ? CLOCK.format(when) : CLOCK.format(when).slice(0, 5);
  return !days || when.toDateString() === new Date(now() * 1000).toDateString() ? text : `${DAY.format(when)} ${text}`;
}

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** `30 Nov` */
export const day = (at) => DATE.format(new Date(at * 1000));

/** `12 min` */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 90) return `${Math.floor(s)} s`;
  if (s < 5400) return `${Math.floor(s / 60)} min`;
  if (s < 129600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} days`;
}

export const ago = (at) => span(now() - at);

/** `a, b and c` */
export function listing(names, most = 8) {
  const all = [...names];
  const said = all.length > most ? [...all.slice(0, most - 1), `${all.length - most + 1} more`] : all;
  return said.length < 2 ? said.join("") : `${said.slice(0, -1).join(", ")} and ${said[said.length - 1]}`;
}

export const percent = (value) =>
  typeof value === "number" ? `${value < 10 && value % 1 ? value.toFixed(1) : Math.round(value)} %` : "–";

/** `3.4 GiB` */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
