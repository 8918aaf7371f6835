// The parts of the page that do not change with the slider.
import { curve, silhouettePlot } from "./curves.js";
import { byId, count, el, named, number, percent, short, show, times } from "./dom.js";
import { scrollable, sortableTable } from "./tables.js";
import { annealingTree } from "./tree.js";

export function renderHeader(content) {
  const { overview, n_rows: n, n_clusters: k } = content;
  show("title", named(content.title, 200));
  document.title = short(content.title, 200);
  const noise = overview.noise > 1e-6 * content.weight ? ` ${number(overview.noise, 3)} of their weight is noise.` : "";
  const spread = k > 1 ? ` ${overview.sure < 1 && overview.sure > 0.995 ? "Over 99 %" : percent(overview.sure)} of them belong to one cluster with a membership of 0.9 or more; on average, a row is spread over ${overview.perplexity.toFixed(2)} clusters.` : "";
  show("summary", `${count(n, "row")} in ${count(k, "cluster")}.${spread}${noise}`);
  show("warnings", content.warnings.slice(0, 3).map((text) => el("p", { class: "note" }, sentence(text))));
  show("sample", content.is_sample ? `Shown are ${count(content.rows.n, "row")} of ${number(n)}: a random sample of each cluster in proportion to its size, and the most ambiguous rows. Figures of the fit are of all rows.` : "");
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

// Draw a card for each cluster, with its size and the features that set it apart.
export function renderClusters(content, data, map) {
  const { overview, strongest, n_clusters: k } = content;
  const largest = Math.max(1, ...strongest.flat().map((f) => Math.min(Math.abs(f.effect_size ?? 10), 10)));
  const cards = times(k, (c) => {
    const items = strongest[c].map((f) => {
      const effect = f.effect_size ?? 10;
      const part = (50 * Math.min(Math.abs(effect), largest)) / largest;
      const bar = el("i", { width: `${part}%` });
      bar.style.left = effect < 0 ? `${50 - part}%` : "50%";
      return el("li", {}, named(f.feature, 60), ` ${number(f.mean)}, all others ${number(f.rest_mean)} (d\u00a0${effect > 0 ? "+" : ""}${number(f.effect_size, 2)})`, el("span", { class: "effect", "aria-hidden": "true" }, bar));
    });
    const rows = `${number(overview.sizes[c], 3)} rows, ${percent(overview.sizes[c] / (content.weight || 1))}`;
    const list = items.length ? el("ul", {}, items) : el("p", { class: "small" }, k > 1 ? "No feature differs from that of all others." : "There are no others to compare with.");
    const card = el("article", { class: "card" }, el("h3", {}, `Cluster ${c}`, el("span", {}, rows)), list);
    card.style.setProperty("--c", map.colorOf(c));
    return card;
  });
  show("clusters", cards);
  const { names } = content.features;
  const d = names.length;
  const at = (part, c, j) => data.description[part][c * d + j];
  const strength = (j) => Math.max(...times(k, (c) => Math.abs(at("effect_size", c, j))));
  const columns = [
    { title: "feature", isText: true, value: (j) => names[j], content: (j) => named(names[j], 40) },
    { title: "largest |d|", value: strength },
    ...Array.from({ length: Math.min(k, 50) }, (_, c) => [
      { title: `mean ${c}`, value: (j) => at("mean", c, j) },
      { title: `spread ${c}`, value: (j) => at("spread", c, j) },
      { title: `d ${c}`, value: (j) => at("effect_size", c, j), content: (j) => number(at("effect_size", c, j), 2) },
    ]).flat(),
  ];
  const table = sortableTable({ caption: "Mean and spread (standard deviation) of each feature in each cluster, weighted by memberships.", columns, rows: names.map((_, j) => j), sorted: 1, descending: true });
  show("features", scrollable(table.element, "All features"));
}

export function renderSilhouettes(content, data, widths, first, map) {
  if (data.k < 2) {
    byId("silhouette-section").hidden = true;
    return;
  }
  const clusters = times(data.k, (c) => ({ cluster: c, widths: [] }));
  for (let i = 0; i < data.n; i++) clusters[first[i]].widths.push(widths[i]);
  clusters.forEach((c) => c.widths.sort((a, b) => b - a));
  const { silhouette } = content.overview;
  const known = silhouette.map((v, c) => ({ v, c })).filter(({ v }) => Number.isFinite(v)).sort((a, b) => b.v - a.v);
  const listed = known.length > 12 ? [known[0], known.at(-1)] : [...known].sort((a, b) => a.c - b.c);
  const text = listed.map(({ v, c }) => `cluster ${c}: ${number(v, 2)}`).join(known.length > 12 ? " (the largest) to " : ", ") + (known.length > 12 ? " (the smallest)" : "");
  show("silhouette", silhouettePlot({ clusters: clusters.filter((c) => c.widths.length), colorOf: map.colorOf, label: `Silhouette widths of the rows by cluster. Means: ${short(text, 600)}` }));
  show("silhouette-text", `Mean width in each cluster, measured by the distances to the centers: ${short(text, 600)}.`);
}

export function renderTraining(content) {
  const { training } = content;
  if (!training) {
    byId("no-training").hidden = false;
    return;
  }
  show("training", Object.entries(training.curves).map(([title, y]) => curve({ title, xLabel: "pass", x: training.passes, y })));
}

export function renderPath(content) {
  const { path } = content;
  if (!path) return;
  byId("path-section").hidden = false;
  const lives = Object.entries(path.lifetimes).sort((a, b) => b[1] - a[1]);
  const best = lives.length ? `The last number of clusters is where the path ends. Of those before it, ${lives[0][0]} last longest: while T falls by a factor of ${number(Math.exp(lives[0][1]), 3)}.` : "";
  const label = `Tree of clusters: from one cluster above the critical temperature ${number(path.critical, 3)} to ${path.levels.at(-1).weights.length} clusters.`;
  show("path", annealingTree({ path, fitted: content.slider.fitted, label }));
  show("path-text", `${label} ${best}`);
}

export function renderSelection(content) {
  const { selection } = content;
  if (!selection) return;
  byId("selection-section").hidden = false;
  const certain = selection.at_end ? "This is the end of the range that was tried, so larger numbers may be better." : `Confidence in this number: ${percent(selection.confidence)}, by resampled rows and by simulated data with fewer clusters.`;
  const sample = selection.n_rows < content.n_rows ? ` Fitted to a random sample of ${count(selection.n_rows, "row")}.` : "";
  show("selection-text", `By ${selection.criterion}, ${count(selection.chosen, "cluster")} fit best. ${certain}${sample} Dashed lines mark what each criterion chooses.`);
  show(
    "selection",
    Object.entries(selection.scores).map(([name, y]) => {
      const choice = selection.choices[name];
      return curve({ title: selection.headers[name], note: choice === undefined ? "" : `chooses ${choice}` + (choice === selection.k.at(-1) ? " (end of range)" : ""), xLabel: "number of clusters", x: selection.k, y, marks: choice === undefined ? [] : [choice] });
    }),
  );
}

export function renderAgainst(content) {
  const list = content.warnings.map((text) => el("p", { class: "note" }, sentence(text)));
  show("against", list);
  byId("nothing-against").hidden = list.length > 0;
}

export function renderMade(content) {
  const { made, figures } = content;
  const none = () => el("span", { class: "small" }, "not recorded");
  const versions = (list) => Object.entries(list).map(([name, v]) => `${name} ${v}`).join(", ");
  const same = made.data_hash && made.report_hash ? (made.data_hash === made.report_hash ? "the same data" : "other data than the model was fitted on") : "";
  const facts = [
    ["Model", `${made.kind}, distance ${content.distance.name}, scaling ${content.scaling}`],
    ["Command", made.command ? el("code", {}, made.command) : none()],
    ["Fitted on", made.data ? [named(made.data, 300), `, ${count(made.n_rows, "row")}`] : none()],
    ["SHA-256 of the data", made.data_hash ? el("code", {}, made.data_hash) : none()],
    ["Fitted with", Object.keys(made.versions).length ? versions(made.versions) : none()],
    ["This report", [made.report_data ? named(made.report_data, 300) : "rows in memory", same ? `: ${same}` : "", `, ${versions(made.report_versions)}`]],
    ["Parameters", el("code", {}, Object.entries(made.parameters).map(([name, v]) => `${name}=${short(v, 200)}`).join(", "))],
    ...Object.entries(figures).map(([name, v]) => [name[0].toUpperCase() + name.slice(1), v]),
  ];
  show("made", facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
