// Which questions are listed. Conditions on one order hold in the same order; those on all orders stand by themselves.

/** Nothing asked for. Keys are those of links. */
export const ANYTHING = {
  method: "", // the method that outcome, answered and flips are about, by its id
  outcome: "", // right, wrong
  other: "", // a second method
  otherOutcome: "",
  answered: "", // the position that the method answers
  target: "", // the position of the target
  divergence: "", // yes: logits and attention give different answers; no: the same
  flips: "", // yes: the method's answers differ between orders; no: they are the same
  every: "", // yes: the conditions on orders hold in every order; otherwise in one or more
  text: "", // stands in the caption or the id
  sort: "", // flips, confidence; otherwise as asked
};

/** The questions that match, each with the orders in which all conditions hold, sorted. */
export function matching(cell, criteria) {
  const found = [];
  const holds = conditionOnOrders(cell, criteria);
  const text = criteria.text.trim().toLowerCase();
  const method = cell.methodOf(criteria.method);
  for (let question = 0; question < cell.questions; question++) {
    if (text && !`${cell.caption(question)}\n${cell.id(question)}`.toLowerCase().includes(text)) continue;
    if (criteria.flips && (cell.answers(method, question) > 1) !== (criteria.flips === "yes")) continue;
    const orders = [];
    let shown = 0;
    for (let order = 0; order < cell.orders; order++) {
      if (!cell.wasShown(question, order)) continue;
      shown++;
      if (holds(question, order)) orders.push(order);
    }
    if (criteria.every === "yes" ? orders.length === shown : orders.length > 0) found.push({ question, orders });
  }
  return sorted(cell, criteria, method, found);
}

/** Whether any condition is on single orders. */
export function asksOfOrders(criteria) {
  return ["outcome", "otherOutcome", "answered", "target", "divergence"].some((key) => criteria[key]);
}

function conditionOnOrders(cell, criteria) {
  const method = cell.methodOf(criteria.method);
  const other = cell.methodOf(criteria.other);
  const conditions = [];
  if (criteria.outcome) conditions.push((q, o) => cell.outcome(method, q, o) === criteria.outcome);
  if (criteria.otherOutcome) conditions.push((q, o) => cell.outcome(other, q, o) === criteria.otherOutcome);
  if (criteria.answered) {
    const position = Number(criteria.answered);
    conditions.push((q, o) => cell.answer(method, q, o) === cell.shown(q, o, position));
  }
  if (criteria.target) {
    const position = Number(criteria.target);
    conditions.push((q, o) => cell.target(q) === cell.shown(q, o, position));
  }
  if (criteria.divergence) conditions.push((q, o) => diverge(cell, q, o) === (criteria.divergence === "yes"));
  return (question, order) => conditions.every((condition) => condition(question, order));
}

/** Whether the plain answer is another than what the attention picks. */
export function diverge(cell, question, order) {
  return cell.answer(cell.logits, question, order) !== cell.answer(cell.attention, question, order);
}

function sorted(cell, criteria, method, found) {
  const keys = {
    flips: ({ question }) => -cell.answers(method, question),
    confidence: ({ question }) => meanProbabilityOfTarget(cell, question),
  };
  const key = keys[criteria.sort];
  return key ? found.map((one) => [key(one), one]).sort(([a], [b]) => a - b).map(([, one]) => one) : found;
}

function meanProbabilityOfTarget(cell, question) {
  if (!cell.target(question)) return Infinity;
  let sum = 0;
  for (let order = 0; order < cell.orders; order++) {
    const position = cell.positionOf(question, order, cell.target(question));
    if (position) sum += cell.probability(question, order, position);
  }
  return sum;
}
