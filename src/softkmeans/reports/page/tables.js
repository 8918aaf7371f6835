// Tables that sort by a click or Enter on a heading.
import { el, number } from "./dom.js";

// Return a table: columns have a title, a function of a row to its value, and optionally one to its content.
export function sortableTable({ caption, columns, rows, onRow, sorted = 0, descending = false }) {
  const body = el("tbody");
  const heads = columns.map((column, c) =>
    el("th", { scope: "col", class: column.isText ? "text" : "number" }, el("button", { type: "button", onclick: () => sortBy(c) }, column.title)),
  );
  const table = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), body);
  let [at, down] = [sorted, descending];

  function sortBy(c) {
    [at, down] = [c, c === at ? !down : !columns[c].isText];
    update();
  }

  function update() {
    const value = columns[at].value;
    const key = (row) => value(row) ?? (columns[at].isText ? "" : NaN);
    const ordered = [...rows].sort((a, b) => {
      const [u, v] = [key(a), key(b)];
      if (columns[at].isText) return String(u).localeCompare(String(v), undefined, { numeric: true });
      return Number.isNaN(u) ? 1 : Number.isNaN(v) ? -1 : u - v;
    });
    if (down) ordered.reverse();
    heads.forEach((head, c) => {
      if (c === at) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(
      ...ordered.map((row) =>
        el("tr", {}, columns.map((column, c) => {
          const content = column.content ? column.content(row) : column.isText ? String(column.value(row)) : number(column.value(row));
          const shown = c === 0 && onRow ? el("button", { type: "button", class: "link", onclick: () => onRow(row) }, content) : content;
          return el(c === 0 ? "th" : "td", { scope: c === 0 ? "row" : null, class: column.isText ? "text" : "number" }, shown);
        })),
      ),
    );
  }

  update();
  return {
    element: table,
    setRows: (list) => {
      rows = list;
      update();
    },
  };
}

export function scrollable(table, label) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}
