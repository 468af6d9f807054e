// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The alarm list: what nobody has acknowledged on top, by priority, with what to do; and what is new since one looked.

import { acknowledge, shelve, unshelve } from "./actions_site.js";
import { get, Refused } from "./api.js";
import { want } from "./ask.js";
import { by, button, el, setAttr, setParts, setText, shape } from "./dom.js";
import { drawDrills } from "./drills.js";
import { model, noAct } from "./model.js";
import { drawSound, ring } from "./sound.js";
import { ago, clock, listing, now, span } from "./words.js";

const KINDS = { high: "bad", medium: "warn", low: "wait" };
const LOUD = ["unacknowledged", "came and went"];
const LOOKED = "muster-looked"; // kept on this screen: {at, id} of the last entry of the past that was seen
const BELOW = 20; // of what follows from a cause, in the list

const open = new Set(); // alarms that are shown in full
let news = "";
let asked = -1; // the id up to which the news were asked for

export function takeAlarms(document) {
  model.alarms = document;
  if (!localStorage.getItem(LOOKED)) look();
  tellNews();
}

/** A person has looked: from now on only what comes is new. */
function look() {
  localStorage.setItem(LOOKED, JSON.stringify({ at: now(), id: model.alarms.last }));
  news = "";
}

function looked() {
  try {
    return JSON.parse(localStorage.getItem(LOOKED)) || { at: 0, id: 0 };
  } catch {
    return { at: 0, id: 0 };
  }
}

async function tellNews() {
  const { at, id } = looked();
  if (model.alarms.last <= id || model.alarms.last === asked) return;
  asked = model.alarms.last;
  try {
    const { past } = await get(`/past?after=${id}&limit=1000`);
    const count = (what, test = () => true) => new Set(past.filter((e) => e.what === what && test(e)).map((e) => e.subject));
    const alarms = count("alarm", (entry) => LOUD.includes(entry.after));
    const items = count("item");
    const hosts = count("host");
    const words = [
      alarms.size ? `${alarms.size} alarm${alarms.size > 1 ? "s" : ""}` : "",
      items.size ? `changes of ${items.size > 1 ? "items" : "item"} ${listing(items, 5)}` : "",
      hosts.size ? `of ${hosts.size > 1 ? "hosts" : "host"} ${listing(hosts, 4)}` : "",
    ].filter(Boolean);
    news = words.length ? `Since you looked at ${clock(at, false)}: ${words.join(", ")}` : "";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    asked = -1;
  }
}

export function drawAlarms() {
  const { alarms } = model.alarms;
  const loud = alarms.filter((alarm) => LOUD.includes(alarm.state));
  const shown = alarms.filter((alarm) => alarm.state !== "suppressed");
  setText(by("alarms-title"), titleOf(loud, shown));
  setAttr(by("alarms"), "data-loud", loud.length ? loud[0].priority : null);
  by("alarm-all").hidden = loud.length < 2;
  by("alarm-all").onclick = () => want(acknowledge(loud.map((alarm) => alarm.id)));
  setParts(by("news"), news, () => (news ? [el("span", { text: news }), button("Seen", seen)] : []));
  by("news").hidden = !news;
  setParts(by("alarm-list"), JSON.stringify([shown, [...open], noAct()]), () => shown.map(node));
  for (const time of by("alarm-list").querySelectorAll("[data-since]")) setText(time, ago(Number(time.dataset.since)));
  by("alarm-list").hidden = !shown.length;
  drawDrills();
  drawRates();
  drawSound();
  ring(loud);
}

function seen() {
  look();
  drawAlarms();
}

function titleOf(loud, shown) {
  if (!shown.length) return "No alarms";
  return loud.length ? `Alarms: ${loud.length} new` : "Alarms";
}

function drawRates() {
  const { rates, alarms } = model.alarms;
  const hidden = alarms.filter((alarm) => alarm.state === "suppressed" && alarm.reason !== "drill").length;
  const bad = Object.entries(rates).filter(([, figure]) => !figure.ok);
  const words = { lately: "in 10 min", average: "in 10 min on average", peak: "in the worst 10 min", standing: "standing", chattering: "chattering" };
  const text = bad.map(([name, figure]) => `${figure.value} ${words[name]} (EEMUA 191: ${figure.limit})`).join(", ");
  setText(by("rates"), text ? `Too many: ${text}` : "");
  setText(by("hidden-alarms"), hidden ? `${hidden} suppressed by design` : "");
}

function node(alarm) {
  const kind = KINDS[alarm.priority];
  const loud = LOUD.includes(alarm.state);
  const whole = open.has(alarm.id);
  const more = button(whole ? "Less" : "More", () => toggle(alarm.id), {
    class: "more",
    "aria-expanded": String(whole),
    "aria-label": `${whole ? "Less" : "More"} about ${alarm.says}`,
  });
  const acts = [];
  if (loud) acts.push(button("Acknowledge", () => want(acknowledge([alarm.id])), { no: noAct(), class: "ack" }));
  if (alarm.state === "shelved")
    acts.push(button("Unshelve", () => want(unshelve(alarm.shelved.about)), { no: noAct() }));
  else acts.push(button("Shelve…", () => want(shelve(alarm)), { no: noAct() }));
  return el(
    "li",
    { class: "alarm", data: { id: alarm.id, kind, loud: loud ? "yes" : "no", state: alarm.state } },
    el("span", { class: "mark" }, shape(kind)),
    el("b", { class: "priority", text: alarm.priority }),
    el("time", { text: clock(alarm.raised), datetime: new Date(alarm.raised * 1000).toISOString() }),
    el("span", { class: "says", text: alarm.says }),
    el("span", { class: "state-word" }, stateOf(alarm)),
    el("span", { class: "do" }, ...acts, more),
    loud && alarm.do ? el("p", { class: "advice", text: `To do: ${alarm.do}` }) : null,
    whole ? details(alarm) : null,
  );
}

function stateOf(alarm) {
  const often = alarm.often > 1 ? ` · ${alarm.often} times` : "";
  const chatter = alarm.chattering ? " · chatters" : "";
  if (alarm.state === "came and went") return `over after ${span(alarm.cleared - alarm.raised)}${often}`;
  if (alarm.state === "acknowledged") return `seen by ${alarm.acknowledged.by}${often}${chatter}`;
  if (alarm.state === "shelved") return `shelved until ${clock(alarm.shelved.until, false)}`;
  return `NEW${often}${chatter}`;
}

function details(alarm) {
  const fact = (name, text) => (text ? el("div", { class: "row" }, el("dt", { text: name }), el("dd", { text })) : null);
  const { acknowledged, shelved } = alarm;
  return el(
    "div",
    { class: "all" },
    el(
      "dl",
      {},
      fact("why", alarm.detail),
      fact("since", `${clock(alarm.raised)}${alarm.cleared ? `, over at ${clock(alarm.cleared)}` : ""}`),
      fact("often", alarm.often > 1 ? `${alarm.often} times since ${clock(alarm.first)}` : ""),
      fact("seen", acknowledged ? `${acknowledged.by} at ${clock(acknowledged.at)} ${acknowledged.why || ""}` : ""),
      fact("shelved", shelved ? `${shelved.by} until ${clock(shelved.until)} ${shelved.why || ""}` : ""),
      fact("to do", alarm.do),
    ),
    alarm.below.length
      ? el(
          "ul",
          { class: "under", "aria-label": "What follows from it" },
          ...alarm.below.slice(0, BELOW).map(([what, says]) => el("li", {}, el("b", { text: what }), ` ${says}`)),
          alarm.below.length > BELOW ? el("li", { text: `${alarm.below.length - BELOW} more` }) : null,
        )
      : null,
  );
}

function toggle(id) {
  if (!open.delete(id)) open.add(id);
  drawAlarms();
  const row = by("alarm-list").querySelector(`[data-id="${CSS.escape(id)}"] .more`);
  if (row) row.focus();
}
