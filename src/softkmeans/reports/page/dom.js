// Elements, and numbers as text. Texts become text nodes, never HTML.

export const ROOT = document.documentElement;
const SVG = "http://www.w3.org/2000/svg";

export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "color") element.style.setProperty("--c", value);
    else if (name === "width" && element instanceof HTMLElement && typeof value === "string") element.style.width = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Return the values of a function of 0 to n - 1.
export const times = (n, value) => Array.from({ length: n }, (_, i) => value(i));

export const byId = (id) => document.getElementById(id);

export function show(id, ...children) {
  byId(id).replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// Return a number with some significant digits, without an exponent where it can be avoided.
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return minus(value.toLocaleString("en-US"));
  const size = Math.abs(value);
  if (size >= 1e7 || (size < 1e-4 && size > 0)) return minus(value.toExponential(2).replace("e+", "e"));
  const decimals = Math.max(0, Math.min(8, digits - 1 - Math.floor(Math.log10(size || 1))));
  return minus(value.toLocaleString("en-US", { maximumFractionDigits: decimals }));
}

const minus = (text) => text.replace("-", "−");

export const percent = (part, digits = 0) => `${(100 * part).toFixed(digits)} %`;

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

// Return a text of the data, shortened for a line.
export function short(text, length = 60) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

// Return an element with a text of the data, in its own direction of writing, shortened; its title has more.
export function named(text, length = 40, tag = "bdi") {
  return el(tag, { dir: "auto", title: text.length > length ? short(text, 500) : null }, short(text, length));
}

// Return about n round numbers from low to high.
export function ticks(low, high, n) {
  const rough = (high - low) / Math.max(2, Math.min(n, 8));
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((m) => m * unit >= rough);
  const list = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) list.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return list;
}
