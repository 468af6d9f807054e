// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The load of hosts over time: asked for when somebody looks at it, then continued by the status.

import { get, Refused } from "./api.js";
import { model } from "./model.js";

const COARSE = 120; // points of a small plot
const MOST = 720; // points that are kept
const APART = 9; // s between two points at least
const AGAIN = 60000; // ms until it is asked for again after a refusal

const known = new Map(); // host -> {points, fine: whether all of them, asked: ms}
let redraw = () => {};
export const onHistory = (handler) => (redraw = handler);

/** What is known of a host's load, [[at, cpu, memory, reserved, effective]]; asks for it where it is not yet. */
export function historyOf(host, fine = true) {
  const entry = known.get(host) || { points: [], fine: false, asked: 0 };
  known.set(host, entry);
  const missing = !entry.asked || (fine && !entry.fine);
  if (missing && Date.now() - entry.asked > (entry.fine === null ? AGAIN : 0) && !entry.busy) ask(host, entry, fine);
  return entry.points;
}

export const lengthOf = (host) => (known.get(host) || { points: [] }).points.length;

async function ask(host, entry, fine) {
  entry.busy = true;
  entry.asked = Date.now();
  try {
    const answer = await get(`/history?host=${encodeURIComponent(host)}${fine ? "" : `&points=${COARSE}`}`);
    entry.points = answer.hosts[host] || [];
    entry.fine = fine;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    entry.fine = null;
  } finally {
    entry.busy = false;
    redraw();
  }
}

/** Add the loads of the status, so that curves grow without another request. */
export function growHistory() {
  for (const host of model.status.hosts) {
    const entry = known.get(host.host);
    if (!entry || host.answer !== "seen" || !host.at || typeof host.load.cpu !== "number") continue;
    const { points } = entry;
    const last = points.length ? points[points.length - 1][0] : 0;
    if (host.at - last <= APART) continue;
    points.push([host.at, host.load.cpu, host.load.memory, host.reserved, null]);
    if (points.length > MOST) points.shift();
  }
}

/** What was measured while nothing was heard is asked for again when somebody looks. */
export function forgetHistory() {
  known.clear();
}
