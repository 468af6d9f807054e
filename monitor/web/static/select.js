// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A selection of items, and requests about all of them at once.

import * as many from "./actions_many.js";
import { want } from "./ask.js";
import { by, button, el, setParts } from "./dom.js";
import { itemNamed, model, noAct } from "./model.js";
import { listing } from "./words.js";

const picked = new Set();
let on = false; // a click selects, it does not open
let last = ""; // from here Shift selects
let redraw = () => {};

/** `handler()`: the selection has changed. */
export const onPick = (handler) => (redraw = handler);

export const picking = () => on || picked.size > 0;
export const isPicked = (id) => picked.has(id);

export function togglePicking() {
  on = !picking();
  if (!on) picked.clear();
  redraw();
}

/** Take an item into the selection, or out of it; `far`: all between it and the last one. `order`: as they are shown. */
export function pick(id, far, order) {
  const [from, to] = [order.indexOf(last), order.indexOf(id)];
  if (far && from >= 0) for (const one of order.slice(Math.min(from, to), Math.max(from, to) + 1)) picked.add(one);
  else if (!picked.delete(id)) picked.add(id);
  last = id;
  redraw();
}

function pickAll(order) {
  for (const id of order) picked.add(id);
  redraw();
}

export function endPicking() {
  if (!picking()) return false;
  on = false;
  picked.clear();
  redraw();
  return true;
}

/** The line below the items, while there is a selection. */
export function drawSelection(order) {
  for (const id of [...picked]) if (!itemNamed(id)) picked.delete(id);
  const bar = by("selection");
  bar.hidden = !picking();
  if (bar.hidden) return;
  const ids = [...picked];
  const acts = [
    ["Start…", many.startAll],
    ["Stop…", many.stopAll],
    ["Restart…", many.restartAll],
    ["Reset…", many.resetAll],
    ["Close…", many.closeAll],
    ["Pause…", many.pauseAll],
    ["Resume…", many.resumeAll],
  ];
  setParts(bar, JSON.stringify([ids, noAct(), model.stale]), () => [
    el("b", { text: ids.length ? `${ids.length} selected` : "Select items: click, Space, or Shift and click" }),
    el("span", { class: "which", text: listing(ids, 12) }),
    ...acts.map(([text, act]) =>
      button(text, () => want(act(ids)), { no: noAct() || (ids.length ? "" : "No item is selected.") }),
    ),
    el("span", { class: "grow" }),
    button("All shown", () => pickAll(order())),
    button("None", endPicking),
  ]);
}
