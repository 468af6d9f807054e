// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Sends a request, shows how far it is while it lasts, and then the answer.

import { get, post, Refused, remove } from "./api.js";
import { want } from "./ask.js";
import { by, button, el, setText, shape } from "./dom.js";
import { hostNamed, model } from "./model.js";
import { latestAbout } from "./story.js";
import { clock, listing, now, span } from "./words.js";

const SHOWN = 8000; // ms that good news stays
const PATIENCE = 20; // s that one question for the outcome takes at most
const MOST = 5; // messages at once
const EVERY = 1000; // ms between two looks how far it is

let redraw = () => {};
export const onChange = (handler) => (redraw = handler);

/** `again(given, why)`: ask again with what was typed, where it was refused. */
export async function act(wish, given, again = null) {
  const began = now();
  const subjects = [wish.about].flat().filter((about) => about !== null && about !== undefined);
  const called = `${wish.verb}${subjects.length ? ` ${listing(subjects, 6)}` : ""}`;
  const requests = wish.requests || [wish.request];
  for (const about of subjects) model.busy.set(about, wish.verb);
  const run = { wish, called, began, done: 0, of: requests.length, over: false, held: heldBy(wish), ticket: "" };
  const note = progress(run);
  redraw();
  const said = [];
  let wrong = "";
  try {
    for (const request of requests) {
      if (run.over) break;
      const answer = await outcome({ ...request, ...given }, run);
      if (!answer.ok) throw new Refused(answer.said.join("; ") || "the monitor did not say why");
      said.push(answer.said.join("; "));
      run.done += 1;
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wrong = error.message;
  } finally {
    clearInterval(note.timer);
    note.remove();
    for (const about of subjects) model.busy.delete(about);
    redraw();
  }
  const took = `(${(now() - began).toFixed(1)} s)`;
  const rest = run.done < run.of ? `; ${run.of - run.done} of ${run.of} were not begun` : "";
  if (wrong && run.withdrawn) say("off", `${wrong}${run.of > 1 ? rest : ""}`);
  else if (wrong) refused(`${called} was not done: ${wrong}`, again && (() => again(given, wrong)));
  else say("good", `${called}: ${said.filter(Boolean).join("; ") || "done"}${rest} ${took}`);
}

/** Wait for the outcome without holding one request open for as long as it takes. */
async function outcome(request, run) {
  let ticket = await post("/actions?wait=0", request);
  run.ticket = ticket.state === "running" ? ticket.id : "";
  run.taken = now();
  while (ticket.state === "running") ticket = await get(`/actions/${encodeURIComponent(ticket.id)}?wait=${PATIENCE}`);
  run.ticket = "";
  if (ticket.state === "failed") throw new Refused(ticket.error);
  return ticket.answer;
}

/** A message that tells how far it is, with what ends it where something does. */
function progress(run) {
  const text = el("p", {});
  const note = el("div", { class: "note wait" }, shape("wait"), text);
  const { wish } = run;
  const rest = () => {
    run.over = true;
    setText(text, `${run.called}: ends after what is under way`);
  };
  if (run.of > 1) note.append(button("Begin no more", rest));
  if (wish.undo) note.append(button(wish.undo.text, () => want(wish.undo.wish())));
  const back = button("Withdraw", () => withdraw(run), { hidden: true });
  note.append(back);
  const look = () => {
    if (!run.over) setText(text, `${run.called} … ${farOf(run)}`);
    back.hidden = !waits(run);
  };
  look();
  note.timer = setInterval(look, EVERY);
  put(note);
  return note;
}

/** Whether no run has begun it yet, as far as the page knows: the list of the status is at most as old as the status. */
function waits({ ticket, taken }) {
  if (!ticket) return false;
  return model.status.at < taken || (model.status.requests || []).some((one) => one.id === ticket);
}

/** Take back a request that waits for its turn. The answer to it then says so. */
async function withdraw(run) {
  const { ticket } = run;
  if (ticket && (await takeBack(ticket, run.called))) run.over = run.withdrawn = true; // of several, no further one
}

/** Whether a request was taken back; why not is said. */
export async function takeBack(id, called) {
  try {
    await remove(`/actions/${encodeURIComponent(id)}`, {});
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say("off", `${called}: ${error.message}`);
    return false;
  }
}

const heldBy = (wish) => (wish.request && wish.request.host && hostNamed(wish.request.host) || { instances: [] }).instances;

/** `4 of 12 have left, 14 s: stop scen2_srv_03 on server_1` */
function farOf(run) {
  const { wish, began, held } = run;
  const words = [];
  if (run.of > 1) words.push(`${run.done} of ${run.of}`);
  const names = (wish.request && wish.request.instances) || (wish.requests || []).flatMap((one) => one.instances || []);
  if (wish.verb === "Drain" && held.length) {
    const left = new Set((hostNamed(wish.request.host) || { instances: [] }).instances);
    words.push(`${held.filter((name) => !left.has(name)).length} of ${held.length} have left`);
  } else if (names.length > 1) {
    const known = names.map((name) => model.status.instances[name]).filter(Boolean);
    const settled = known.filter((one) => one.since > began && !["starting", "stopping"].includes(one.phase));
    words.push(`${settled.length} of ${names.length} done`);
  }
  words.push(span(now() - began));
  const last = latestAbout([...names, ...held, wish.request && wish.request.host].filter(Boolean), began);
  return `${words.join(", ")}${last ? `: ${last}` : ""}`;
}

function refused(text, again) {
  const note = say("bad", text, true);
  if (again)
    note.insertBefore(
      button("Again…", () => {
        note.remove();
        again();
      }),
      note.lastChild,
    );
}

/** Show a message: successes disappear after a while, errors stay until dismissed. */
export function say(kind, text, stays = false) {
  const note = el("div", { class: `note ${kind}` }, shape(kind), el("p", { text }), el("time", { text: clock(now()) }));
  note.append(button("Put away", () => note.remove(), { "aria-label": "Put this message away" }));
  put(note);
  if (!stays) setTimeout(() => note.remove(), SHOWN);
  return note;
}

function put(note) {
  by("said").append(note);
  while (by("said").children.length > MOST) (by("said").querySelector(".note:not(.wait)") || by("said").firstChild).remove();
}
