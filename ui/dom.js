// Elements from descriptions, and lists of them that keep what has not changed, so that the focus stays where it is.

const svgNamespace = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes that are null or false are left out; children that are null too. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Sets the text if it is another one: a live region says it once. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shown = new WeakMap();

/** Makes the children of `parent` those of `items`; one whose item is as before stays the same node. */
export function showList(parent, items, keyOf, render) {
  const known = shown.get(parent) ?? new Map();
  const next = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const content = JSON.stringify(item);
    const before = known.get(key);
    const node = before !== undefined && before.content === content ? before.node : render(item, before?.item ?? null);
    if (before !== undefined && before.node !== node) before.node.replaceWith(node);
    next.set(key, { content, item, node });
  }
  for (const [key, { node }] of known) if (!next.has(key)) node.remove();
  let previous = null;
  for (const { node } of next.values()) {
    const place = previous === null ? parent.firstChild : previous.nextSibling;
    if (node !== place) parent.insertBefore(node, place);
    previous = node;
  }
  shown.set(parent, next);
}
