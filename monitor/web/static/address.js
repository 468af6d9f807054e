// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What the viewer has chosen to see. It is kept in the address, so that a bookmark or a screen on the wall holds it.

export const shown = {
  only: "", // "look": what is not normal; or a verdict
  text: "", // words that are looked for
  size: "", // large | rows | dense; empty: by the number of items
  order: "", // "worst": by severity; empty: fixed places
  group: "", // area | kind; empty: none
  wall: "", // seconds until the wall turns its page; empty: no wall
  panel: "", // what the panel shows: kind:name
  dialog: "", // what lies above the page: logs:NAME[/PROGRAM] or programs:NAME
  since: "", // the time that the past is searched in, and in what
  until: "",
  item: "",
  host: "",
  person: "",
  word: "",
};
const NAMES = Object.keys(shown);

let recalled = () => {};

/** `handler()`: the address has changed, by a link, by back or by forward. */
export function followAddress(handler) {
  recalled = handler;
  recall();
  for (const event of ["popstate", "hashchange"]) addEventListener(event, recall);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const name of NAMES) shown[name] = kept.get(name) || "";
  recalled();
}

/** Write what is shown into the address. `step`: back leads to what was shown before. */
export function remember(step = false) {
  const hash = addressOf(shown);
  if (hash === location.hash) return;
  const place = hash || location.pathname;
  if (step) history.pushState(null, "", place);
  else history.replaceState(null, "", place);
}

/** The address of a view: what differs from nothing chosen. */
export function addressOf(view) {
  const kept = new URLSearchParams();
  for (const name of NAMES) if (view[name]) kept.set(name, view[name]);
  return kept.size ? `#${kept}` : "";
}
