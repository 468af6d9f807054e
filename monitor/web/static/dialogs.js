// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What lies above the page and is part of the address: the logs, and the programs of an instance. Back closes what a
// click has opened; a link opens it again.

import { remember, shown } from "./address.js";

const KINDS = new Map(); // kind -> {open(name), close(), name(): what it is about, empty while it is closed}

/** The first kind lies below the next. */
export const tellDialog = (kind, one) => KINDS.set(kind, one);

const address = (kind, name) => `${kind}:${name}`;

/** A dialog shows this now. `step`: back leads to what was shown before. */
export function opened(kind, name, step = true) {
  if (shown.dialog === address(kind, name)) return;
  shown.dialog = address(kind, name);
  remember(step);
}

/** A person has closed a dialog: what lies below is shown. */
export function closed(kind) {
  if (!shown.dialog.startsWith(address(kind, ""))) return; // the address asked for it
  const [below] = [...KINDS].filter(([, one]) => one.name()).reverse();
  shown.dialog = below ? address(below[0], below[1].name()) : "";
  remember(true);
}

/** Show what the address says. */
export function followDialogs() {
  const [kind, ...rest] = shown.dialog.split(":");
  const name = rest.join(":");
  const kinds = [...KINDS.keys()];
  const at = kinds.indexOf(kind);
  for (const [other, one] of [...KINDS].reverse()) if (kinds.indexOf(other) > at && one.name()) one.close();
  if (at >= 0 && name && KINDS.get(kind).name() !== name) KINDS.get(kind).open(name);
}
