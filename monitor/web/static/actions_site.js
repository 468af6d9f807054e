// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests about the whole site, conflicts and alarms, and what each would do.

import { get, post } from "./api.js";
import { model } from "./model.js";

export const siteStop = () => ({
  title: "Stop the whole site?",
  verb: "Stop",
  about: null,
  danger: true,
  request: { kind: "site_stop" },
  what: () => [
    `Everything ends: ${Object.values(model.status.instances).filter((one) => one.host).length} applications run now.`,
    "What is wanted of each service stays as it is, and nothing starts until somebody starts the site.",
    "Windows are closed for good.",
  ],
});

export const siteStart = () => ({
  title: "Start the site again?",
  verb: "Start",
  about: null,
  request: { kind: "site_start" },
  what: () => ["What ran when the site was stopped starts again, where it ran. Windows stay closed."],
});

export const rebalance = () => ({
  title: "Even out the load?",
  verb: "Even out",
  about: null,
  fields: ["spread", "at_a_time"],
  request: { kind: "rebalance" },
  what: async () => (await post("/actions?dry_run=1", { kind: "rebalance" })).said,
});

export function reconcile() {
  return {
    title: "Look at every host and repair what differs?",
    verb: "Repair",
    about: null,
    request: { kind: "reconcile" },
    what: async () => {
      const plan = await get("/plan");
      const done = plan.actions.filter((action) => action.action !== "hold" && action.action !== "refuse");
      const said = done.map((action) => `${action.action} ${action.instance || action.host}: ${action.reason}.`);
      return said.length ? said : ["As far as is known now, nothing differs: nothing would be done."];
    },
  };
}

/** A note for the others, about {item} or {host}; about the site with neither. */
export function note(subject = {}) {
  const [name = "the site"] = Object.values(subject);
  return {
    title: `A note about ${subject.item ? `item ${name}` : name}`,
    verb: "Note",
    about: null,
    asks: "Note",
    reason: "needed",
    request: { kind: "note", ...subject },
    what: () => ["What you write stands in the trail and in the hand-over. Nothing is done."],
  };
}

export function resolve(conflict, keep) {
  return {
    title: `End the conflict about ${conflict.instance}?`,
    verb: `Keep ${keep}`,
    about: conflict.instance,
    danger: true,
    request: { kind: "resolve", instances: [conflict.instance], keep },
    what: () => [conflict.why, `Only the copy on ${keep} stays; every other one is stopped.`],
  };
}

export function shelve(alarm) {
  return {
    title: `Shelve this alarm?`,
    verb: "Shelve",
    about: null,
    request: { kind: "shelve", ids: [alarm.id] },
    fields: ["until"],
    labels: { until: "For how long, or until when (30min, 2h, 14:00)" },
    must: { until: "Say for how long: nothing is shelved for good." },
    what: () => [
      `${alarm.says}.`,
      "It makes no sound and is not counted as new until then. It stays in the list, and is heard again afterwards if its cause is still there.",
    ],
  };
}

/** `about`: host:server_2 or item:02. */
export function drill(about) {
  const name = about.startsWith("host:") ? about.slice(5) : `item ${about.slice(5)}`;
  return {
    title: `A drill on ${name}?`,
    verb: "Begin the drill",
    about: null,
    reason: "needed",
    request: { kind: "drill_begin", ids: [about] },
    fields: ["until"],
    labels: { until: "Until when, or for how long (15:00, 2h)" },
    must: { until: "Say until when: a drill ends by itself." },
    what: () => [
      `What fails on ${name} until then is shown apart as part of the drill: it makes no sound, and tells nobody by a hook.`,
      "Everything else is as ever: what fails is repaired or moved. What still fails at the end is an alarm then.",
    ],
  };
}

export const endDrill = (one) => ({
  about: null,
  verb: "End the drill on",
  request: { kind: "drill_end", ids: [one.about] },
});

export const unshelve = (about) => ({ about: null, verb: "Unshelve", request: { kind: "unshelve", ids: [about] } });

export const acknowledge = (ids) => ({ about: null, verb: "Acknowledge", request: { kind: "acknowledge", ids } });
