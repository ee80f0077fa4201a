// One question: all its orders side by side, what every method answers, and where the model looked.

import { ROWS } from "./cell.js";
import { SIGNS, choice, element, percent, quoted } from "./elements.js";
import { asksOfOrders, diverge } from "./filter.js";
import { colour, heatmap, told, valuesOf } from "./heatmap.js";

const SCALES = {
  share: "share of the layer",
  purified: "share, over the attention prior",
  attention: "attention itself",
};

/** What the reader has chosen to see of the attention; it stays from question to question. */
export const seen = { row: "last", scale: "share", columns: "shown", heads: "target" };

/** The question with its orders, `matched` those in which all conditions hold. `redraw` is called when `seen` changes. */
export async function questionView(cell, question, criteria, matched, redraw) {
  const pictures = await cell.pictures();
  const heading = element("h2", { id: "question", tabindex: "-1" }, quoted(cell.caption(question)));
  const parts = [heading, facts(cell, question), orders(cell, question, criteria, matched, pictures)];
  parts.push(await attention(cell, question, redraw), answersTable(cell, question), candidates(cell, question, pictures));
  return element("article", { "aria-labelledby": "question" }, ...parts);
}

function facts(cell, question) {
  const id = element("code", {}, quoted(cell.id(question)));
  return element("p", { class: "label" }, id, ` · ${rightOnes(cell, question)}`);
}

/** Which candidates are right, in words: the target, or those of a window of a list with their grades. */
function rightOnes(cell, question) {
  if (cell.grade(question, 1) === null) {
    const target = cell.target(question);
    return target ? `The target is candidate ${target} (c${target}).` : "The target is not known.";
  }
  const all = Array.from({ length: cell.n }, (_, k) => k + 1).filter((candidate) => cell.isRight(question, candidate));
  if (all.length === 0) return "A window of a list. None of its candidates is relevant, so no answer is right.";
  const graded = all.map((candidate) => `c${candidate} (grade ${cell.grade(question, candidate)})`).join(", ");
  return `A window of a list. Relevant: ${graded}; the target is the best of them, c${cell.target(question)}.`;
}

/** What stands beside a candidate that is right. */
function mark(cell, question, candidate) {
  if (!cell.isRight(question, candidate)) return null;
  const grade = cell.grade(question, candidate);
  const words = candidate === cell.target(question) ? " target" : " relevant";
  return element("strong", {}, grade === null ? words : `${words}, grade ${grade}`);
}

/** The methods that stand at their answers: those of the paper's argument, and those that are filtered by. */
function prominent(cell, criteria) {
  const ids = [criteria.method, criteria.other].map((id) => cell.methodOf(id));
  const all = [cell.logits, cell.attention, cell.methodOf("agd"), ...ids];
  return [...new Set(all)].filter((method) => method >= 0);
}

function orders(cell, question, criteria, matched, pictures) {
  const columns = [];
  const marks = asksOfOrders(criteria) ? matched : [];
  for (let order = 0; order < cell.orders; order++) {
    if (!cell.wasShown(question, order)) continue;
    const notes = [];
    if (marks.includes(order)) notes.push("matches");
    if (cell.logits >= 0 && cell.attention >= 0 && diverge(cell, question, order)) notes.push("logits ≠ attention");
    const positions = [];
    for (let position = 1; position <= cell.n; position++) {
      positions.push(shownAt(cell, question, order, position, prominent(cell, criteria), pictures));
    }
    const title = element("h4", {}, `Order ${order + 1}`, element("span", { class: "note" }, notes.join(", ")));
    columns.push(element("li", { class: marks.includes(order) ? "order matches" : "order" }, title, element("ol", {}, ...positions)));
  }
  const list = element("ol", { class: "orders" }, ...columns);
  list.style.setProperty("--rows", cell.n + 1);
  return section("All orders, as the model was shown them", scrolling("Orders side by side", list));
}

function shownAt(cell, question, order, position, methods, pictures) {
  const candidate = cell.shown(question, order, position);
  const isRight = cell.isRight(question, candidate);
  const probability = cell.probability(question, order, position);
  const bar = element("span", { class: "bar" });
  bar.style.setProperty("--share", probability);
  const badges = methods
    .filter((method) => cell.answer(method, question, order) === candidate)
    .map((method) => {
      const outcome = cell.outcome(method, question, order);
      return element("span", { class: `badge ${outcome ?? ""}` }, `${SIGNS[outcome] ?? ""} ${cell.methods[method].name}`);
    });
  return element(
    "li",
    { class: isRight ? "position target" : "position" },
    element("span", { class: "identifier" }, cell.facts.identifiers[position - 1]),
    looks(cell, question, candidate, pictures),
    element(
      "span",
      { class: "said" },
      element("span", { class: "name" }, `c${candidate}`, mark(cell, question, candidate)),
      element("span", { class: "probability", title: "probability of the identifier" }, bar, percent(probability)),
    ),
    element("span", { class: "badges" }, ...badges),
  );
}

/** A candidate as a picture, or as its text; where there is neither, its file's name. */
function looks(cell, question, candidate, pictures) {
  const { number, file, text } = cell.candidate(question, candidate);
  if (text !== undefined && text !== null) return element("span", { class: "text", title: text }, quoted(text));
  const webp = pictures.webp[number];
  if (!webp) return element("span", { class: "no picture", title: file }, quoted(file));
  return element("img", { class: "picture", src: `data:image/webp;base64,${webp}`, alt: file, title: file, loading: "lazy" });
}

async function attention(cell, question, redraw) {
  const title = "Where the model looks";
  if (!cell.facts.layers.length) return section(title, element("p", {}, "The signals hold no attention."));
  if (!cell.hasAttention(question)) {
    const kept = `The page holds the attention of the first ${cell.content.withLayers} questions of this cell.`;
    return section(title, element("p", {}, `${kept} A larger attention budget holds more.`));
  }
  const row = cell.facts.rows.includes(seen.row) ? seen.row : cell.facts.rows[0];
  const scale = seen.scale === "purified" && !cell.hasPrior(row) ? "share" : seen.scale;
  const on = await cell.attentionOn(question);
  const asked = { cell, question, row, scale, on };
  const set = (key) => (value) => {
    seen[key] = value;
    redraw();
  };
  const scales = Object.entries(SCALES).map(([key, name]) => [key, name, key === "purified" && !cell.hasPrior(row)]);
  const controls = [
    choice("Attention of the", "row", cell.facts.rows.map((key) => [key, ROWS[key]]), row, set("row")),
    choice("Shown is", "scale", scales, scale, set("scale")),
    choice("Columns are", "columns", [["shown", "positions"], ["candidates", "candidates"]], seen.columns, set("columns")),
  ];
  const layers = layerMaps(asked);
  const parts = [element("div", { class: "controls" }, ...controls), ...drawn(layers, "layer", asked)];
  if (cell.hasHeads(question, row)) parts.push(...headMaps(asked, set("heads")));
  else if (row in cell.facts.heads) parts.push(element("p", { class: "label" }, `Heads are kept of the first ${cell.content.withHeads} questions of this cell (attention budget).`));
  return section(title, ...parts);
}

/** By order, what is drawn of the layers: the value at each layer and column. */
function layerMaps({ cell, question, row, scale, on }) {
  const maps = [];
  for (let order = 0; order < cell.orders; order++) {
    if (!cell.wasShown(question, order)) continue;
    const byCandidate = seen.columns === "candidates";
    const columns = Array.from({ length: cell.n }, (_, k) => (byCandidate ? `c${k + 1}` : cell.facts.identifiers[k]));
    const position = (column) => (byCandidate ? cell.positionOf(question, order, column + 1) : column + 1);
    const weight = (layer, at) => on(row, order, layer, at) / (scale === "purified" ? cell.prior(row, layer, at) : 1);
    const value = (layer, column) => {
      if (scale === "attention") return on(row, order, layer, position(column));
      let sum = 0;
      for (let at = 1; at <= cell.n; at++) sum += weight(layer, at);
      return weight(layer, position(column)) / sum;
    };
    const target = cell.target(question);
    const marked = target ? (byCandidate ? target : cell.positionOf(question, order, target)) - 1 : -1;
    maps.push({ order, columns, value, marked, rows: cell.facts.layers.map(String) });
  }
  return maps;
}

function headMaps({ cell, question, row, on }, onchange) {
  const heads = cell.facts.heads[row];
  const fixed = Array.from({ length: cell.n }, (_, k) => [String(k + 1), `candidate ${k + 1} (c${k + 1})`]);
  const answers = [cell.logits, cell.attention].filter((method) => method >= 0);
  const options = [
    ["target", "the target", cell.target(question) === 0],
    ...answers.map((method) => [cell.methods[method].id, `the answer of ${cell.methods[method].name}`]),
    ...fixed,
  ];
  const of = options.some(([key, , disabled]) => key === seen.heads && !disabled) ? seen.heads : "1";
  const maps = [];
  for (let order = 0; order < cell.orders; order++) {
    if (!cell.wasShown(question, order)) continue;
    const method = cell.methodOf(of);
    const candidate = of === "target" ? cell.target(question) : method >= 0 ? cell.answer(method, question, order) : Number(of);
    const position = candidate ? cell.positionOf(question, order, candidate) : 0;
    const value = (layer, head) => {
      if (!position) return NaN;
      let sum = 0;
      for (let at = 1; at <= cell.n; at++) sum += on(row, order, layer, at, head);
      return on(row, order, layer, position, head) / sum;
    };
    const columns = Array.from({ length: heads }, (_, head) => String(head));
    maps.push({ order, columns, value, marked: -1, rows: cell.facts.layers.map(String) });
  }
  const control = choice("Each head: its share that goes to", "heads", options, of, onchange);
  return [element("div", { class: "controls" }, control), ...drawn(maps, "head", { scale: "share" })];
}

/** Heat maps side by side on one scale, with the scale, and their values as tables. */
function drawn(maps, kind, { scale }) {
  const values = maps.flatMap(({ rows, columns, value }) => rows.flatMap((_, r) => columns.map((_, c) => value(r, c))));
  const known = values.filter((value) => !Number.isNaN(value));
  const high = Math.max(...known, 1e-6);
  const low = scale === "attention" ? Math.max(1e-6, Math.min(...known)) : 0;
  const place = scale === "attention" ? (v) => Math.log(v / low) / Math.log(high / low || 1) : (v) => v / high;
  const column = kind === "head" ? "head" : seen.columns === "candidates" ? "candidate" : "position";
  const figures = maps.map((map) => {
    const name = `Order ${map.order + 1}`;
    const words = (row, at) => `layer ${map.rows[row]}, ${column} ${map.columns[at]}: ${told(map.value(row, at))}`;
    const label = `${name}, layers by ${column}s. ${summary(map, column)}`;
    const canvas = heatmap({ ...map, scale: place, told: words, label });
    return element("li", {}, element("h4", {}, name), canvas);
  });
  const tables = element("details", { class: "values" }, element("summary", {}, "The same in numbers"));
  tables.addEventListener("toggle", () => {
    if (!tables.open || tables.querySelector("table")) return;
    for (const map of maps) {
      const table = valuesOf({ ...map, caption: `Order ${map.order + 1}, layers by ${column}s`, rowName: "layer" });
      tables.append(scrolling(`Values of order ${map.order + 1}`, table));
    }
  });
  return [scrolling(`Heat maps, layers by ${column}s`, element("ol", { class: "maps" }, ...figures)), legend(low, high, scale, column), tables];
}

/** In words, the column that most layers look at most, and the largest value. */
function summary({ rows, columns, value }, column) {
  let best = [0, 0];
  const votes = columns.map(() => 0);
  for (let row = 0; row < rows.length; row++) {
    let most = 0;
    for (let at = 0; at < columns.length; at++) {
      if (value(row, at) > value(row, most)) most = at;
      if (value(row, at) > value(...best)) best = [row, at];
    }
    votes[most]++;
  }
  const most = votes.indexOf(Math.max(...votes));
  const largest = `largest: ${told(value(...best))}, layer ${rows[best[0]]}, ${column} ${columns[best[1]]}`;
  return column === "head" ? largest : `${column} ${columns[most]} is first in ${votes[most]} of ${rows.length} layers; ${largest}`;
}

function legend(low, high, scale, column) {
  const steps = Array.from({ length: 24 }, (_, k) => {
    const step = element("span");
    step.style.background = colour(k / 23);
    return step;
  });
  const ramp = element("span", { class: "ramp", "aria-hidden": "true" }, ...steps);
  const words = `${scale === "attention" ? "logarithmic; " : ""}rows: layers, columns: ${column}s${column === "head" ? "" : ", ▲ the target"}`;
  return element("p", { class: "legend" }, told(low), ramp, told(high), ` · ${words}`);
}

function answersTable(cell, question) {
  const shown = Array.from({ length: cell.orders }, (_, order) => order).filter((order) => cell.wasShown(question, order));
  const heading = element("tr", {}, element("th", { scope: "col" }, "method"));
  heading.append(...shown.map((order) => element("th", { scope: "col" }, `order ${order + 1}`)));
  heading.append(element("th", { scope: "col" }, "right"), element("th", { scope: "col" }, "different answers"));
  const lines = cell.methods.map(({ name }, method) => {
    const outcomes = shown.map((order) => cell.outcome(method, question, order));
    const cells = shown.map((order, k) => answerIn(cell, question, method, order, outcomes[k]));
    const right = outcomes.filter((outcome) => outcome === "right").length;
    const of = outcomes.filter((outcome) => outcome !== null).length;
    const counts = [of ? `${right} of ${of}` : "–", String(cell.answers(method, question))];
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells, ...counts.map((count) => element("td", {}, count)));
  });
  const table = element("table", { class: "answers" }, element("thead", {}, heading), element("tbody", {}, ...lines));
  const note = `✓ right, ✗ wrong; c: candidate, in brackets the position it was answered by. Calibrated on ${cell.facts.calibration}.`;
  return section("What each method answers", scrolling("Answers of each method", table), element("p", { class: "label" }, note));
}

function answerIn(cell, question, method, order, outcome) {
  const candidate = cell.answer(method, question, order);
  if (candidate === null) return element("td", {}, "–");
  if (candidate === 0) return element("td", { class: outcome ?? "" }, `${SIGNS[outcome] ?? ""} none`);
  const identifier = cell.facts.identifiers[cell.positionOf(question, order, candidate) - 1];
  return element("td", { class: outcome ?? "" }, `${SIGNS[outcome] ?? ""} c${candidate} (${identifier})`);
}

function candidates(cell, question, pictures) {
  const items = [];
  for (let candidate = 1; candidate <= cell.n; candidate++) {
    const { file, text, licence, attribution } = cell.candidate(question, candidate);
    const rights = licence ? element("span", { class: "label" }, " · ", quoted(licence)) : null;
    items.push(
      element(
        "li",
        { class: cell.isRight(question, candidate) ? "target" : null },
        element("span", { class: "name" }, `c${candidate}`),
        looks(cell, question, candidate, pictures),
        element("span", {}, text === undefined || text === null ? quoted(file) : null, mark(cell, question, candidate), rights, source(attribution)),
      ),
    );
  }
  return section("The candidates", element("ol", { class: "candidates" }, ...items), ...missing(pictures));
}

/** A link to where a photograph and its author are found, if its address is one of the web. */
function source(attribution) {
  if (!attribution) return null;
  if (!/^https?:\/\//i.test(attribution)) return element("span", { class: "label" }, " · ", quoted(attribution));
  return element("span", {}, " · ", element("a", { href: attribution, rel: "noopener noreferrer" }, "source"));
}

function missing({ withheld, beyond }) {
  const said = [];
  if (withheld) said.push(`${withheld} pictures of this dataset are not shown, because their licence is not known.`);
  if (beyond) said.push(`${beyond} pictures of this dataset did not fit the budget of bytes.`);
  return said.map((sentence) => element("p", { class: "label" }, sentence));
}

function section(title, ...parts) {
  return element("section", {}, element("h3", {}, title), ...parts);
}

function scrolling(label, content) {
  return element("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, content);
}
