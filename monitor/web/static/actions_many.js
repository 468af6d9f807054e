// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// One request, or one after the other, about several items at once.

import * as actions from "./actions.js";
import { itemNamed } from "./model.js";
import { listing } from "./words.js";

const TOLD = 6; // items of which the dialog says what would happen

const unpaused = (id) => (itemNamed(id).paused ? null : actions.pause(id));
const paused = (id) => (itemNamed(id).paused ? actions.resume(id) : null);

export const startAll = (ids) => together("Start", ids, actions.start);
export const stopAll = (ids) => together("Stop", ids, actions.stop);
export const restartAll = (ids) => together("Restart", ids, actions.restart);
export const resetAll = (ids) => together("Reset", ids, actions.reset);
export const closeAll = (ids) => together("Close", ids, actions.close);
export const pauseAll = (ids) => together("Pause", ids, unpaused);
export const resumeAll = (ids) => together("Resume", ids, paused);

/** `act(id)`: the wish about one item, null where there is none. What cannot be done to one leaves the others alone. */
function together(verb, ids, act) {
  const wishes = ids.map((id) => act(id)).filter((wish) => wish && !wish.no);
  if (!wishes.length) return { about: ids, verb, no: `${verb}: there is nothing to do for what is selected.` };
  const about = wishes.map((wish) => wish.about);
  const left = ids.length - wishes.length;
  return {
    ...wishes[0],
    title: `${verb} ${wishes.length} item${wishes.length === 1 ? "" : "s"}?`,
    verb,
    about,
    danger: wishes.some((wish) => wish.danger),
    requests: joined(wishes.map((wish) => wish.request)),
    what: async () => {
      const answers = await Promise.all(wishes.slice(0, TOLD).map((wish) => wish.what()));
      const said = [...new Set(answers.flat())];
      if (wishes.length > TOLD) said.push(`The same for ${listing(about.slice(TOLD), 20)}.`);
      if (left) said.push(`Nothing is to be done for ${left} of the selected.`);
      return said;
    },
  };
}

/** Requests that name instances become one. */
function joined(requests) {
  if (!requests[0].instances) return requests;
  return [{ ...requests[0], instances: requests.flatMap((request) => request.instances) }];
}
