// Elements of the page. Whatever captions, file names or methods hold goes in as text, never as HTML.

/** Signs of outcomes, so that nothing rests on colour alone. */
export const SIGNS = { right: "✓", wrong: "✗" };

/** An element with attributes, listeners ("onclick": function) and children: elements or texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text of others, whose direction and marks stay its own. */
export function quoted(text) {
  return element("bdi", {}, text);
}

/** A labelled choice. Options are [value, name] or [value, name, disabled]. */
export function choice(label, name, options, value, onchange) {
  const made = element("select", { name, onchange: () => onchange(made.value) });
  made.append(...options.map(([key, text, disabled = false]) => element("option", { value: key, disabled }, text)));
  made.value = value;
  return element("label", {}, element("span", {}, label), made);
}

/** A share in percent, as short as it can be told. */
export function percent(share) {
  const value = 100 * share;
  return `${value >= 99.95 || value === 0 ? value.toFixed(0) : value.toFixed(value < 1 ? 2 : 1)} %`;
}
