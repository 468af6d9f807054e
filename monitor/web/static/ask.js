// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Asks before a request is sent.

import { act, say } from "./act.js";
import { person, post, Refused, setPerson } from "./api.js";
import { by, button, el, shape } from "./dom.js";
import { model, noAct } from "./model.js";

const LABELS = {
  until: "Until (2h, 14:00; empty: until it is ended by hand)",
  spread: "Difference of the loads that is left, in percent of a machine (empty: 20)",
  at_a_time: "How many move at a time (empty: one)",
};
const WHOLE = new Set(["at_a_time", "spread"]); // fields that are whole numbers

/** Carry out a wish of `actions.js`: at once, or after a question. */
export function want(wish) {
  const no = noAct() || wish.no;
  if (no) say("off", no);
  else if (wish.what) ask(wish);
  else act(wish, {});
}

/** `typed`: what was typed before, where it was refused for `why`. */
function ask(wish, typed = {}, why = "") {
  const dialog = by("ask");
  const back = document.activeElement;
  const needed = wish.reason === "needed";
  const must = wish.must || {}; // field -> what is said where it is missing
  const labels = { ...LABELS, ...wish.labels };
  const reason = el("input", {
    id: "reason",
    name: "why",
    maxlength: 500,
    autocomplete: "off",
    required: needed,
    value: typed.why || null,
    "aria-describedby": "ask-who",
  });
  const fields = (wish.fields || []).map((name) =>
    el("input", { id: `field-${name}`, name, autocomplete: "off", value: typed[name] || null,
      inputmode: WHOLE.has(name) ? "numeric" : null }),
  );
  const name = el("input", { id: "person", maxlength: 60, autocomplete: "name", value: person() || null });
  const list = el("ul", { class: "what" }, el("li", { text: "Asking the monitor …" }));
  const agree = el("div");
  const go = el("button", { type: "submit", class: wish.danger ? "go danger" : "go", text: wish.verb, disabled: true });
  const error = el("p", { class: "error", role: "alert", text: why ? `Refused: ${why}` : "" });
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "ask-title", text: wish.title }),
    el("h3", { text: "What would happen" }),
    list,
    agree,
    el("label", { for: "reason", text: wish.asks || (needed ? "Reason (needed)" : "Reason") }),
    reason,
    ...fields.flatMap((field) => [el("label", { for: field.id, text: labels[field.name] }), field]),
    el("label", { for: "person", text: `Your name, beside ${model.caller.who}` }),
    name,
    el("p", {
      id: "ask-who",
      class: "who",
      text: `In the trail: ${model.caller.who} from ${model.caller.host || "no host of this site"}`,
    }),
    error,
    el(
      "div",
      { class: "buttons" },
      button("Cancel", () => dialog.close(), { class: "cancel" }),
      ...(wish.also ? [button(wish.also.text, also)] : []),
      go,
    ),
  );
  dialog.replaceChildren(form);

  function also() {
    setPerson(name.value);
    dialog.close();
    wish.also.act(reason.value.trim());
  }

  tell(wish, list, agree, go);
  form.addEventListener("keydown", (event) => {
    // The reason has the focus at first: Enter alone, by habit, must not stop anything.
    if (event.key !== "Enter" || !wish.danger || reason.value.trim() || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    error.textContent = "Enter does it once there is a reason. Without one, use the button.";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    setPerson(name.value);
    const given = { why: reason.value.trim() };
    if (needed && !given.why) {
      error.textContent = "A reason is needed: it goes into the trail.";
      reason.focus();
      return;
    }
    for (const field of fields) {
      const text = field.value.trim();
      if (text) given[field.name] = WHOLE.has(field.name) && /^\d+$/.test(text) ? Number(text) : text;
    }
    if (agree.firstChild) given.force = true;
    if (agree.dataset.name) given.confirm = agree.dataset.name;
    const missing = fields.find((field) => field.name in must && !field.value.trim());
    if (missing) {
      error.textContent = must[missing.name];
      missing.focus();
      return;
    }
    if (fields.some((field) => field.name in given)) {
      go.disabled = true;
      error.textContent = await wrongIn({ ...(wish.requests || [wish.request])[0], ...given });
      go.disabled = false;
      if (error.textContent || !dialog.open) return;
    }
    dialog.close();
    act(wish, given, (before, wrong) => ask(wish, before, wrong));
  });
  dialog.addEventListener("close", () => goBack(back), { once: true });
  dialog.showModal();
  reason.focus();
}

/** What is wrong with a request, as far as it is known before it is sent, so that nothing has to be written again. */
async function wrongIn(request) {
  try {
    const answer = await post("/actions?dry_run=1", request);
    return answer.ok ? "" : answer.said.join("; ");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.message;
  }
}

/** Give the focus back to where it was; a button that was drawn again meanwhile is found by its text. */
function goBack(back) {
  const same =
    back &&
    !back.isConnected &&
    [...document.querySelectorAll("#detail button, #attention-list button")].find(
      (node) => node.textContent === back.textContent,
    );
  const other =
    document.querySelector("#detail:not([hidden]) button:not(.away)") ||
    document.querySelector('#matrix [tabindex="0"]');
  const target = back && back.isConnected ? back : same || other;
  if (target) target.focus();
}

/** Show what would happen. The button is enabled after that, and after agreement where something stays behind. */
async function tell(wish, list, agree, go) {
  let answer;
  try {
    answer = await wish.what();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    answer = [`What would happen is not known: ${error.message}`];
  }
  const { sentences, force, confirm } = Array.isArray(answer) ? { sentences: answer, force: [] } : answer;
  list.replaceChildren(...sentences.map((text) => el("li", { text })));
  go.disabled = force.length > 0;
  if (force.length) {
    const reasons = el("ul", { class: "what cannot" }, ...force.map((text) => el("li", {}, shape("warn"), text)));
    if (confirm) {
      const name = el("input", { id: "force", autocomplete: "off", spellcheck: "false" });
      name.addEventListener("input", () => (go.disabled = name.value.trim() !== confirm));
      agree.dataset.name = confirm;
      agree.replaceChildren(reasons, el("label", { for: "force", text: `If it is dead all the same, write ${confirm}` }), name);
    } else {
      const box = el("input", { type: "checkbox", id: "force", on: { change: () => (go.disabled = !box.checked) } });
      agree.replaceChildren(reasons, el("label", { class: "check" }, box, "Also though these cannot leave"));
    }
  }
}
