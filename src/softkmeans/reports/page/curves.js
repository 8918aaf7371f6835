// Curves with uPlot, and histograms and silhouettes in SVG.
import { theme } from "./color.js";
import { el, number, svg, times } from "./dom.js";

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

// Return a histogram of values from 0 to 1, with a function that sets the heights of its bars.
export function histogram({ label, bins, outline }) {
  const [width, height, base] = [560, 190, 160];
  const bar = (width - 10) / bins;
  const rects = times(bins, (i) => svg("rect", { x: 5 + i * bar + 1, width: bar - 2, y: base, height: 0, class: "bar" }));
  const most = Math.max(...outline, 1e-12);
  const steps = outline.map((v, i) => `${i ? "L" : "M"}${5 + i * bar},${base - (140 * v) / most}h${bar}`).join("");
  const labels = [0, 0.25, 0.5, 0.75, 1].map((v) => svg("text", { x: 5 + v * (width - 10), y: base + 18, class: "tick", "text-anchor": v === 0 ? "start" : v === 1 ? "end" : "middle" }, String(v)));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, rects, svg("path", { d: steps, class: "outline" }), svg("line", { x1: 5, x2: width - 5, y1: base, y2: base, class: "axis" }), labels);
  return {
    element: picture,
    set: (counts) => {
      const total = counts.reduce((a, b) => a + b, 0) || 1;
      const all = outline.reduce((a, b) => a + b, 0) || 1;
      counts.forEach((v, i) => {
        const h = Math.min(150, (140 * (v / total) * all) / most);
        rects[i].setAttribute("y", base - h);
        rects[i].setAttribute("height", h);
      });
    },
  };
}

// Return the silhouette of the shown rows: for each cluster, its rows' widths in decreasing order.
export function silhouettePlot({ clusters, colorOf, label }) {
  const total = clusters.reduce((sum, c) => sum + c.widths.length, 0) || 1;
  const [width, height, gap] = [560, Math.max(160, Math.min(420, 60 + 40 * clusters.length)), 6];
  const low = Math.min(0, ...clusters.map((c) => (c.widths.length ? c.widths.at(-1) : 0)));
  const toX = (v) => 36 + ((v - low) / (1 - low)) * (width - 46);
  const room = height - 30 - gap * clusters.length;
  let top = 4;
  const shapes = [];
  for (const { cluster, widths } of clusters) {
    const tall = Math.max(1, (room * widths.length) / total);
    const points = Math.min(widths.length, 160);
    let path = `M${toX(0)},${top}`;
    for (let p = 0; p < points; p++) {
      const v = widths[Math.floor((p * widths.length) / points)];
      path += `L${toX(v)},${top + (tall * p) / points}L${toX(v)},${top + (tall * (p + 1)) / points}`;
    }
    const shape = svg("path", { d: `${path}L${toX(0)},${top + tall}Z`, class: "fill" });
    shape.style.setProperty("--c", colorOf(cluster));
    shapes.push(shape);
    if (tall > 9) shapes.push(svg("text", { x: 26, y: top + tall / 2 + 4, class: "tick", "text-anchor": "end" }, String(cluster)));
    top += tall + gap;
  }
  const marks = [...new Set([low < -0.15 ? Math.ceil(low * 10) / 10 : 0, 0, 0.5, 1])].flatMap((v) => [
    svg("line", { x1: toX(v), x2: toX(v), y1: 0, y2: height - 26, class: "axis" }),
    svg("text", { x: toX(v), y: height - 10, class: "tick", "text-anchor": v === 1 ? "end" : "middle" }, number(v)),
  ]);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, marks, shapes);
}
