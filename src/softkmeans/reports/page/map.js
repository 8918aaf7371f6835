// The map: rows on a plane, colored by their memberships, with centers and contours of certainty.
import { css, mix, pack, palette, theme } from "./color.js";
import { number, ROOT, ticks, times } from "./dom.js";
import { coefficients, logits } from "./formula.js";

const LEVELS = [0.5, 0.8, 0.95]; // of the largest membership, where contours are drawn
const GRID = 56; // cells of the contours along each side
const MARGIN = { left: 66, right: 14, top: 14, bottom: 54 }; // with room for names of axes in two lines

// Return the axes that the map can have: principal axes of what is clustered, and features.
export function listAxes(content, data) {
  const { axes, features, units } = content;
  const d = data.received.length;
  const list = [];
  const of = units ? ` of ${units}` : "";
  if (d > 2) {
    axes.directions.forEach((direction, a) => {
      const share = Math.round(100 * axes.fractions[a]);
      const shorter = [`Principal axis ${a + 1} (${share} % of the variance)`, `Principal axis ${a + 1} (${share} %)`];
      list.push({ kind: "axis", label: `Principal axis ${a + 1}${of} (${share} % of the variance)`, shorter, direction });
    });
  }
  features.names.slice(0, 300).forEach((name, j) => list.push({ kind: "feature", label: name, column: j }));
  if (features.names.length === 1) list.push({ kind: "jitter", label: "random, to separate the rows" });
  return list;
}

// Return the position of every row, or of every center, on an axis.
function positions(content, data, axis) {
  const out = new Float32Array(data.n);
  if (axis.kind === "feature") return data.features[axis.column];
  if (axis.kind === "jitter") {
    let seed = 1;
    return out.map(() => (seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5);
  }
  axis.direction.forEach((weight, j) => {
    const [column, mean] = [data.received[j], content.axes.mean[j]];
    for (let i = 0; i < data.n; i++) out[i] += weight * (column[i] - mean);
  });
  return out;
}

function centerPositions(content, axis, centers) {
  if (axis.kind === "jitter") return centers.map(() => 0);
  if (axis.kind === "axis") {
    return centers.map((c) => axis.direction.reduce((sum, w, j) => sum + w * (c[j] - content.axes.mean[j]), 0));
  }
  const { slope, offset } = content.received;
  const j = axis.column;
  if (slope) return centers.map((c) => (slope[j] ? (c[j] - offset[j]) / slope[j] : NaN));
  const at = content.centers_in_data_units.names.indexOf(content.features.names[j]);
  const fitted = content.centers_in_data_units.values;
  return centers.map((c, k) => (at >= 0 && c === content.centers[k] ? fitted[k][at] : NaN));
}

export function createMap({ content, data, state, root, onHover, onSelect }) {
  const [base, canvas] = root.children; // the rows, and what lies over them
  const axes = listAxes(content, data);
  const view = { x: 0, y: axes.length > 1 ? 1 : 0, low: [0, 0], high: [1, 1], scale: 1, size: [0, 0], contours: true };
  const order = shuffled(data.n);
  const [px, py] = [new Float32Array(data.n), new Float32Array(data.n)];
  const colors = new Uint32Array(data.n);
  let [xs, ys, full, image, pixels, look, lab, drag] = [null, null, null, null, null, null, null, null];
  let current = -1;

  function setAxes(x, y) {
    [view.x, view.y] = [x, y];
    [xs, ys] = [positions(content, data, axes[x]), positions(content, data, axes[y])];
    full = [range(xs, centerPositions(content, axes[x], state.centers)), range(ys, centerPositions(content, axes[y], state.centers))];
    reset();
  }

  function reset() {
    [view.low, view.high] = [full.map((r) => r[0]), full.map((r) => r[1])];
    layout();
  }

  // Principal axes, and two features that are clustered as they are, have the same scale.
  const isIsometric = () => axes[view.x].kind === "axis" && axes[view.y].kind === "axis";

  function layout() {
    const box = root.getBoundingClientRect();
    const [width, height] = [Math.max(box.width, 200), Math.max(box.height, 200)];
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const c of [base, canvas]) {
      [c.width, c.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    view.size = [width, height];
    [view.w, view.h] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
    view.ratio = ratio;
    ROOT.style.setProperty("--ratio", width / height);
    look = theme();
    lab = palette(data.k, look.isDark);
    lab.forEach((color, c) => ROOT.style.setProperty(`--c${c}`, css(pack(...color))));
    image = base.getContext("2d").createImageData(base.width, base.height);
    pixels = new Uint32Array(image.data.buffer);
    if (isIsometric()) equalize();
    project();
    draw();
  }

  function equalize() {
    const unit = Math.max((view.high[0] - view.low[0]) / view.w, (view.high[1] - view.low[1]) / view.h);
    [view.w, view.h].forEach((length, a) => {
      const middle = (view.low[a] + view.high[a]) / 2;
      [view.low[a], view.high[a]] = [middle - (unit * length) / 2, middle + (unit * length) / 2];
    });
  }

  const toX = (v) => MARGIN.left + ((v - view.low[0]) / (view.high[0] - view.low[0])) * view.w;
  const toY = (v) => view.size[1] - MARGIN.bottom - ((v - view.low[1]) / (view.high[1] - view.low[1])) * view.h;
  const fromX = (p) => view.low[0] + ((p - MARGIN.left) / view.w) * (view.high[0] - view.low[0]);
  const fromY = (p) => view.low[1] + ((view.size[1] - MARGIN.bottom - p) / view.h) * (view.high[1] - view.low[1]);

  function project() {
    for (let i = 0; i < data.n; i++) {
      px[i] = toX(xs[i]);
      py[i] = toY(ys[i]);
    }
  }

  // Rows are drawn pixel by pixel, which is many times faster than 20,000 circles of a canvas.
  function drawRows() {
    mix(data, state.resp, state.margin, lab, look.isDark, colors);
    pixels.fill(0);
    const { width, height } = base;
    const disc = stamp(view.ratio * radius());
    const [left, right] = [(MARGIN.left - 6) * view.ratio, width - (MARGIN.right - 6) * view.ratio];
    const bottom = height - (MARGIN.bottom - 6) * view.ratio;
    for (let o = 0; o < data.n; o++) {
      const i = order[o];
      if (!state.on[state.first[i]]) continue;
      const [x, y] = [Math.round(px[i] * view.ratio), Math.round(py[i] * view.ratio)];
      if (!(x > left && x < right && y > 4 && y < bottom)) continue;
      const color = colors[i];
      for (let s = 0; s < disc.length; s += 3) {
        const [u, v] = [x + disc[s], y + disc[s + 1]];
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        const at = v * width + u;
        if (disc[s + 2] === 255) pixels[at] = color;
        else if (pixels[at] >>> 24 < disc[s + 2]) pixels[at] = ((color & 0xffffff) | (disc[s + 2] << 24)) >>> 0;
      }
    }
    base.getContext("2d").putImageData(image, 0, 0);
  }

  // On paper rows are circles of the upper canvas, as Chromium prints no canvas whose pixels were set one by one.
  function printRows(g) {
    g.save();
    g.beginPath();
    g.rect(MARGIN.left - 6, 0, view.w + 12, view.h + MARGIN.top + 6);
    g.clip();
    for (const i of order) {
      if (!state.on[state.first[i]]) continue;
      g.fillStyle = css(colors[i]);
      g.beginPath();
      g.arc(px[i], py[i], radius(), 0, 7);
      g.fill();
    }
    g.restore();
  }

  const radius = () => Math.min(Math.max(60 / Math.sqrt(data.n), 1.7), 4.5);

  function draw() {
    drawRows();
    drawOverlay();
  }

  function drawOverlay() {
    const g = canvas.getContext("2d");
    g.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    g.clearRect(0, 0, ...view.size);
    if ("print" in ROOT.dataset) printRows(g);
    drawFrame(g);
    if (view.contours) drawContours(g);
    drawCenters(g);
    for (const i of [state.pinned, current]) {
      if (i < 0) continue;
      g.beginPath();
      g.arc(px[i], py[i], 8, 0, 7);
      g.lineWidth = 2;
      g.strokeStyle = look.ink;
      g.stroke();
    }
    if (drag && drag.box) {
      g.setLineDash([4, 3]);
      g.strokeStyle = look.ink;
      g.strokeRect(drag.from[0], drag.from[1], drag.to[0] - drag.from[0], drag.to[1] - drag.from[1]);
      g.setLineDash([]);
    }
  }

  function drawFrame(g) {
    const [width, height] = view.size;
    g.font = "12px system-ui, sans-serif";
    g.fillStyle = look.soft;
    g.strokeStyle = look.line;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(MARGIN.left, MARGIN.top);
    g.lineTo(MARGIN.left, height - MARGIN.bottom);
    g.lineTo(width - MARGIN.right, height - MARGIN.bottom);
    g.stroke();
    g.textAlign = "center";
    for (const v of ticks(view.low[0], view.high[0], width / 110)) g.fillText(number(v), toX(v), height - MARGIN.bottom + 16);
    g.textAlign = "right";
    if (axes[view.y].kind !== "jitter") {
      for (const v of ticks(view.low[1], view.high[1], height / 80)) g.fillText(number(v), MARGIN.left - 6, toY(v) + 4);
    }
    g.textAlign = "center";
    fitted(g, axes[view.x], view.w).forEach((line, l) => g.fillText(line, (MARGIN.left + width) / 2, height - MARGIN.bottom + 34 + 14 * l));
    g.save();
    g.translate(12, (height - MARGIN.bottom) / 2);
    g.rotate(-Math.PI / 2);
    fitted(g, axes[view.y], view.h).forEach((line, l) => g.fillText(line, 0, 14 * l));
    g.restore();
  }

  function drawContours(g) {
    const grids = logOdds();
    if (!grids) return;
    const { left, top } = MARGIN;
    const [dx, dy] = [view.w / (GRID - 1), view.h / (GRID - 1)];
    const levels = LEVELS.map((r) => Math.log(r / (1 - r)));
    g.strokeStyle = look.soft;
    g.lineWidth = 1;
    const paths = levels.map(() => new Path2D());
    const v = [0, 0, 0, 0];
    for (const grid of grids) {
      for (let j = 0; j < GRID - 1; j++) {
        for (let i = 0; i < GRID - 1; i++) {
          const at = j * GRID + i;
          [v[0], v[1], v[2], v[3]] = [grid[at], grid[at + 1], grid[at + GRID + 1], grid[at + GRID]];
          const [low, high] = [Math.min(v[0], v[1], v[2], v[3]), Math.max(v[0], v[1], v[2], v[3])];
          if (high < levels[0] || low > levels.at(-1)) continue;
          levels.forEach((level, l) => {
            if (high < level || low >= level) return;
            const crossed = [];
            for (let e = 0; e < 4; e++) {
              const [a, b] = [v[e], v[(e + 1) % 4]];
              if (a < level === b < level) continue;
              const t = (level - a) / (b - a);
              crossed.push([[t, 0], [1, t], [1 - t, 1], [0, 1 - t]][e]);
            }
            for (let s = 0; s + 1 < crossed.length; s += 2) {
              paths[l].moveTo(left + (i + crossed[s][0]) * dx, top + (j + crossed[s][1]) * dy);
              paths[l].lineTo(left + (i + crossed[s + 1][0]) * dx, top + (j + crossed[s + 1][1]) * dy);
            }
          });
        }
      }
    }
    paths.forEach((path, l) => {
      g.globalAlpha = 0.35 + 0.2 * l;
      g.stroke(path);
    });
    g.globalAlpha = 1;
  }

  // Return the log-odds of each cluster on a grid of the plane, if the plane has distances; on principal axes it goes
  // through the mean of the rows. Log-odds are smooth where memberships jump, so lines between grid points are exact.
  function logOdds() {
    const frame = planeOf();
    if (!frame) return null;
    const { cx, cy, rest, sx, sy } = frame;
    const rule = coefficients(content, state.value);
    const grids = times(data.k, () => new Float32Array(GRID * GRID));
    const [d, r] = [new Float64Array(data.k), new Float64Array(data.k)];
    for (let j = 0; j < GRID; j++) {
      const y = sy(fromY(MARGIN.top + (j / (GRID - 1)) * view.h));
      for (let i = 0; i < GRID; i++) {
        const x = sx(fromX(MARGIN.left + (i / (GRID - 1)) * view.w));
        for (let c = 0; c < data.k; c++) d[c] = (x - cx[c]) ** 2 + (y - cy[c]) ** 2 + rest[c];
        logits(rule, d, r);
        let [best, next] = [-Infinity, -Infinity];
        for (let c = 0; c < data.k; c++) {
          if (r[c] > best) [next, best] = [best, r[c]];
          else if (r[c] > next) next = r[c];
        }
        let sum = 0;
        for (let c = 0; c < data.k; c++) sum += Math.exp(r[c] - best);
        for (let c = 0; c < data.k; c++) {
          const others = sum - Math.exp(r[c] - best);
          const log = others > 1e-9 ? Math.log(others) + best : next;
          grids[c][j * GRID + i] = r[c] - log;
        }
      }
    }
    return grids;
  }

  function planeOf() {
    if (!content.distance.is_squared || content.formula.noise !== null || data.k < 2) return null;
    const [x, y] = [axes[view.x], axes[view.y]];
    const { slope, offset } = content.received;
    const same = (v) => v;
    if (x.kind === "axis" && y.kind === "axis" && view.x !== view.y) {
      const [cx, cy] = [x, y].map((axis) => centerPositions(content, axis, state.centers));
      const rest = state.centers.map((center, c) => {
        const whole = center.reduce((sum, v, j) => sum + (v - content.axes.mean[j]) ** 2, 0);
        return Math.max(0, whole - cx[c] ** 2 - cy[c] ** 2);
      });
      return { cx, cy, rest, sx: same, sy: same };
    }
    if (data.received.length !== 2 || !slope || x.kind !== "feature" || y.kind !== "feature" || view.x === view.y) return null;
    const [a, b] = [x.column, y.column];
    return {
      cx: state.centers.map((c) => c[a]),
      cy: state.centers.map((c) => c[b]),
      rest: state.centers.map(() => 0),
      sx: (v) => slope[a] * v + offset[a],
      sy: (v) => slope[b] * v + offset[b],
    };
  }

  function drawCenters(g) {
    const [cx, cy] = [axes[view.x], axes[view.y]].map((axis) => centerPositions(content, axis, state.centers));
    g.font = "600 12px system-ui, sans-serif";
    g.textAlign = "center";
    state.centers.forEach((_, c) => {
      if (!state.on[c] || !Number.isFinite(cx[c]) || !Number.isFinite(cy[c])) return;
      const [x, y] = [toX(cx[c]), toY(cy[c])];
      g.beginPath();
      g.arc(x, y, data.k > 30 ? 8 : 10, 0, 7);
      g.fillStyle = look.paper;
      g.fill();
      g.lineWidth = 2.5;
      g.strokeStyle = css(pack(...lab[c]));
      g.stroke();
      g.fillStyle = look.ink;
      g.fillText(String(c), x, y + 4);
    });
  }

  const isShown = (i) => state.on[state.first[i]] && px[i] > MARGIN.left - 6 && px[i] < view.size[0] && py[i] > 0 && py[i] < view.size[1] - MARGIN.bottom + 6;

  function nearest(x, y, reach) {
    let [best, found] = [reach * reach, -1];
    for (let i = 0; i < data.n; i++) {
      const d = (px[i] - x) ** 2 + (py[i] - y) ** 2;
      if (d < best && isShown(i)) [best, found] = [d, i];
    }
    return found;
  }

  function neighbor(dx, dy) {
    if (current < 0) return nearest(view.size[0] / 2, view.size[1] / 2, 1e5);
    let [best, found] = [Infinity, current];
    for (let i = 0; i < data.n; i++) {
      const [u, v] = [px[i] - px[current], py[i] - py[current]];
      const along = u * dx + v * dy;
      const across = Math.abs(u * dy) + Math.abs(v * dx);
      if (i === current || along <= 0.5 || across > 1.2 * along || !isShown(i)) continue;
      if (along + 2 * across < best) [best, found] = [along + 2 * across, i];
    }
    return found;
  }

  function hover(i) {
    if (i === current) return;
    current = i;
    drawOverlay();
    onHover(i >= 0 ? i : state.pinned);
  }

  function zoom(factor, x = view.size[0] / 2, y = view.size[1] / 2) {
    const at = [fromX(x), fromY(y)];
    [0, 1].forEach((a) => {
      view.low[a] = at[a] + (view.low[a] - at[a]) / factor;
      view.high[a] = at[a] + (view.high[a] - at[a]) / factor;
    });
    project();
    draw();
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!drag) return hover(nearest(...at, 14));
    drag.to = at;
    drag.moved ||= Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > 4;
    if (!drag.box && drag.moved) {
      [0, 1].forEach((a) => {
        const length = a ? -view.h : view.w;
        const step = ((at[a] - drag.last[a]) / length) * (view.high[a] - view.low[a]);
        [view.low[a], view.high[a]] = [view.low[a] - step, view.high[a] - step];
      });
      project();
      draw();
    } else if (drag.box) drawOverlay();
    drag.last = at;
  });
  canvas.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (event.pointerType === "touch") return hover(nearest(...at, 22));
    drag = { from: at, to: at, last: at, box: event.shiftKey || state.selecting, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    if (!done) return;
    if (done.box && done.moved) return selectBox(done.from, done.to);
    if (!done.moved) pin(nearest(...done.to, 14));
    drawOverlay();
  });
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("dblclick", (event) => zoom(2, ...place(event)));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 200), ...place(event));
    },
    { passive: false },
  );
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) hover(neighbor(...keys[event.key]));
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") reset();
    else if (event.key === "Enter") pin(current);
    else if (event.key === "Escape") pin(-1);
    else return;
    event.preventDefault();
  });

  function pin(i) {
    state.pinned = i;
    drawOverlay();
    onHover(i);
  }

  function selectBox(a, b) {
    const [x0, x1, y0, y1] = [Math.min(a[0], b[0]), Math.max(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[1], b[1])];
    const rows = [];
    for (let i = 0; i < data.n; i++) if (px[i] >= x0 && px[i] <= x1 && py[i] >= y0 && py[i] <= y1 && isShown(i)) rows.push(i);
    drawOverlay();
    onSelect(rows);
  }

  setAxes(view.x, view.y);
  new ResizeObserver(layout).observe(root);
  return {
    axes,
    view,
    setAxes,
    reset,
    zoom,
    draw,
    layout,
    pin,
    colorOf: (c) => `var(--c${c})`,
    positionOf: (i) => [px[i], py[i]],
    colorOfRow: (i) => css(colors[i]),
    contours: (on) => {
      view.contours = on;
      drawOverlay();
    },
    hasContours: () => planeOf() !== null,
  };
}

function range(values, more) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of [values, more]) {
    for (const v of list) {
      if (!Number.isFinite(v)) continue;
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  if (low > high) return [0, 1];
  const gap = high > low ? 0.04 * (high - low) : Math.abs(low) * 0.1 || 1;
  return [low - gap, high + gap];
}

// Return the name of an axis in one or two lines of a width: a shorter form if there is one, else with its middle left out.
function fitted(g, axis, width) {
  const isFit = (text) => g.measureText(text).width <= width;
  const whole = [axis.label, ...(axis.shorter ?? [])].find((text) => text.length < 300 && isFit(text));
  if (whole) return [whole];
  const letters = [...axis.label].slice(0, 300);
  for (let keep = letters.length; ; keep = Math.floor(0.93 * keep)) {
    const start = Math.ceil((2 * keep) / 3);
    const text = keep === letters.length ? letters : [...letters.slice(0, start), "…", ...letters.slice(start - keep)];
    const lines = twoLines(text, isFit);
    if (lines.every(isFit) || keep < 8) return lines;
  }
}

// Break letters into two lines: at the last space of which the first line fits, else where it is full.
function twoLines(letters, isFit) {
  let full = letters.length;
  while (full > 1 && !isFit(letters.slice(0, full).join(""))) full -= 1;
  if (full === letters.length) return [letters.join("")];
  const space = letters.lastIndexOf(" ", full);
  const at = space > full / 2 ? space : full;
  return [letters.slice(0, at).join(""), letters.slice(at).join("").trim()];
}

// Return the offsets of a disc's pixels and their opacity.
function stamp(radius) {
  const list = [];
  const reach = Math.ceil(radius);
  for (let v = -reach; v <= reach; v++) {
    for (let u = -reach; u <= reach; u++) {
      const alpha = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(u, v)));
      if (alpha > 0.05) list.push(u, v, alpha >= 0.999 ? 255 : Math.round(255 * alpha));
    }
  }
  return Int16Array.from(list);
}

// Return the rows in a random order, the same every time, so that no cluster lies on top.
function shuffled(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 12345;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
