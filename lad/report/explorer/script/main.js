// The page: what is looked at, its address, and the keys. An address names a cell, a question and the filters:
// #model/dataset/setting/N/probe/question?method=agd&outcome=wrong; a question's id alone finds a cell that has it.

import { Cell } from "./cell.js";
import { unpack } from "./blocks.js";
import { element } from "./elements.js";
import { ANYTHING, asksOfOrders, matching } from "./filter.js";
import { cellChoice, filters, fitted, startOf } from "./form.js";
import { PER_PAGE, questionList } from "./list.js";
import { questionView } from "./question.js";

const KEYS = [
  ["j or →", "next question"],
  ["k or ←", "question before"],
  ["n, p", "next page of the list, page before"],
  ["/", "search"],
  ["f", "to the filters"],
  ["Esc", "to the list"],
  ["?", "these keys"],
];

const index = await unpack("index");
const place = {
  cells: element("div"),
  form: element("div"),
  status: element("p", { role: "status", class: "status" }),
  list: element("div", { class: "list", tabindex: "-1" }),
  pages: element("nav", { class: "pages", "aria-label": "Pages of the list" }),
  question: element("div", { class: "view" }),
  help: element("dialog", { "aria-label": "Keys" }),
};
const state = { number: -1, cell: null, criteria: null, found: [], question: -1, page: 0, drawn: 0 };

function addressOf(question, criteria = state.criteria) {
  const { model, dataset, setting, n, probe } = state.cell.facts;
  const names = [model, dataset, setting, n, probe];
  if (question >= 0) names.push(state.cell.id(question));
  const start = startOf(state.cell);
  const asked = Object.entries(criteria).filter(([key, value]) => value !== start[key]);
  const query = asked.length ? `?${new URLSearchParams(asked)}` : "";
  return `#${names.map(encodeURIComponent).join("/")}${query}`;
}

/** Go where the address points; to the first question of the first cell where it names none. */
async function followAddress() {
  const [path, query] = location.hash.slice(1).split("?");
  const names = path.split("/").map(decoded);
  const asked = Object.fromEntries([...new URLSearchParams(query)].filter(([key]) => key in ANYTHING));
  const id = names.length === 6 ? names[5] : names.length === 1 ? names[0] : "";
  let number = index.cells.findIndex((cell) =>
    ["model", "dataset", "setting", "n", "probe"].every((key, k) => String(cell[key]) === names[k]),
  );
  if (number < 0 && names.length === 1 && id) number = await cellWith(id);
  const unknown = number < 0 && path !== "";
  if (number < 0) number = state.number < 0 ? index.preferred[0] : state.number;
  await openCell(number, asked);
  const question = state.cell.questionOf(id);
  const first = state.found.length ? state.found[0].question : -1;
  await openQuestion(question >= 0 ? question : first, { listed: question < 0 });
  if (unknown || (id && question < 0)) place.status.append(" The address names no question of this page.");
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone per cent sign, say
  }
}

async function cellWith(id) {
  for (const number of index.preferred) {
    if ((await unpack(index.cells[number].block)).ids.includes(id)) return number;
  }
  return -1;
}

async function openCell(number, asked) {
  if (state.number !== number) {
    Object.assign(state, { number, cell: await Cell.read(index, index.cells[number]) });
    place.cells.replaceChildren(cellChoice(index.cells, number, (chosen) => changeCell(chosen)));
  }
  state.criteria = fitted(state.cell, asked);
  place.form.replaceChildren(filters(state.cell, state.criteria, changeCriteria));
  list();
}

async function changeCell(number) {
  const { model, dataset, setting, n, probe } = index.cells[number];
  const query = location.hash.split("?")[1];
  const names = [model, dataset, setting, n, probe].map(encodeURIComponent).join("/");
  history.pushState(null, "", `#${names}${query ? `?${query}` : ""}`);
  await followAddress();
}

/** Filter anew; `rebuild` also the form. The question stays where it still matches. */
async function changeCriteria(criteria, rebuild = false) {
  state.criteria = criteria;
  if (rebuild) place.form.replaceChildren(filters(state.cell, criteria, changeCriteria));
  list();
  const kept = state.found.some(({ question }) => question === state.question);
  const question = kept || !state.found.length ? state.question : state.found[0].question;
  history.replaceState(null, "", addressOf(question));
  await openQuestion(question, { listed: !kept });
}

/** Find what matches, and say how much that is. */
function list() {
  const { cell, criteria } = state;
  state.found = matching(cell, criteria);
  const orders = state.found.reduce((sum, { orders }) => sum + orders.length, 0);
  const inOrders = asksOfOrders(criteria) ? ` in ${orders.toLocaleString("en")} orders` : "";
  const share = cell.questions ? Math.round((100 * state.found.length) / cell.questions) : 0;
  place.status.textContent =
    `${state.found.length.toLocaleString("en")} of ${cell.questions.toLocaleString("en")} questions match${inOrders} (${share} %).`;
}

/** Draw the page of the list on which the question stands, or the same page as before. */
function drawList(page) {
  const { cell, criteria, found, question } = state;
  const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  state.page = Math.min(Math.max(0, page), pages - 1);
  place.list.replaceChildren(questionList(cell, criteria, found, state.page, question, addressOf));
  const turn = (name, by) =>
    element("button", { type: "button", disabled: !(state.page + by in [...Array(pages)]), onclick: () => drawList(state.page + by) }, name);
  keepInSight(place.list.querySelector("[aria-current]"));
  place.pages.hidden = pages === 1;
  place.pages.replaceChildren(turn("‹ Before", -1), `page ${state.page + 1} of ${pages}`, turn("Next ›", 1));
}

/** Scroll the list, and not the page, to where the question is. */
function keepInSight(link) {
  if (!link) return;
  const { top, bottom } = link.getBoundingClientRect();
  const box = place.list.getBoundingClientRect();
  if (top < box.top) place.list.scrollTop += top - box.top;
  else if (bottom > box.bottom) place.list.scrollTop += bottom - box.bottom;
}

async function openQuestion(question, { listed = false } = {}) {
  state.question = question;
  const at = state.found.findIndex((one) => one.question === question);
  drawList(at >= 0 ? Math.floor(at / PER_PAGE) : state.page);
  // On a phone either the list or the question is on the screen.
  place.question.parentElement?.classList.toggle("reading", !listed);
  await drawQuestion();
}

async function drawQuestion() {
  const mine = ++state.drawn;
  const { cell, question, criteria } = state;
  if (question < 0) return place.question.replaceChildren(element("p", {}, "No question matches. Clear a filter."));
  const matched = state.found.find((one) => one.question === question)?.orders ?? [];
  const view = await questionView(cell, question, criteria, matched, drawQuestion);
  if (mine !== state.drawn) return; // another question was asked for meanwhile
  place.question.replaceChildren(toolbar(matched.length > 0), view);
}

function toolbar(isFound) {
  const at = state.found.findIndex((one) => one.question === state.question);
  const said = isFound ? `${at + 1} of ${state.found.length}` : "does not match the filters";
  return element(
    "nav",
    { class: "toolbar", "aria-label": "Questions" },
    element("button", { type: "button", class: "back", onclick: toList }, "‹ List"),
    element("button", { type: "button", disabled: at <= 0, onclick: () => step(-1) }, "‹ Before"),
    element("span", {}, said),
    element("button", { type: "button", disabled: at >= state.found.length - 1, onclick: () => step(1) }, "Next ›"),
    element("a", { href: addressOf(state.question) }, "Link"),
    element("button", { type: "button", class: "keys", onclick: () => place.help.showModal() }, "Keys"),
  );
}

/** Go on by so many of the questions that match. */
function step(by) {
  if (!state.found.length) return;
  const at = state.found.findIndex((one) => one.question === state.question);
  const next = at < 0 ? 0 : Math.min(Math.max(at + by, 0), state.found.length - 1);
  history.pushState(null, "", addressOf(state.found[next].question));
  openQuestion(state.found[next].question);
}

function toList() {
  place.question.parentElement.classList.remove("reading");
  (place.list.querySelector("[aria-current]") ?? place.list.querySelector("a"))?.focus();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || place.help.open) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "Escape") return typing ? event.target.blur() : toList();
  // Arrows scroll what is wider than the screen.
  if (typing || (event.key.startsWith("Arrow") && event.target.closest?.(".scroll"))) return;
  const actions = {
    j: () => step(1),
    ArrowRight: () => step(1),
    k: () => step(-1),
    ArrowLeft: () => step(-1),
    n: () => drawList(state.page + 1),
    p: () => drawList(state.page - 1),
    "/": () => place.form.querySelector("[name=text]").focus(),
    f: () => place.form.querySelector("select").focus(),
    "?": () => place.help.showModal(),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

function start() {
  const keys = KEYS.flatMap(([key, does]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)]);
  const close = element("button", { type: "button", onclick: () => place.help.close() }, "Close");
  place.help.append(element("h2", {}, "Keys"), element("dl", {}, ...keys), close);
  const side = element("div", { class: "side" }, place.form, place.status, place.list, place.pages);
  const explorer = document.getElementById("explorer");
  explorer.replaceChildren(place.cells, element("div", { class: "both" }, side, place.question), place.help);
  document.addEventListener("keydown", pressed);
  addEventListener("popstate", followAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawQuestion);
}

start();
await followAddress();
document.getElementById("explorer").removeAttribute("aria-busy");
