// The form: which cell is looked at, and what its questions are filtered by.

import { choice, element } from "./elements.js";
import { ANYTHING } from "./filter.js";

const OUTCOMES = [["", "right or wrong"], ["right", "right"], ["wrong", "wrong"]];

/** The choice of a cell. */
export function cellChoice(cells, chosen, onchange) {
  const options = cells.map(({ model, dataset, setting, n, probe, questions }, number) => [
    String(number),
    `${model} on ${dataset}, ${setting}, N = ${n}, asked by ${probe} (${questions} questions)`,
  ]);
  const made = choice("Cell", "cell", options, String(chosen), (value) => onchange(Number(value)));
  made.classList.add("wide");
  return made;
}

/** The filters of a cell. `onchange` gets the criteria whenever one of them changes. */
export function filters(cell, criteria, onchange) {
  const now = { ...criteria };
  const changed = (key) => (value) => {
    now[key] = value;
    onchange({ ...now });
  };
  const methods = cell.methods.map(({ id, name }) => [id, name]);
  const positions = cell.facts.identifiers.map((identifier, k) => [String(k + 1), named(k + 1, identifier)]);
  const diverging = cell.logits >= 0 && cell.attention >= 0;
  const known = "relevance" in cell.content.arrays || cell.content.arrays.target.some((target) => target > 0);
  const pick = (label, key, options) => choice(label, key, options, now[key], changed(key));
  const text = element("input", {
    type: "search",
    name: "text",
    value: now.text,
    placeholder: "caption or id",
    oninput: () => changed("text")(text.value),
  });
  const parts = [
    pick("Method", "method", methods),
    known ? pick("It is", "outcome", OUTCOMES) : null,
    pick("Its answers", "flips", [["", "flip or stay"], ["yes", "flip between orders"], ["no", "stay the same"]]),
    pick("It answers", "answered", [["", "any position"], ...positions]),
    pick("And method", "other", methods),
    known ? pick("That is", "otherOutcome", OUTCOMES) : null,
    known ? pick("Target at", "target", [["", "any position"], ...positions]) : null,
    diverging
      ? pick("Logits and attention", "divergence", [["", "agree or not"], ["yes", "disagree"], ["no", "agree"]])
      : null,
    pick("This holds in", "every", [["", "one order or more"], ["yes", "every order"]]),
    element("label", {}, element("span", {}, "Search"), text),
    pick("Sorted", "sort", [
      ["", "as asked"],
      ["flips", "most different answers first"],
      ["confidence", "least probable target first", !known],
    ]),
  ];
  const reset = element("button", { type: "button", onclick: () => onchange(startOf(cell), true) }, "Clear filters");
  return element("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, ...parts, reset);
}

/** The criteria that a cell starts with: nothing is asked for. */
export function startOf(cell) {
  const first = cell.methods[Math.max(0, cell.logits)]?.id ?? "";
  const second = cell.methods[Math.max(0, cell.methodOf("agd"))]?.id ?? "";
  return { ...ANYTHING, method: first, other: second };
}

/** The same criteria as far as another cell can be asked them. */
export function fitted(cell, criteria) {
  const start = startOf(cell);
  const kept = { ...start, ...criteria };
  for (const key of ["method", "other"]) if (cell.methodOf(kept[key]) < 0) kept[key] = start[key];
  for (const key of ["answered", "target"]) if (!(Number(kept[key]) <= cell.n)) kept[key] = "";
  if (cell.logits < 0 || cell.attention < 0) kept.divergence = "";
  return kept;
}

function named(position, identifier) {
  return String(position) === identifier ? `position ${position}` : `position ${position} (${identifier})`;
}
