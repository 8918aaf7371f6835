// Curves with uPlot, and histograms and silhouettes in SVG.
import { theme } from "./color.js";
import { el, number, svg, ticks, times } from "./dom.js";

const drawn = []; // charts, which are drawn again for another width or theme

// Return a figure with a curve; its values are also in a table for screen readers.
export function curve({ title, note, xLabel, x, y, marks = [] }) {
  const box = el("div", { class: "chart", "aria-hidden": "true" });
  const finite = y.filter((v) => v !== null);
  const text = `${title}: from ${number(finite[0])} to ${number(finite.at(-1))} over ${finite.length} values.`;
  const figure = el("figure", { class: "small-figure" }, el("figcaption", {}, el("strong", {}, title), note ? ` ${note}` : ""), box, el("p", { class: "hidden" }, text));
  const draw = () => {
    const look = theme();
    const axis = { stroke: look.soft, grid: { stroke: look.line, width: 1 }, ticks: { stroke: look.line, width: 1 }, font: "12px system-ui" };
    const width = Math.max(180, box.clientWidth);
    const isWhole = x.every(Number.isInteger);
    const options = {
      width,
      height: 170,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false } },
      axes: [
        { ...axis, label: xLabel, labelFont: "12px system-ui", labelSize: 18, size: 34, incrs: isWhole ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined },
        { ...axis, size: 62, values: (_, values) => values.map((v) => number(v)) },
      ],
      series: [{}, { stroke: look.ink, width: 1.5, points: { show: x.length <= 30, size: 5, fill: look.ink }, spanGaps: true }],
      hooks: {
        draw: [
          (plot) => {
            for (const mark of marks) {
              const at = Math.round(plot.valToPos(mark, "x", true));
              plot.ctx.save();
              plot.ctx.strokeStyle = look.soft;
              plot.ctx.setLineDash([4, 4]);
              plot.ctx.beginPath();
              plot.ctx.moveTo(at, plot.bbox.top);
              plot.ctx.lineTo(at, plot.bbox.top + plot.bbox.height);
              plot.ctx.stroke();
              plot.ctx.restore();
            }
          },
        ],
      },
    };
    box.replaceChildren();
    new uPlot(options, [x, y], box);
  };
  drawn.push(draw);
  requestAnimationFrame(draw);
  return figure;
}

export function redrawCurves() {
  drawn.forEach((draw) => draw());
}

// Return a histogram of values from 0 to 1, with a function that sets the heights of its bars and returns them. The
// bars are scaled to the total of the outline; the axis grows with the highest.
export function histogram({ label, bins, outline, unit }) {
  const [width, height, left, base, top] = [560, 220, 58, 184, 26];
  const room = width - left - 6;
  const bar = room / bins;
  const titles = times(bins, () => svg("title"));
  const rects = times(bins, (i) => svg("rect", { x: left + i * bar + 1, width: bar - 2, y: base, height: 0, class: "bar" }, titles[i]));
  const line = svg("path", { class: "outline" });
  const scale = svg("g");
  const labels = [0, 0.25, 0.5, 0.75, 1].map((v) => svg("text", { x: left + v * room, y: base + 22, class: "tick", "text-anchor": v === 1 ? "end" : "middle" }, String(v)));
  const name = svg("text", { x: left, y: 13, class: "tick", "text-anchor": "middle" }, unit);
  const axis = svg("line", { x1: left, x2: width - 6, y1: base, y2: base, class: "axis" });
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, scale, rects, line, axis, labels, name);
  const all = outline.reduce((a, b) => a + b, 0);
  return {
    element: picture,
    set: (counts) => {
      const total = counts.reduce((a, b) => a + b, 0) || 1;
      const heights = counts.map((v) => (v / total) * all);
      const most = Math.max(...outline, ...heights, 1e-12);
      const toY = (v) => base - ((base - top) * v) / most;
      heights.forEach((v, i) => {
        rects[i].setAttribute("y", toY(v));
        rects[i].setAttribute("height", base - toY(v));
        titles[i].textContent = `${number(i / bins, 2)} to ${number((i + 1) / bins, 2)}: ${number(v, 3)} ${unit}`;
      });
      line.setAttribute("d", outline.map((v, i) => `${i ? "L" : "M"}${left + i * bar},${toY(v)}h${bar}`).join(""));
      scale.replaceChildren(
        ...ticks(0, most, 4).flatMap((v) => [
          svg("line", { x1: left, x2: width - 6, y1: toY(v), y2: toY(v), class: "axis" }),
          svg("text", { x: left - 6, y: toY(v) + 4, class: "tick", "text-anchor": "end" }, number(v)),
        ]),
      );
      return heights;
    },
  };
}

// Return the silhouette of the shown rows: for each cluster, its rows' widths in decreasing order.
export function silhouettePlot({ clusters, colorOf, label }) {
  const total = clusters.reduce((sum, c) => sum + c.widths.length, 0) || 1;
  const many = clusters.length > 20;
  const [width, gap, room] = [560, many ? 2 : 6, many ? 10 * clusters.length : Math.max(120, Math.min(390, 34 * clusters.length))];
  const talls = clusters.map((c) => Math.max(2, (room * c.widths.length) / total));
  const height = 34 + talls.reduce((sum, tall) => sum + tall + gap, 0);
  const low = Math.min(0, ...clusters.map((c) => (c.widths.length ? c.widths.at(-1) : 0)));
  const toX = (v) => 36 + ((v - low) / (1 - low)) * (width - 46);
  let [top, labeled] = [4, -Infinity];
  const shapes = [];
  clusters.forEach(({ cluster, widths }, c) => {
    const tall = talls[c];
    const points = Math.min(widths.length, 160);
    let path = `M${toX(0)},${top}`;
    for (let p = 0; p < points; p++) {
      const v = widths[Math.floor((p * widths.length) / points)];
      path += `L${toX(v)},${top + (tall * p) / points}L${toX(v)},${top + (tall * (p + 1)) / points}`;
    }
    const shape = svg("path", { d: `${path}L${toX(0)},${top + tall}Z`, class: "fill" });
    shape.style.setProperty("--c", colorOf(cluster));
    shapes.push(shape);
    const middle = top + tall / 2;
    if (middle - labeled >= 20) {
      shapes.push(svg("text", { x: 26, y: middle + 4, class: "tick", "text-anchor": "end" }, String(cluster)));
      labeled = middle; // numbers in between would overlap
    }
    top += tall + gap;
  });
  const marks = [...new Set([low < -0.15 ? Math.ceil(low * 10) / 10 : 0, 0, 0.5, 1])].flatMap((v) => [
    svg("line", { x1: toX(v), x2: toX(v), y1: 0, y2: height - 26, class: "axis" }),
    svg("text", { x: toX(v), y: height - 10, class: "tick", "text-anchor": v === 1 ? "end" : "middle" }, number(v)),
  ]);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, marks, shapes);
}
