// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The page's data: the last status, the caller, and the selection.

import { isNormal, kindOf } from "./words.js";

export const model = {
  status: null,
  alarms: null, // the last list of alarms
  caller: { who: "", host: "", console: "", may: [] },
  dirty: null, // items that have changed since they were drawn; null: any may have
  index: null, // item -> names of its instances; null: to be made again
  stale: false, // what is shown is old
  unread: false, // because the monitor, which is there, cannot read the status
  busy: new Map(), // item or host -> what is being done
};

export const itemNamed = (id) => model.status.items.find((item) => item.item === id);
export const hostNamed = (name) => model.status.hosts.find((host) => host.host === name);

function index() {
  if (model.index) return model.index;
  model.index = new Map();
  for (const [name, { item }] of Object.entries(model.status.instances)) {
    if (!model.index.has(item)) model.index.set(item, []);
    model.index.get(item).push(name);
  }
  return model.index;
}

/** The instances of an item: [{name, …}], services first. */
export function instancesOf(id) {
  const names = index().get(id) || [];
  const found = names.map((name) => ({ name, ...model.status.instances[name] }));
  return found.sort((a, b) => a.on_request - b.on_request);
}

export const servicesOf = (id) => instancesOf(id).filter((instance) => !instance.on_request);
export const windowsOf = (id) => instancesOf(id).filter((instance) => instance.on_request);

/** Whether an item needs attention: items that run well or that a person stopped do not. */
export const needsLook = (item) => !isNormal(kindOf(item.verdict)) || item.paused;

export const isOpen = (instance) => Boolean(instance.host) && instance.state !== "stopped";

/** A host's state as it is shown: the ledger's word, and whether it answers. */
export function hostState(host) {
  return host.state === "up" && host.answer === "unreachable" ? "unreachable" : host.state;
}

/** Why nothing may be done from here; empty when it may. */
export function noAct() {
  if (model.stale && model.unread) return "The monitor cannot read the status: nothing can be done until it can.";
  if (model.stale) return "The monitor is silent: nothing can be done from here until it is back.";
  if (!model.caller.may.includes("act")) {
    return `${model.caller.who || "You"} may look, not act: only the owner of the monitor's state folder may.`;
  }
  return "";
}

/** Why nothing, or nothing of this row, can be opened from here; empty when it can. */
export function noOpen(row) {
  const why = noAct();
  if (row && row.per === "host" && !why && row.item !== model.caller.console) return `It opens on ${row.item} only.`;
  if (why || model.caller.console) return why;
  const where = model.caller.host ? `${model.caller.host}, which is no console` : "no host of this site";
  return `Nothing can be opened here: this page is viewed from ${where}. Use a console to open items.`;
}
