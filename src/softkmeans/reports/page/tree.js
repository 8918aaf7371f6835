// The annealing tree: how clusters split as the temperature falls.
import { number, svg, times } from "./dom.js";

// Return the tree as a picture: temperature from left (high) to right, a line for each cluster.
export function annealingTree({ path, fitted, label }) {
  const [width, height, left, right, bottom] = [760, 350, 14, 14, 46];
  const { levels } = path;
  const n = levels.at(-1).weights.length;
  const places = levels.map((level) => new Array(level.weights.length).fill(0));
  placeLeaves(levels, places, n);
  const [hot, cold] = [Math.log(levels[0].temperature), Math.log(levels.at(-1).temperature)];
  const toX = (t) => left + ((hot - Math.log(t)) / (hot - cold || 1)) * (width - left - right);
  const toY = (p) => 12 + p * (height - bottom - 26);
  const lines = [];
  levels.forEach((level, l) => {
    if (!l) return;
    level.parents.forEach((parent, c) => {
      const from = parent < 0 ? c : parent;
      lines.push(
        svg("line", {
          x1: toX(levels[l - 1].temperature),
          y1: toY(places[l - 1][Math.min(from, places[l - 1].length - 1)]),
          x2: toX(level.temperature),
          y2: toY(places[l][c]),
          class: "branch",
          "stroke-width": 1 + 9 * Math.sqrt(level.weights[c]),
        }),
      );
    });
  });
  const marks = [
    [path.critical, "critical"],
    [fitted, "fitted"],
  ].flatMap(([t, name]) => {
    if (!(Math.log(t) <= hot && Math.log(t) >= cold)) return [];
    const at = toX(t);
    const anchor = at > width - 80 ? "end" : "start";
    return [
      svg("line", { x1: at, x2: at, y1: 4, y2: height - bottom + 2, class: "mark" }),
      svg("text", { x: at + (anchor === "end" ? -4 : 4), y: height - bottom + 13, class: "tick", "text-anchor": anchor }, `${name} T ${number(t, 3)}`),
    ];
  });
  const ends = [
    svg("text", { x: left, y: height - 8, class: "tick" }, `T = ${number(levels[0].temperature, 3)} (soft)`),
    svg("text", { x: width - right, y: height - 8, class: "tick", "text-anchor": "end" }, `T = ${number(levels.at(-1).temperature, 3)} (hard)`),
  ];
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, marks, lines, ends);
}

// Place the last clusters so that those of one parent are neighbors, and all others at the mean of their children.
function placeLeaves(levels, places, n) {
  const ancestry = (c) => {
    const line = [];
    for (let l = levels.length - 1; l >= 0; l--) {
      line.unshift(c);
      const parent = levels[l].parents[c];
      c = parent === undefined || parent < 0 ? c : parent;
    }
    return line;
  };
  const lines = times(n, (c) => ({ c, line: ancestry(c) }));
  lines.sort((a, b) => {
    for (let l = 0; l < a.line.length; l++) if (a.line[l] !== b.line[l]) return a.line[l] - b.line[l];
    return 0;
  });
  lines.forEach(({ c }, place) => (places.at(-1)[c] = n > 1 ? place / (n - 1) : 0.5));
  for (let l = levels.length - 2; l >= 0; l--) {
    const [sum, count] = [new Array(places[l].length).fill(0), new Array(places[l].length).fill(0)];
    levels[l + 1].parents.forEach((parent, c) => {
      const p = Math.min(Math.max(parent, 0), places[l].length - 1);
      sum[p] += places[l + 1][c];
      count[p] += 1;
    });
    places[l] = places[l].map((_, c) => (count[c] ? sum[c] / count[c] : 0.5));
  }
}
