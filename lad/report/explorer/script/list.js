// The list of the questions that match, page by page.

import { SIGNS, element, quoted } from "./elements.js";
import { asksOfOrders } from "./filter.js";

export const PER_PAGE = 50;

/** A page of the list. `link(question)` is a question's address. */
export function questionList(cell, criteria, found, page, chosen, link) {
  const method = cell.methodOf(criteria.method);
  const first = page * PER_PAGE;
  const items = found.slice(first, first + PER_PAGE).map(({ question, orders }) =>
    element(
      "li",
      {},
      element(
        "a",
        { href: link(question), "aria-current": question === chosen ? "true" : null },
        element("span", { class: "caption" }, quoted(cell.caption(question))),
        strip(cell, method, question, asksOfOrders(criteria) ? orders : []),
      ),
    ),
  );
  return element("ol", { class: "questions", start: first + 1 }, ...items);
}

/** One sign for each order: what the method answered and whether that is right; orders that match are framed. */
function strip(cell, method, question, orders) {
  const signs = [];
  const said = [];
  for (let order = 0; order < cell.orders; order++) {
    if (!cell.wasShown(question, order)) continue;
    const outcome = cell.outcome(method, question, order);
    const answer = cell.answer(method, question, order);
    const sign = `${SIGNS[outcome] ?? "·"}${answer ? `c${answer}` : "–"}`;
    signs.push(element("span", { class: `sign ${outcome ?? ""} ${orders.includes(order) ? "matches" : ""}` }, sign));
    said.push(`${outcome ?? "answered"}: ${answer ? `candidate ${answer}` : "no answer"}`);
  }
  const label = `${cell.methods[method].name}, by order: ${said.join("; ")}`;
  return element("span", { class: "strip", role: "img", "aria-label": label, title: label }, ...signs);
}
