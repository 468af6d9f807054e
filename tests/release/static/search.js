// SPDX-FileCopyrightText: muster contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Pages that hold every word, those with a word in their title first.
function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return [];
  const rated = pages.map((page) => {
    const title = page.title.toLowerCase();
    const text = page.text.toLowerCase();
    const all = wanted.every((word) => title.includes(word) || text.includes(word));
    const score = wanted.reduce((sum, word) => sum + (title.includes(word) ? 100 : 0) + text.split(word).length - 1, 0);
    return { page, score: all ? score : 0, at: text.indexOf(wanted[0]) };
  });
  return rated.filter((entry) => entry.score).sort((a, b) => b.score - a.score).slice(0, 12);
}
const field = document.getElementById("search");
const list = document.getElementById("found");
field.addEventListener("input", () => {
  list.replaceChildren(...search(field.value).map(({ page, at }) => {
    const entry = document.createElement("li");
    const link = document.createElement("a");
    link.href = document.body.dataset.up + "/" + page.page;
    link.textContent = page.title;
    const near = document.createElement("small");
    near.textContent = at < 0 ? "" : page.text.slice(Math.max(0, at - 40), at + 80);
    entry.append(link, near);
    return entry;
  }));
});
