// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests about a host, and what each would do.

import { post } from "./api.js";
import { hostNamed } from "./model.js";
import { ago, clock } from "./words.js";

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
    undo: { text: "Call it off…", wish: () => undrain(name) },
    what: async () => {
      const answer = await post("/what-if", { drain: [name] });
      const stays = answer.waits.filter((wait) => !wait.already).map((wait) => wait.why);
      const said = moves(answer);
      if (!said.length && !stays.length) said.push(`Nothing runs on ${name}.`);
      said.push(`${name} takes no work until you choose Use again, or until the time given here.`);
      return { sentences: said, force: stays };
    },
  };
}

export function undrain(name) {
  const { state, planned_drain: planned } = hostNamed(name);
  if (state !== "drained" && planned)
    return {
      title: `Call off the drain of ${name}?`,
      verb: "Call the drain off",
      about: name,
      request: { kind: "undrain", host: name },
      what: () => [`${name} is not drained at ${clock(planned.since)}. What runs there stays there.`],
    };
  return {
    title: `Use ${name} again?`,
    verb: "Use again",
    about: name,
    no: state === "drained" ? "" : `${name} is not drained.`,
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
        `Confirm only if ${name} is switched off: its items start elsewhere. If it still runs, they run twice.`,
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
