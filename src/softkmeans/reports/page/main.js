// The page: its state, the slider, and what changes with it.
import { redrawCurves, histogram } from "./curves.js";
import { prepare, readContent, weightOf } from "./data.js";
import { byId, count, el, named, number, percent, ROOT, short, show, times } from "./dom.js";
import { coincident, distancesTo, EM_DISTANCES, emPart, emPass, matrix } from "./em.js";
import { assign, silhouettes, topTwo } from "./formula.js";
import { createMap } from "./map.js";
import { renderAgainst, renderClusters, renderHeader, renderMade, renderPath, renderSelection, renderSilhouettes, renderTraining } from "./sections.js";
import { scrollable, sortableTable } from "./tables.js";

const N_AMBIGUOUS = 100; // rows of the table
const CERTAIN = 0.999; // difference of the two largest memberships from which a row is not doubtful
const MAX_PASSES = 200; // of EM
const BINS = 20;

const content = readContent();
const data = prepare(content);
const { n, k } = data;
const isFuzzy = content.formula.rule === "fuzzy";
const steps = content.slider.values;
const state = {
  value: content.slider.fitted,
  distances: data.fitted,
  centers: data.fitted.centers,
  resp: new Float32Array(n * k),
  first: new Uint16Array(n),
  second: new Int16Array(n),
  margin: new Float32Array(n),
  on: new Array(k).fill(true),
  pinned: -1,
  selecting: false,
  selected: null,
  sums: null,
};

let scheduled = false; // whether the next frame updates the page
let later = 0; // the timer of what updates when the slider rests

function recompute() {
  state.sums = assign(content, data, state.distances, state.value, state.resp);
  topTwo(data, state.resp, state.first, state.second, state.margin);
}

recompute();
renderHeader(content);
const map = createMap({ content, data, state, root: byId("map"), onHover: showRow, onSelect: select });
const bars = histogram({ label: "Histogram of the largest membership of each row", bins: BINS, outline: content.overview.certainty, unit: data.weights ? "weight" : "rows" });
show("histogram", bars.element);
renderClusters(content, data, map);
renderSilhouettes(content, data, silhouettes(content, data, data.fitted, state.first), state.first, map);
renderTraining(content);
renderPath(content);
renderSelection(content);
renderAgainst(content);
renderMade(content);
const nameOf = (i) => (content.rows.ids ? content.rows.ids[i] : `Row ${rowNumber(i)}`);
const table = ambiguousTable();
renderControls();
renderSlider();
update();
showRow(-1);

// Rows count from 1, as lines of a table do.
function rowNumber(i) {
  return (data.index ? data.index[i] : i) + 1;
}

function labelOf(i) {
  return data.labels ? content.rows.labels.names[data.labels[i]] : null;
}

// Show a row's memberships and values; the whole if there is none.
function showRow(i) {
  const title = byId("row-title");
  state.shown = i >= 0 ? i : -1;
  byId("row-hint").hidden = i >= 0;
  byId("selection-hint").hidden = true;
  if (i < 0 || i === undefined) {
    title.replaceChildren("A row");
    show("row");
    return;
  }
  title.replaceChildren(named(nameOf(i), 60));
  const order = times(k, (c) => c).sort((a, b) => state.resp[i * k + b] - state.resp[i * k + a]);
  let rest = 1;
  const items = order.slice(0, 8).map((c) => {
    const r = state.resp[i * k + c];
    return membership(`Cluster ${c}`, r, map.colorOf(c));
  });
  for (let c = 0; c < k; c++) rest -= state.resp[i * k + c];
  if (content.formula.noise !== null) items.push(membership("Noise", Math.max(0, rest), "var(--soft)"));
  const label = labelOf(i);
  const values = content.features.names.slice(0, 40).flatMap((name, j) => [el("dt", {}, named(name, 60, "bdi")), el("dd", {}, number(data.features[j][i], 5))]);
  const more = content.features.names.length > 40 ? el("p", { class: "small" }, `and ${content.features.names.length - 40} more features`) : null;
  show(
    "row",
    el("ul", { class: "memberships" }, items),
    el("dl", { class: "values" }, content.rows.ids ? [el("dt", {}, "row"), el("dd", {}, number(rowNumber(i)))] : null, label === null ? null : [el("dt", {}, named(content.rows.labels.name, 60, "bdi")), el("dd", {}, named(label, 80))], data.weights ? [el("dt", {}, "weight"), el("dd", {}, number(data.weights[i]))] : null, values),
    more,
  );
}

function membership(name, r, color) {
  return el("li", {}, el("span", {}, name), el("span", { class: "bar-track", "aria-hidden": "true" }, el("i", { width: `${100 * r}%`, color })), el("span", {}, r.toFixed(3)));
}

function ambiguousTable() {
  const d = content.features.names.length;
  const effect = (j) => Math.max(...times(k, (c) => Math.abs(data.description.effect_size[c * d + j])));
  const best = content.features.names.map((_, j) => j).sort((a, b) => effect(b) - effect(a)).slice(0, 4);
  const columns = [
    { title: content.rows.ids ? "name" : "row", isText: Boolean(content.rows.ids), value: (i) => (content.rows.ids ? nameOf(i) : rowNumber(i)), content: (i) => (content.rows.ids ? named(nameOf(i), 40) : number(rowNumber(i))) },
    ...(data.labels ? [{ title: short(content.rows.labels.name, 40), isText: true, value: labelOf, content: (i) => named(labelOf(i), 30) }] : []),
    { title: "cluster", value: (i) => state.first[i] },
    { title: "membership", value: (i) => state.resp[i * k + state.first[i]], content: (i) => number(state.resp[i * k + state.first[i]], 3) },
    { title: "or cluster", value: (i) => (state.second[i] < 0 ? NaN : state.second[i]) },
    { title: "membership", value: (i) => (state.second[i] < 0 ? NaN : state.resp[i * k + state.second[i]]), content: (i) => (state.second[i] < 0 ? "–" : number(state.resp[i * k + state.second[i]], 3)) },
    { title: "difference", value: (i) => state.margin[i], content: (i) => number(state.margin[i], 3) },
    ...best.map((j) => ({ title: short(content.features.names[j], 40), value: (i) => data.features[j][i], content: (i) => number(data.features[j][i], 4) })),
  ];
  const made = sortableTable({ caption: "Choose a row to see it on the map.", columns, rows: [], sorted: data.labels ? 6 : 5, onRow: (i) => focusRow(i) });
  show("ambiguous", scrollable(made.element, "Doubtful rows"));
  return made;
}

function focusRow(i) {
  map.pin(i);
  byId("map").scrollIntoView({ block: "center" });
  byId("map-canvas").focus({ preventScroll: true });
}

function select(rows) {
  state.selected = rows.length ? rows : null;
  updateTable();
  if (!rows.length) return;
  const means = times(k, (c) => rows.reduce((sum, i) => sum + state.resp[i * k + c], 0) / rows.length);
  byId("row-title").replaceChildren(`${count(rows.length, "selected row")}`);
  byId("row-hint").hidden = true;
  byId("selection-hint").hidden = false;
  state.shown = -1;
  show("row", el("ul", { class: "memberships" }, means.map((r, c) => membership(`Cluster ${c}`, r, map.colorOf(c)))), el("button", { type: "button", onclick: () => { select([]); showRow(state.pinned); } }, "Clear the selection"));
}

function updateTable() {
  const all = state.selected ?? times(n, (i) => i);
  const rows = [...all].filter((i) => state.margin[i] < CERTAIN).sort((a, b) => state.margin[a] - state.margin[b]).slice(0, N_AMBIGUOUS);
  byId("ambiguous").hidden = !rows.length;
  show("ambiguous-text", k > 1 ? doubtText(rows.length) : "");
  table.setRows(rows);
}

function doubtText(found) {
  const all = state.selected ? `the ${number(state.selected.length)} selected rows` : content.is_sample ? "the shown rows" : "all rows";
  if (!found) return `Of ${all}, none is doubtful with the slider as it is: the two largest memberships of each differ by ${CERTAIN} or more.`;
  const these = found === 1 ? "this one is the least sure" : `these ${number(found)} are the least sure`;
  return `Of ${all}, ${these} with the slider as it is, the least sure first: the difference of their two largest memberships is the smallest. Rows where it is ${CERTAIN} or more are left out. Sorting sorts these rows.`;
}

function renderControls() {
  const chooser = (id, label, chosen, change) =>
    el("label", { for: id }, label, el("select", { id, onchange: change }, map.axes.map((axis, a) => el("option", { value: String(a), selected: a === chosen }, short(axis.label, 70)))));
  const choose = () => map.setAxes(Number(byId("axis-x").value), Number(byId("axis-y").value));
  const button = (text, label, action) => el("button", { type: "button", "aria-label": label, onclick: action }, text);
  const legend = el(
    "fieldset",
    { class: "legend" },
    el("legend", {}, "Clusters"),
    state.on.map((_, c) =>
      el("label", { class: "legend-item" }, el("input", { type: "checkbox", checked: true, onchange: (event) => { state.on[c] = event.target.checked; map.draw(); } }), el("span", { class: "swatch", color: map.colorOf(c) }), String(c), el("span", { id: `size-${c}`, class: "small" })),
    ),
  );
  const contours = el("label", {}, el("input", { type: "checkbox", id: "contours", checked: true, onchange: (event) => map.contours(event.target.checked) }), "contours");
  const selecting = el("label", {}, el("input", { type: "checkbox", id: "selecting", onchange: (event) => { state.selecting = event.target.checked; } }), "drag selects");
  show("map-controls", chooser("axis-x", "across", map.view.x, choose), chooser("axis-y", "up", map.view.y, choose), button("+", "Zoom in", () => map.zoom(1.4)), button("−", "Zoom out", () => map.zoom(1 / 1.4)), button("All", "Show all rows", map.reset), map.hasContours() ? contours : null, selecting, legend);
  const plane = data.received.length > 2 ? " in the plane through the mean of the rows" : "";
  show("contour-text", map.hasContours() ? `Lines are where the largest membership is 0.5, 0.8 and 0.95${plane}; rows differ in directions that are not shown, too.` : "");
}

// The slider has equal steps of log T, or of log (m - 1) for fuzzy memberships.
function toStep(value) {
  const shift = isFuzzy ? 1 : 0;
  const [low, high] = [Math.log(steps[0] - shift), Math.log(steps.at(-1) - shift)];
  return ((Math.log(value - shift) - low) / (high - low)) * (steps.length - 1);
}

function fromStep(step) {
  const shift = isFuzzy ? 1 : 0;
  const [low, high] = [Math.log(steps[0] - shift), Math.log(steps.at(-1) - shift)];
  return Math.exp(low + (step / (steps.length - 1)) * (high - low)) + shift;
}

function renderSlider() {
  const slider = byId("slider");
  const isMean = !isFuzzy && content.formula.factors.some((f) => Math.abs(f - 1) > 1e-9);
  show("slider-label", isFuzzy ? "Fuzzifier m" : isMean ? "Temperature T, mean of the clusters" : "Temperature T");
  slider.value = toStep(state.value);
  slider.addEventListener("input", () => schedule(fromStep(Number(slider.value))));
  byId("reset").addEventListener("click", () => {
    Object.assign(state, { distances: data.fitted, centers: data.fitted.centers });
    setValue(content.slider.fitted);
    show("em-text");
  });
  byId("em").addEventListener("click", runEm);
  const place = (value) => `${(100 * toStep(value)) / (steps.length - 1)}%`;
  const mark = (value, text, kind) => {
    const span = el("span", { class: kind }, text);
    span.style.left = place(value);
    return span;
  };
  const clusters = content.slider.marks.filter((m) => m.cluster !== null).sort((a, b) => b.value - a.value);
  const whole = content.slider.marks.find((m) => m.cluster === null);
  // The marks of the clusters lie close together: one for all, at the largest, unless there are few.
  const marks = [mark(content.slider.fitted, "fitted", "fitted")];
  if (whole) marks.push(mark(whole.value, "one cluster splits", whole.value / content.slider.fitted < 4 ? "low" : ""));
  if (clusters.length) marks.push(mark(clusters[0].value, `cluster ${clusters[0].cluster} splits`, "low"));
  show("marks", marks);
  byId("fuzzy-text").hidden = !isFuzzy;
  byId("soft-text").hidden = isFuzzy;
  if (whole) show("critical-text", criticalText(whole, clusters));
  if (!EM_DISTANCES.includes(content.distance.name)) {
    byId("em").disabled = true;
    show("em-text", `EM in the page knows squared Euclidean and cosine distances, not ${content.distance.name}.`);
  }
}

function criticalText(whole, clusters) {
  const [high, low] = [clusters[0], clusters.at(-1)].map((mark) => mark && number(mark.value, 3));
  const range = high ? ` From T = ${high} down to ${low}, these clusters would split further, if the fit had more centers.` : "";
  return `Above the critical temperature ${number(whole.value, 3)}, EM moves all centers to one place.${range}`;
}

// Update at most once a frame.
function schedule(value) {
  state.value = value;
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    recompute();
    update();
  });
}

function setValue(value) {
  state.value = value;
  byId("slider").value = toStep(value);
  recompute();
  update();
}

// Draw what depends on the memberships; tables only when the slider rests.
function update() {
  const { sums } = state;
  map.draw();
  const isFitted = Math.abs(Math.log(state.value / content.slider.fitted)) < 1e-9;
  const ratio = isFuzzy ? "" : `, ${number(state.value / content.slider.fitted, 3)} × fitted`;
  const moved = state.distances === data.fitted ? "" : ", centers moved by EM";
  const text = `${isFuzzy ? "m" : "T"} = ${number(state.value, 4)}${isFitted ? ", as fitted" : ratio}${moved}`;
  byId("slider-value").textContent = text;
  byId("slider").setAttribute("aria-valuetext", text);
  for (let c = 0; c < k; c++) byId(`size-${c}`).textContent = percent(sums.sizes[c] / (sums.total || 1));
  const counts = new Float64Array(BINS);
  for (let i = 0; i < n; i++) counts[Math.min(BINS - 1, Math.floor(state.resp[i * k + state.first[i]] * BINS))] += weightOf(data, i);
  const heights = bars.set(Array.from(counts));
  show("histogram-text", histogramText(heights));
  const per = (v) => number(v / (sums.total || 1), 4);
  const figures = [["rows shared by", `${Math.exp(sums.H / (sums.total || 1)).toFixed(2)} clusters`], ["E per row", per(sums.E)], ["H per row", per(sums.H)]];
  if (Number.isFinite(sums.F)) figures.unshift(["F per row", per(sums.F)]);
  show("live", figures.map(([name, v]) => el("div", {}, el("dt", {}, name), el("dd", {}, v))));
  clearTimeout(later);
  later = setTimeout(() => {
    updateTable();
    if (state.shown >= 0) showRow(state.shown);
  }, 150);
}

// Say what the bars show, in numbers.
function histogramText(heights) {
  const sum = (from, to) => number(heights.slice(from, to).reduce((a, b) => a + b, 0), 3);
  const unit = data.weights ? "of the weight" : content.is_sample ? "rows, estimated from the shown ones" : "rows";
  return `With the slider as it is, the largest membership is 0.9 or more in ${sum(18, 20)}, from 0.5 to 0.9 in ${sum(10, 18)}, and less than 0.5 in ${sum(0, 10)} ${unit}.`;
}

// Run EM at the temperature of the slider, a few passes a frame, until the objective no longer falls.
function runEm() {
  const part = emPart(content, data);
  const rows = matrix(content, part);
  const x = part === data ? rows : matrix(content, data);
  let centers = state.centers.map((c) => Array.from(c));
  let [start, before, passes] = [null, Infinity, 0];
  const which = part.n < n ? ` on ${number(part.n)} of the ${number(n)} shown rows, evenly spaced` : content.is_sample ? ` on the ${count(n, "shown row")}` : "";
  byId("em").disabled = true;
  const go = () => {
    const until = performance.now() + 25;
    let done = false;
    do {
      const pass = emPass(content, part, rows, centers, state.value);
      centers = pass.centers;
      passes += 1;
      done = before - pass.objective <= 1e-9 * Math.abs(pass.objective) || passes >= MAX_PASSES;
      before = pass.objective;
      start ??= before;
    } while (!done && performance.now() < until);
    state.distances = distancesTo(content, data, x, centers);
    state.centers = centers;
    recompute();
    update();
    const name = isFuzzy ? "The objective" : Number.isFinite(state.sums.F) ? "F" : "The loss";
    show("em-text", `EM${which}, ${count(passes, "pass", "passes")}${done ? "" : " so far"}: ${name} per row ${number(start, 6)} → ${number(before, 6)}. “Back to the fit” undoes it.${done ? mergedText(centers) : ""}`);
    if (done) {
      byId("em").disabled = false;
      return;
    }
    requestAnimationFrame(go);
  };
  go();
}

// Say whether EM moved centers to one place.
function mergedText(centers) {
  const merged = coincident(content, centers, state.value, state.sums.E / (state.sums.total || 1));
  const cause = isFuzzy ? "m is" : "T is";
  return merged ? ` ${count(merged, "center")} of ${k} ${merged === 1 ? "is" : "are"} now at the place of another: ${cause} too high to tell these clusters apart.` : "";
}

function redraw() {
  map.layout();
  redrawCurves();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
window.addEventListener("beforeprint", () => {
  ROOT.dataset.print = "";
  redraw();
});
window.addEventListener("afterprint", () => {
  delete ROOT.dataset.print;
  redraw();
});
window.addEventListener("resize", redrawCurves);

// For those who look into the page: what it shows, as numbers.
window.softkmeansReport = {
  get temperature() {
    return state.value;
  },
  set temperature(value) {
    setValue(value);
  },
  get objective() {
    return state.sums.objective;
  },
  memberships: (i) => Array.from(state.resp.subarray(i * k, (i + 1) * k)),
  positionOf: map.positionOf,
  colorOf: map.colorOfRow,
};
ROOT.dataset.ready = "";
