// One cell: the questions of one benchmark, as one model was asked them. Questions and orders count from 0, positions
// and candidates from 1, as everywhere in the results.

import { unpack } from "./blocks.js";

const NOT_ASKED = 255;
const QUESTIONS_PER_BLOCK = 50;

export const ROWS = { last: "last prompt token", query: "tokens of the query", suffix: "tokens behind the candidates" };

export class Cell {
  /** Unpack a cell. `facts` is its entry in the index. */
  static async read(index, facts) {
    const number = index.datasets.indexOf(facts.dataset);
    const [content, dataset] = await Promise.all([unpack(facts.block), unpack(`dataset-${number}`)]);
    return new Cell(index, facts, content, dataset, `pictures-${number}`);
  }

  constructor(index, facts, content, dataset, pictures) {
    Object.assign(this, { facts, dataset, n: facts.n, orders: facts.orders, questions: facts.questions });
    this.decades = index.decades;
    this.content = content;
    this.methods = content.methods;
    this.pictures = () => unpack(pictures);
    this.logits = this.methodOf("vanilla");
    this.attention = this.methodOf("purified_attention");
    if (this.attention < 0) this.attention = this.methodOf("attention_readout");
  }

  /** The number of a method, -1 where it was not asked. */
  methodOf(id) {
    return this.methods.findIndex((method) => method.id === id);
  }

  id(question) {
    return this.content.ids[question];
  }

  questionOf(id) {
    return this.content.ids.indexOf(id);
  }

  caption(question) {
    return this.dataset.captions[this.content.captions[question]];
  }

  /** The target's candidate; 0 where that is unknown. */
  target(question) {
    return this.content.arrays.target[question];
  }

  /** A candidate's grade in a window of a list, where several may be right; null in other questions. */
  grade(question, candidate) {
    const { relevance } = this.content.arrays;
    return relevance ? relevance[question * this.n + candidate - 1] : null;
  }

  /** Whether it is known which candidates are right, be it none of them. */
  isKnown(question) {
    return this.target(question) > 0 || "relevance" in this.content.arrays;
  }

  isRight(question, candidate) {
    const grade = this.grade(question, candidate);
    return grade === null ? candidate === this.target(question) : grade > 0;
  }

  /** What is known of a candidate: its number in the dataset, file, text, licence and attribution. */
  candidate(question, candidate) {
    const halves = 2 * (question * this.n + candidate - 1);
    const { candidates } = this.content.arrays;
    const number = candidates[halves] + 65536 * candidates[halves + 1];
    const { files, texts, licences, licence, attributions } = this.dataset;
    const said = { number, file: files[number], text: texts[number], attribution: attributions[number] };
    return { ...said, licence: licences[licence[number]] };
  }

  /** The candidate at a position; 0 where the question was not shown in this order. */
  shown(question, order, position) {
    return this.content.arrays.order[(question * this.orders + order) * this.n + position - 1];
  }

  wasShown(question, order) {
    return this.shown(question, order, 1) > 0;
  }

  positionOf(question, order, candidate) {
    const start = (question * this.orders + order) * this.n;
    return this.content.arrays.order.subarray(start, start + this.n).indexOf(candidate) + 1;
  }

  probability(question, order, position) {
    return this.content.arrays.probabilities[(question * this.orders + order) * this.n + position - 1] / 65535;
  }

  /** A method's answer: the candidate; 0 where none could be read; null where it was not asked. */
  answer(method, question, order) {
    const answer = this.content.arrays.answers[(method * this.questions + question) * this.orders + order];
    return answer === NOT_ASKED ? null : answer;
  }

  /** "right" or "wrong"; null where the method was not asked, or it is unknown what is right. */
  outcome(method, question, order) {
    const answer = this.answer(method, question, order);
    if (answer === null || !this.isKnown(question)) return null;
    return answer > 0 && this.isRight(question, answer) ? "right" : "wrong";
  }

  /** How many different answers a method gives to a question. */
  answers(method, question) {
    const given = new Set();
    for (let order = 0; order < this.orders; order++) given.add(this.answer(method, question, order));
    given.delete(null);
    return given.size;
  }

  hasAttention(question) {
    return question < this.content.withLayers;
  }

  hasHeads(question, row) {
    return question < this.content.withHeads && row in this.facts.heads;
  }

  hasPrior(row) {
    return `prior_${row}` in this.content.arrays;
  }

  prior(row, layer, position) {
    return this.unscaled(this.content.arrays[`prior_${row}`][layer * this.n + position - 1]);
  }

  /** The attention on a question's candidates: a function of row, order, layer's place, position and perhaps head. */
  async attentionOn(question) {
    const { arrays } = await unpack(`${this.facts.block}-${Math.floor(question / QUESTIONS_PER_BLOCK)}`);
    const layers = this.facts.layers.length;
    const inBlock = question % QUESTIONS_PER_BLOCK;
    return (row, order, layer, position, head) => {
      const heads = head === undefined ? 1 : this.facts.heads[row];
      const values = arrays[head === undefined ? row : `${row}_heads`];
      const place = ((inBlock * this.orders + order) * layers + layer) * heads + (head ?? 0);
      return this.unscaled(values[place * this.n + position - 1]);
    };
  }

  /** What a byte of attention stands for. */
  unscaled(byte) {
    return byte === 0 ? NaN : 10 ** (((byte - 1) / 254 - 1) * this.decades);
  }
}
