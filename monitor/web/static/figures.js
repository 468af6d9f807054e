// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What one program used over the last hours: a plot for each figure, with how fast it grows, so that a leak is seen.

import { get, Refused } from "./api.js";
import { el, svg } from "./dom.js";
import { clock } from "./words.js";

const TORN = 200; // s between two points that are not joined: nothing was known meanwhile
const WIDTH = 320;
const HEIGHT = 70;
const MIB = 1048576;
const SHOWN = [
  { column: "cpu", name: "Processor", text: (value) => `${value.toFixed(1)} %` },
  { column: "memory", name: "Memory", text: (value) => `${(value / MIB).toFixed(1)} MiB` },
  { column: "threads", name: "Threads", text: (value) => String(Math.round(value)) },
  { column: "files", name: "Open files", text: (value) => String(Math.round(value)) },
];

/** Fill `place` with the plots of a program. */
export async function showFigures(place, instance, program) {
  place.replaceChildren(el("h3", { text: `${program}, the last 12 hours` }));
  try {
    const { columns, programs } = await get(`/programs/past?name=${encodeURIComponent(`${instance}/${program}`)}`);
    const one = programs[0];
    if (one.points.length < 2) {
      place.append(el("p", { class: "cause", text: "Not enough is known yet: a point is kept each minute." }));
      return;
    }
    const age = columns.indexOf("age");
    place.append(
      el("div", { class: "plots" }, ...SHOWN.map((figure) => curve(figure, columns.indexOf(figure.column), age, one))),
      el("p", { class: "cause", text: restarts(one) }),
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place.append(el("p", { class: "cause", text: error.message }));
  }
}

const restarts = (one) =>
  one.starts ? `It was started again ${one.starts === 1 ? "once" : `${one.starts} times`}: there the lines are cut.` : "";

function growth(figure, one) {
  const hourly = one.growth[figure.column];
  if (hourly === undefined) return "";
  if (hourly === null) return "; its growth is known half an hour after the start";
  const signed = `${hourly < 0 ? "−" : "+"}${figure.text(Math.abs(hourly))}`;
  return `; ${signed} an hour since its start`;
}

function curve(figure, column, age, one) {
  const points = one.points.filter((point) => point[column] !== null);
  const about = one.figures[figure.column];
  if (!points.length || !about) {
    return el("figure", {}, el("figcaption", { text: `${figure.name}: not known` }));
  }
  const from = one.points[0][0];
  const until = one.points[one.points.length - 1][0];
  const top = about.most || 1;
  const x = (at) => (((at - from) / Math.max(1, until - from)) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - (value / top) * (HEIGHT - 4)).toFixed(1);
  let line = "";
  points.forEach((point, number) => {
    const before = points[number - 1];
    const cut = !before || point[0] - before[0] > TORN || point[age] < before[age];
    line += `${cut ? "M" : "L"}${x(point[0])} ${y(point[column])}`;
  });
  const words = `${figure.name}: ${figure.text(about.last)} now, at most ${figure.text(about.most)}${growth(figure, one)}`;
  return el(
    "figure",
    {},
    svg(
      "svg",
      { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      svg("path", { class: "cpu", d: line }),
    ),
    el("div", { class: "ends" }, el("span", { text: clock(from, false) }), el("span", { text: clock(until, false) })),
    el("figcaption", { text: words }),
  );
}
