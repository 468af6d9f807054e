// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Asking for a window that another console shows: the people there are asked on this page, and give it or not.

import { say } from "./act.js";
import { post, Refused } from "./api.js";
import { by, button, el, setParts, setText, shape } from "./dom.js";
import { model, noAct } from "./model.js";
import { now, span } from "./words.js";

let asks = []; // {id, item, instance, holder, console, who, why, at, until, silence}

export function takeAsks(list) {
  asks = list.asks;
}

/** Ask for the window of an item; the answer comes when the people there gave one, or were silent for too long. */
export async function askFor(item, why) {
  const note = say("wait", `You ask for item ${item} …`, true);
  try {
    const answer = await post("/asks", { item, why });
    say(answer.ok ? "good" : "bad", answer.said.join("; "), !answer.ok);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say("bad", `Item ${item} was not asked for: ${error.message}`, true);
  } finally {
    note.remove();
  }
}

export function drawAsks() {
  const mine = asks.filter((one) => one.holder === model.caller.console && one.until > now());
  setParts(by("asks"), JSON.stringify([mine, noAct()]), () => mine.map(node));
  for (const time of by("asks").querySelectorAll("[data-until]")) setText(time, span(Number(time.dataset.until) - now()));
}

function node(one) {
  const rule = one.silence === "give" ? "is given" : "stays here";
  return el(
    "p",
    { class: "band warn", data: { ask: one.id } },
    shape("warn"),
    el("b", { text: `${one.who} at ${one.console} asks for item ${one.item}` }),
    el("span", {}, one.why ? `${one.why}. ` : "", `Without an answer it ${rule} in `, el("time", { data: { until: one.until } }), "."),
    button("Give it", () => answer(one, "give"), { no: noAct() }),
    button("Keep it", () => answer(one, "keep"), { no: noAct() }),
  );
}

async function answer(one, word) {
  try {
    await post(`/asks/${encodeURIComponent(one.id)}`, { answer: word });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say("bad", `Your answer did not arrive: ${error.message}`, true);
  }
}
