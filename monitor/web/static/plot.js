// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Plots of a host's load over time: the reserved load as an area, the measured load as lines, the limit dashed.

import { el, svg } from "./dom.js";
import { clock, percent } from "./words.js";

const AT = 0,
  CPU = 1,
  MEMORY = 2,
  RESERVED = 3,
  EFFECTIVE = 4;
const SHORTEST = 600; // s that a plot shows at least
const TORN = 200; // s between two points that are not joined: nothing was measured meanwhile

/** The lines of a plot: column, class, name. */
export const CURVES = [
  [RESERVED, "reserved", "reserved"],
  [CPU, "cpu", "processor"],
  [MEMORY, "memory", "memory"],
];

function pieces(points) {
  const found = [];
  for (const point of points) {
    const last = found[found.length - 1];
    if (last && point[AT] - last[last.length - 1][AT] <= TORN) last.push(point);
    else found.push([point]);
  }
  return found;
}

function scales(points, limit, width, height, until) {
  const from = Math.min(points.length ? points[0][AT] : until, until - SHORTEST);
  const top = Math.max(100, limit, ...points.map((point) => Math.max(point[CPU], point[RESERVED])));
  return {
    from,
    top,
    x: (at) => Math.round(((at - from) / (until - from)) * width * 10) / 10,
    y: (value) => Math.round((height - (Math.min(value, top) / top) * height) * 10) / 10,
  };
}

function curves(points, scale, height, until) {
  const drawn = [];
  for (const piece of pieces(points)) {
    const end =
      until - piece[piece.length - 1][AT] <= TORN ? [...piece, [until, ...piece[piece.length - 1].slice(1)]] : piece;
    const steps = end
      .map((point, at) => `${at ? `H${scale.x(point[AT])}V` : `M${scale.x(point[AT])} `}${scale.y(point[RESERVED])}`)
      .join("");
    drawn.push(svg("path", { class: "reserved", d: `${steps}V${height}H${scale.x(end[0][AT])}Z` }));
    for (const [column, name] of CURVES.slice(1)) {
      const line = end.map((point, at) => `${at ? "L" : "M"}${scale.x(point[AT])} ${scale.y(point[column])}`).join("");
      drawn.push(svg("path", { class: name, d: line }));
    }
  }
  return drawn;
}

/** A small one, without axes. */
export function spark(points, limit, until) {
  const width = 200,
    height = 44;
  const scale = scales(points, limit, width, height, until);
  return svg(
    "svg",
    { class: "plot spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...curves(points, scale, height, until),
    svg("path", { class: "limit", d: `M0 ${scale.y(limit)}H${width}` }),
  );
}

/** A large one, with axes, and the figures under the pointer. */
export function plot(points, limit, until) {
  const width = 400,
    height = 150,
    left = 34,
    below = 20;
  const scale = scales(points, limit, width - left, height, until);
  const ticks = [0, 0.5, 1].map((part) => Math.round(scale.top * part));
  const times = [0, 1 / 3, 2 / 3, 1].map((part) => scale.from + (until - scale.from) * part);
  const cursor = svg("path", { class: "cursor", d: "" });
  const area = svg(
    "g",
    { transform: `translate(${left} 8)` },
    ...ticks.map((value) => svg("path", { class: "grid", d: `M0 ${scale.y(value)}H${width - left}` })),
    ...curves(points, scale, height, until),
    svg("path", { class: "limit", d: `M0 ${scale.y(limit)}H${width - left}` }),
    cursor,
  );
  const labels = [
    ...ticks.map((value) =>
      svg("text", { x: left - 4, y: scale.y(value) + 12, "text-anchor": "end", text: `${value}` }),
    ),
    ...times.map((at, part) =>
      svg("text", {
        x: left + scale.x(at),
        y: height + below + 4,
        "text-anchor": ["start", "middle", "middle", "end"][part],
        text: clock(at, false).split(" ").pop(),
      }),
    ),
  ];
  const drawing = svg(
    "svg",
    {
      class: "plot large",
      viewBox: `0 0 ${width} ${height + below + 12}`,
      role: "img",
      "aria-label": "Load over time, percent",
    },
    area,
    ...labels,
  );
  const figures = el("p", { class: "figures", text: words(points[points.length - 1], limit) });
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const at =
      scale.from + ((((event.clientX - box.left) / box.width) * width - left) / (width - left)) * (until - scale.from);
    const near = points.reduce(
      (best, point) => (!best || Math.abs(point[AT] - at) < Math.abs(best[AT] - at) ? point : best),
      null,
    );
    if (!near) return;
    cursor.setAttribute("d", `M${scale.x(near[AT])} 0V${height}`);
    figures.textContent = words(near, limit);
  });
  return el("div", {}, drawing, figures);
}

function words(point, limit) {
  if (!point) return "Nothing was measured yet.";
  const effective = typeof point[EFFECTIVE] === "number" ? `, effective ${percent(point[EFFECTIVE])}` : "";
  const measured = `processor ${percent(point[CPU])}, memory ${percent(point[MEMORY])}${effective}`;
  return `${clock(point[AT])}: reserved ${percent(point[RESERVED])} of ${percent(limit)}, ${measured}`;
}
