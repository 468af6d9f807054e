// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What one shift tells the next, to read and to print.

import { get, Refused } from "./api.js";
import { by, el, setText } from "./dom.js";
import { clock, setClock, span, zone } from "./words.js";

const said = (entry) =>
  `${clock(entry.at, false)} ${entry.who}: ${entry.what}${entry.why ? `: ${entry.why}` : ""}${
    entry.result && entry.result !== "note" ? ` -> ${entry.result}` : ""
  }`;

const PARTS = [
  ["Not normal", (d) => [...d.items.map((i) => `item ${i.item}: ${i.word}${i.cause ? `: ${i.cause}` : ""}`), ...d.hosts.map((h) => `${h.host}: ${h.state} ${h.evidence}`)]],
  ["Alarms", (d) => d.alarms.map((a) => `${a.priority} ${clock(a.raised, false)} ${a.says} (${a.state})`)],
  ["Alarms of a drill", (d) => d.drills.map((a) => `${a.priority} ${clock(a.raised, false)} ${a.says} (${a.suppressed})`)],
  ["Held back", (d) => d.held],
  ["Outages", (d) => d.outages.map((r) => `item ${r.item}: ${r.outages}, ${span(r.out)} in all, the longest ${span(r.longest)}`)],
  ["What people did", (d) => d.requests.map(said)],
  ["Notes", (d) => d.notes.map(said)],
];

async function show() {
  setText(by("error"), "");
  try {
    const document = await get(`/handover?since=${encodeURIComponent(by("when").value.trim())}`);
    setClock(document.at);
    setText(by("title"), `Hand-over of ${document.site}, ${clock(document.since, false)} to ${clock(document.at, false)} ${zone()}`);
    by("parts").replaceChildren(
      ...PARTS.map(([title, lines]) => {
        const found = lines(document);
        const list = found.length ? found : ["nothing"];
        return el("section", {}, el("h2", { text: title }), el("ul", {}, ...list.map((text) => el("li", { text }))));
      }),
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(by("error"), error.message);
  }
}

by("since").addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
show();
