// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The wall: letters that are read from afar, no buttons, and pages that turn by themselves.

import { shown } from "./address.js";
import { by, setText } from "./dom.js";

let turned = 0; // when the last page was turned; ms

/** Call it now and then. */
export function drawWall() {
  const on = Boolean(shown.wall);
  document.body.classList.toggle("wall", on);
  by("page").hidden = !on;
  const matrix = by("matrix");
  matrix.style.maxHeight = "";
  if (!on) return;
  const step = pageOf(matrix);
  matrix.style.maxHeight = `${step}px`; // no row is cut at its edge
  const pages = Math.max(1, Math.ceil(matrix.scrollHeight / step));
  const at = Math.min(pages - 1, Math.round(matrix.scrollTop / step));
  const seconds = Math.max(3, Number(shown.wall) || 0);
  const now = performance.now();
  if (!turned) turned = now;
  if (pages > 1 && now - turned >= seconds * 1000) {
    turned = now;
    matrix.scrollTop = ((at + 1) % pages) * step;
  }
  setText(by("page"), pages > 1 ? `page ${(Math.round(matrix.scrollTop / step) % pages) + 1} of ${pages}` : "");
}

/** The height of the rows that are shown in full. */
function pageOf(matrix) {
  const tops = [...matrix.querySelectorAll(".item")].map((row) => row.offsetTop);
  const high = Math.max(...tops.slice(1).map((top, at) => top - tops[at]), 1);
  return tops.length > 1 ? Math.max(high, Math.floor(matrix.clientHeight / high) * high) : matrix.clientHeight || 1;
}
