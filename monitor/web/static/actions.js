// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests that people may send about an item, a host or the site, and what each would do.

import { get } from "./api.js";
import { askFor } from "./asks.js";
import { instancesOf, isOpen, itemNamed, model, servicesOf, windowsOf } from "./model.js";
import { clock, listing } from "./words.js";

const names = (instances) => instances.map((instance) => instance.name);
const running = (instances) => instances.filter((instance) => instance.host);

/**
 * A question to the person: {title, verb, what(): sentences (may be a promise), request, reason: "" | "needed",
 * fields: [names], about, danger, undo: {text, wish()}: what ends it while it lasts, also: {text, act(reason)}: another way}. `what` may also give {sentences, force, confirm}: force names what must be agreed to,
 * by a click, or where `confirm` is a name, by writing it.
 */

export function start(id) {
  const list = servicesOf(id);
  return {
    title: `Start item ${id}?`,
    verb: "Start",
    about: id,
    request: { kind: "start", instances: names(list) },
    undo: { text: "Stop it…", wish: () => stop(id) },
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
    also: { text: `Ask ${holder.host} first`, act: (why) => askFor(id, why) },
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
