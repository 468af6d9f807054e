// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel of the past: what happened in some time, about an item, a host, a person or a word. Its address is a link.

import { addressOf, remember, shown } from "./address.js";
import { get, Refused } from "./api.js";
import { button, el, shape } from "./dom.js";
import { clock, kindOf, now, span, zone } from "./words.js";

const MOST = 300; // entries at once
const AROUND = 120; // s before and after a moment that a link shows
const FIELDS = [
  ["since", "From", "06:00, 2h, 2030-01-31 03:00"],
  ["until", "To", "now"],
  ["item", "Item", ""],
  ["host", "Host", ""],
  ["person", "Person", ""],
  ["word", "Word", ""],
];

export function pastPanel() {
  const inputs = FIELDS.map(([name, text, hint]) => {
    const input = el("input", { id: `past-${name}`, name, value: shown[name] || null, placeholder: hint || null, autocomplete: "off" });
    return [el("label", { for: input.id, text }), input];
  });
  const list = el("ol", { class: "changes", id: "past-list" });
  const said = el("p", { class: "hint", role: "status" });
  const form = el(
    "form",
    { class: "search", role: "search", "aria-label": "The past" },
    ...inputs.map((pair) => el("div", {}, ...pair)),
    el("div", { class: "buttons" }, el("button", { type: "submit", text: "Search" }), button("All", () => fill({}))),
  );
  const ask = () => look(list, said);
  function fill(values) {
    for (const [, input] of inputs) {
      input.value = values[input.name] || "";
      shown[input.name] = input.value.trim();
    }
    remember(true);
    ask();
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fill(Object.fromEntries(inputs.map(([, input]) => [input.name, input.value])));
  });
  ask();
  return [form, said, list];
}

async function look(list, said) {
  const query = new URLSearchParams({ limit: MOST });
  for (const [name] of FIELDS) if (shown[name]) query.set(name, shown[name]);
  said.textContent = "Looking …";
  try {
    const { story, more } = await get(`/story?${query}`);
    list.replaceChildren(...story.reverse().map(entryNode));
    const count = `${story.length} ${story.length === 1 ? "entry" : "entries"}, the newest first, times in ${zone()}`;
    said.textContent = more ? `${count}. There are more: choose a shorter time.` : count;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    list.replaceChildren();
    said.textContent = error.message;
  }
}

export function entryNode(entry) {
  const change = entry.kind === "change";
  const kind = change ? kindOf(entry.after) : "off";
  const text = change
    ? `${entry.what === "alarm" ? "" : `${entry.what} `}${entry.subject}: ${entry.before ? `${entry.before} (${span(entry.lasted)}) → ` : ""}${entry.after}`
    : entry.what;
  const who = [entry.who, entry.from ? `from ${entry.from}` : ""].filter(Boolean).join(" ");
  return el(
    "li",
    { data: { kind, entry: entry.kind } },
    el("a", {
      href: momentLink(entry.at),
      title: "A link to this moment",
      text: clock(entry.at),
    }),
    change ? shape(kind === "unknown" && entry.what === "alarm" ? "warn" : kind) : null,
    el("span", { text: ` ${text}${entry.why ? `: ${entry.why}` : ""}${entry.result ? ` → ${entry.result}` : ""}` }),
    who ? el("small", { text: ` ${who}` }) : null,
  );
}

/** The address of what happened around a moment. */
export const momentLink = (at) =>
  addressOf({ panel: "past", since: String(Math.floor(at - AROUND)), until: String(Math.ceil(Math.min(at + AROUND, now()))) });
