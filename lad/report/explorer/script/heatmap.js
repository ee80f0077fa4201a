// Small heat maps: rows are layers. What is drawn can be read as well, under the pointer and in a table.

import { element } from "./elements.js";

const WIDTH = 168; // of the columns together, in pixels
const MARGIN = { left: 22, bottom: 14 };
// Cividis, which readers with the common forms of colour blindness can tell apart, light on dark in any theme.
const COLOURS = [[0, 34, 78], [67, 78, 108], [125, 124, 120], [188, 175, 111], [254, 232, 56]];

/** The colour of a share of the scale, 0 to 1. */
export function colour(share) {
  const place = Math.min(1, Math.max(0, share)) * (COLOURS.length - 1);
  const from = Math.min(COLOURS.length - 2, Math.floor(place));
  const mixed = COLOURS[from].map((part, k) => Math.round(part + (COLOURS[from + 1][k] - part) * (place - from)));
  return `rgb(${mixed.join(" ")})`;
}

/**
 * A heat map. `map` has `rows` and `columns`, their names; `value(row, column)`; `scale(value)` from 0 to 1;
 * `told(row, column)`, the value in words; `marked`, a column or -1; `label`, what is drawn.
 */
export function heatmap(map) {
  const { rows, columns } = map;
  const cell = { width: Math.max(3, Math.floor(WIDTH / columns.length)), height: rows.length > 16 ? 7 : 12 };
  const width = MARGIN.left + cell.width * columns.length;
  const height = cell.height * rows.length + MARGIN.bottom;
  const ratio = window.devicePixelRatio || 1;
  const canvas = element("canvas", { width: width * ratio, height: height * ratio, role: "img", "aria-label": map.label });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  for (let row = 0; row < rows.length; row++) {
    for (let column = 0; column < columns.length; column++) {
      const value = map.value(row, column);
      if (Number.isNaN(value)) continue;
      pen.fillStyle = colour(map.scale(value));
      pen.fillRect(MARGIN.left + column * cell.width, row * cell.height, cell.width - 1, cell.height - 0.5);
    }
  }
  drawNames(pen, map, cell);
  canvas.addEventListener("pointermove", (event) => {
    const column = Math.floor((event.offsetX - MARGIN.left) / cell.width);
    const row = Math.floor(event.offsetY / cell.height);
    const inside = row >= 0 && row < rows.length && column >= 0 && column < columns.length;
    canvas.title = inside ? map.told(row, column) : "";
  });
  return canvas;
}

function drawNames(pen, { rows, columns, marked }, cell) {
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--text");
  pen.font = "9px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const step = Math.ceil(10 / cell.height);
  for (let row = 0; row < rows.length; row += step) pen.fillText(rows[row], MARGIN.left - 4, (row + 0.5) * cell.height);
  pen.textAlign = "center";
  const bottom = rows.length * cell.height + MARGIN.bottom / 2 + 1;
  const stride = Math.ceil(14 / cell.width);
  for (let column = 0; column < columns.length; column++) {
    const middle = MARGIN.left + (column + 0.5) * cell.width - 0.5;
    if (column === marked) pen.fillText(`▲${cell.width >= 18 ? columns[column] : ""}`, middle, bottom);
    else if (column % stride === 0) pen.fillText(columns[column], middle, bottom);
  }
}

/** The values of a heat map as a table. */
export function valuesOf({ rows, columns, value, caption, rowName }) {
  const heading = element("tr", {}, element("th", { scope: "col" }, rowName));
  heading.append(...columns.map((name) => element("th", { scope: "col" }, name)));
  const lines = rows.map((name, row) => {
    const cells = columns.map((_, column) => element("td", {}, told(value(row, column))));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  return element("table", {}, element("caption", {}, caption), element("thead", {}, heading), element("tbody", {}, ...lines));
}

/** A value in two digits. */
export function told(value) {
  if (Number.isNaN(value)) return "–";
  return value === 0 || value >= 0.01 ? value.toFixed(2) : value.toExponential(1);
}
