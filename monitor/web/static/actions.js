// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests that people may send about an item, a host or the site, and what each would do.

import { get, post } from "./api.js";
import { hostNamed, instancesOf, isOpen, itemNamed, model, servicesOf, windowsOf } from "./model.js";
import { ago, clock, listing } from "./words.js";

const names = (instances) => instances.map((instance) => instance.name);
const running = (instances) => instances.filter((instance) => instance.host);

/**
 * A question to the person: {title, verb, what(): sentences (may be a promise), request, reason: "" | "needed",
 * fields: [names], about, danger}. `what` may also give {sentences, force, confirm}: force names what must be agreed to,
 * by a click, or where `confirm` is a name, by writing it.
 */

export function start(id) {
  const list = servicesOf(id);
  return {
    title: `Start item ${id}?`,
    verb: "Start",
    about: id,
    request: { kind: "start", instances: names(list) },
    what: async () => {
      const answer = await get(`/explain/${encodeURIComponent(id)}`);
      return list.map((instance) => {
        if (instance.phase === "running") return `${instance.name} runs on ${instance.host} already.`;
        const entry = answer.applications.find((one) => one.instance === instance.name) || {};
        if (entry.choice) return `${instance.name} starts on ${entry.choice}. ${entry.rule}.`;
        const why = (entry.candidates || []).map((candidate) => candidate.why);
        return `${instance.name} finds no place now and waits: ${listing(why) || "it may run nowhere"}.`;
      });
    },
  };
}

export function stop(id) {
  const list = servicesOf(id);
  return {
    title: `Stop item ${id}?`,
    verb: "Stop",
    about: id,
    danger: true,
    request: { kind: "stop", instances: names(list) },
    what: () => {
      const said = list.map((instance) => {
        const programs = Object.keys(instance.programs || {});
        const which = programs.length ? ` (${listing(programs)})` : "";
        return instance.host
          ? `${instance.name} on ${instance.host} ends${which}.`
          : `${instance.name} runs nowhere; it is not started any more.`;
      });
      said.push("It stays stopped, over deploys and reboots, until somebody starts it.");
      for (const window of windowsOf(id).filter(isOpen))
        said.push(`The windows on ${window.host} stay open, without services behind them.`);
      return said;
    },
  };
}

export function restart(id) {
  const list = running(servicesOf(id));
  return {
    title: `Restart item ${id}?`,
    verb: "Restart",
    about: id,
    danger: true,
    no: list.length ? "" : `No service of item ${id} runs: start it instead.`,
    request: { kind: "restart", instances: names(list) },
    what: () => [
      ...list.map((instance) => `${instance.name} stops on ${instance.host} and starts there again, in its stages.`),
      "The item is not operational meanwhile.",
    ],
  };
}

export function reset(id) {
  const failed = instancesOf(id).filter((instance) => instance.phase === "failed" || instance.failures);
  return {
    title: `Reset item ${id}?`,
    verb: "Reset",
    about: id,
    no: failed.length ? "" : `Nothing of item ${id} has failed: there is nothing to forget.`,
    request: { kind: "reset", instances: names(failed) },
    what: () =>
      failed.map((instance) => {
        const why = instance.reason ? ` Last: ${instance.reason}` : "";
        const wanted = "if it is wanted, it is tried again at once";
        return `${instance.failures} failures of ${instance.name} are forgotten; ${wanted}.${why}`;
      }),
  };
}

export function pause(id) {
  if (id !== null && itemNamed(id).paused) return resume(id);
  const what = id === null ? "the whole site" : `item ${id}`;
  return {
    title: `Pause ${what}?`,
    verb: "Pause",
    about: id,
    fields: ["until"],
    request: { kind: "pause", ...(id === null ? { site: true } : { item: id }) },
    what: () => [
      `muster leaves ${what} to people: nothing of it is restarted, moved or started by itself, whatever fails.`,
      "What runs goes on. People's own requests are still carried out.",
    ],
  };
}

export function resume(id) {
  const what = id === null ? "the whole site" : `item ${id}`;
  return {
    title: `Resume ${what}?`,
    verb: "Resume",
    about: id,
    request: { kind: "resume", ...(id === null ? { site: true } : { item: id }) },
    what: () => [`muster looks after ${what} again: what is wanted and does not run is started.`],
  };
}

export const siteStop = () => ({
  title: "Stop the whole site?",
  verb: "Stop",
  about: null,
  danger: true,
  request: { kind: "site_stop" },
  what: () => [
    `Everything ends: ${running(Object.values(model.status.instances)).length} applications run now.`,
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

/** Open an item: without a question, unless it is open on another console. */
export function open(id) {
  const here = model.caller.console;
  const holder = windowsOf(id).find((instance) => isOpen(instance) && instance.host !== here);
  const request = { kind: "open", item: id };
  const by = (holder && (holder.wanted || {}).by) || "somebody";
  if (!holder) return { about: id, verb: "Open", request };
  return {
    title: `Take item ${id} over from ${holder.host}?`,
    verb: "Take over",
    about: id,
    danger: true,
    reason: "needed",
    request: { ...request, take: true },
    what: () => [
      `${holder.name} is open on ${holder.host} since ${clock(holder.since)}, asked for by ${by}.`,
      `Its windows there are closed, then they open here on ${here}.`,
    ],
  };
}

export function close(id) {
  const list = windowsOf(id).filter(isOpen);
  const elsewhere = list.filter((instance) => instance.host !== model.caller.console);
  return {
    title: `Close the windows of item ${id}?`,
    verb: "Close",
    about: id,
    danger: elsewhere.length > 0,
    no: list.length ? "" : `Item ${id} is open on no console.`,
    request: { kind: "close", instances: names(list) },
    what: () =>
      list.map((instance) => {
        const whose = elsewhere.includes(instance) ? ": that is not this console" : "";
        return `${instance.name} on ${instance.host} ends${whose}. The services go on.`;
      }),
  };
}

export function drain(name) {
  const host = hostNamed(name);
  return {
    title: `Drain ${name}?`,
    verb: "Drain",
    about: name,
    danger: true,
    fields: ["until", "at_a_time"],
    no: host.state === "drained" ? `${name} is drained already.` : "",
    request: { kind: "drain", host: name },
    what: async () => {
      const answer = await post("/what-if", { drain: [name] });
      const stays = answer.waits.filter((wait) => !wait.already).map((wait) => wait.why);
      const said = moves(answer);
      if (!said.length && !stays.length) said.push(`Nothing runs on ${name}.`);
      said.push(`${name} is not used any more until it is taken back, or until the time given here.`);
      return { sentences: said, force: stays };
    },
  };
}

export function undrain(name) {
  return {
    title: `Use ${name} again?`,
    verb: "Use again",
    about: name,
    no: hostNamed(name).state === "drained" ? "" : `${name} is not drained.`,
    request: { kind: "undrain", host: name },
    what: async () => {
      const said = moves(await post("/what-if", { undrain: [name] }));
      return said.length ? said : [`${name} takes new work again. What runs elsewhere stays there.`];
    },
  };
}

/** Also for a host that is believed down and still holds something: only a person's confirmation frees its windows. */
export function confirmDown(name) {
  const host = hostNamed(name);
  return {
    title: `Is ${name} dead?`,
    verb: "It is down",
    about: name,
    danger: true,
    reason: "needed",
    no: host.state === "down" && !host.instances.length ? `${name} is believed down already, and holds nothing.` : "",
    request: { kind: "confirm_down", host: name },
    what: async () => {
      const answer = await post("/what-if", { down: [name] });
      const at = answer.answers[name];
      const alive = at ? [`${name} answered at ${clock(at)}, ${ago(at)} ago: what runs there would run twice.`] : [];
      const sentences = [
        `Only say so when nothing can run on ${name} any more: what it held is started elsewhere, and would run twice.`,
        ...moves(answer),
        ...answer.waits.filter((wait) => !wait.already).map((wait) => wait.why),
      ];
      return { sentences, force: alive, confirm: name };
    },
  };
}

function moves(answer) {
  const starts = answer.actions.filter((action) => action.action === "start");
  const stops = answer.actions.filter((action) => action.action === "stop" && !action.target);
  return [
    ...stops.map((action) => `${action.instance} ends on ${action.host}: ${action.reason}.`),
    ...starts.map((action) => `${action.instance} goes to ${action.host}: ${action.reason}.`),
  ];
}

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

export const acknowledge = (ids) => ({ about: null, verb: "Acknowledge", request: { kind: "acknowledge", ids } });
