// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The past of one item, for its panel: a strip of colours of the last day, availability, and what happened to it last.

import { get, Refused } from "./api.js";
import { el, svg } from "./dom.js";
import { entryNode } from "./panel_past.js";
import { clock, kindOf, now, span } from "./words.js";

const NEWEST = 12; // entries that are listed
const FRESH = 15; // s that what was asked for serves

const kept = new Map(); // item -> {at, node}

/** A node that fills itself; asked for again when the panel is drawn later. */
export function pastOf(id) {
  const known = kept.get(id);
  if (known && now() - known.at < FRESH) return known.node;
  const node = known ? known.node : el("section", { class: "past", "aria-label": `The last day of item ${id}` });
  kept.clear();
  kept.set(id, { at: now(), node });
  fill(id, node);
  return node;
}

async function fill(id, node) {
  try {
    const [day, { story }] = await Promise.all([
      get("/availability?since=24h"),
      get(`/story?item=${encodeURIComponent(id)}&limit=${NEWEST}`),
    ]);
    const row = day.items.find((one) => one.item === id);
    node.replaceChildren(...(row ? [sum(row), strip(row, day)] : []), changes(story));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    node.replaceChildren(el("p", { class: "hint", text: error.message }));
  }
}

function sum(row) {
  const share = row.available === null ? "not watched" : `available ${row.available.toFixed(2)} %`;
  const out = row.outages ? `, ${row.outages} outages, ${span(row.out)} in all, the longest ${span(row.longest)}` : "";
  return el("p", { class: "since", text: `Last 24 h: ${share}${out}` });
}

/** Each piece of the day has the colour of its verdict; its height tells it too. */
function strip(row, { since, until }) {
  const heights = { good: 4, off: 4, wait: 12, warn: 14, unknown: 10, bad: 18 };
  const parts = row.pieces.map(([from, to, verdict]) => {
    const kind = verdict === "not watched" ? "none" : kindOf(verdict);
    const high = heights[kind] || 2;
    const title = svg("title", {});
    title.textContent = `${verdict} from ${clock(from)} for ${span(to - from)}`;
    return svg(
      "rect",
      { x: ((from - since) / (until - since)) * 1000, y: 20 - high, width: Math.max(1.5, ((to - from) / (until - since)) * 1000), height: high, class: kind },
      title,
    );
  });
  const says = row.pieces.map(([from, to, verdict]) => `${verdict} from ${clock(from, false)}`).slice(-8).join(", ");
  return svg("svg", { class: "strip", viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img", "aria-label": says }, ...parts);
}

function changes(story) {
  if (!story.length) return el("p", { class: "hint", text: "No change is known." });
  return el("ol", { class: "changes" }, ...story.reverse().map(entryNode));
}
