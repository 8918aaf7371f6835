// EM on the rows of the page: memberships, then centers at the weighted means. It never raises F.
import { times } from "./dom.js";
import { assign, coefficients } from "./formula.js";

export const EM_DISTANCES = ["sqeuclidean", "cosine"];

// Return the rows that EM uses: all, or evenly spaced ones that keep rows times features within the limit.
export function emPart(content, data) {
  const n = Math.min(data.n, Math.max(1, Math.floor(content.max_em_numbers / data.received.length)));
  if (n === data.n) return data;
  const rows = times(n, (i) => Math.floor((i * data.n) / n));
  const pick = (values) => values && rows.map((i) => values[i]);
  return { ...data, n, received: data.received.map(pick), weights: pick(data.weights) };
}

const isCosine = (content) => content.distance.name === "cosine";

// Return the rows as one array (n, d); of length 1 for cosine distances.
export function matrix(content, data) {
  const { n, received } = data;
  const d = received.length;
  const x = new Float64Array(n * d);
  received.forEach((column, j) => {
    for (let i = 0; i < n; i++) x[i * d + j] = column[i];
  });
  if (isCosine(content)) for (let i = 0; i < n; i++) normalize(x.subarray(i * d, (i + 1) * d));
  return x;
}

function normalize(v) {
  const length = Math.hypot(...v) || 1;
  for (let j = 0; j < v.length; j++) v[j] /= length;
}

// Return the distances of rows to centers, as nearest and excess.
export function distancesTo(content, data, x, centers) {
  const { n, k } = data;
  const d = data.received.length;
  const [nearest, excess] = [new Float32Array(n), new Float32Array(n * k)];
  const flat = Float64Array.from(centers.flat());
  if (isCosine(content)) for (let c = 0; c < k; c++) normalize(flat.subarray(c * d, (c + 1) * d));
  const unit = (isCosine(content) ? 0.5 : 1) / content.formula.unit;
  const own = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    let least = Infinity;
    for (let c = 0; c < k; c++) {
      let sum = 0;
      for (let j = 0, a = i * d, b = c * d; j < d; j++) {
        const gap = x[a + j] - flat[b + j];
        sum += gap * gap;
      }
      own[c] = unit * sum;
      if (own[c] < least) least = own[c];
    }
    nearest[i] = least;
    for (let c = 0; c < k; c++) excess[i * k + c] = own[c] - least;
  }
  return { nearest, excess, centers };
}

// Run one pass of EM; return the new centers, and the objective per row before the update.
export function emPass(content, data, x, centers, value) {
  const { n, k } = data;
  const d = data.received.length;
  const distances = distancesTo(content, data, x, centers);
  const resp = new Float32Array(n * k);
  const sums = assign(content, data, distances, value, resp);
  const [weight, moment] = [new Float64Array(k), new Float64Array(k * d)];
  const power = content.formula.rule === "fuzzy" ? value : 1;
  for (let i = 0; i < n; i++) {
    const w = data.weights ? data.weights[i] : 1;
    for (let c = 0; c < k; c++) {
      const r = w * (power === 1 ? resp[i * k + c] : resp[i * k + c] ** power);
      if (r < 1e-12) continue;
      weight[c] += r;
      for (let j = 0, a = i * d, b = c * d; j < d; j++) moment[b + j] += r * x[a + j];
    }
  }
  const after = centers.map((center, c) => {
    if (!(weight[c] > 0)) return center;
    const mean = times(d, (j) => moment[c * d + j] / weight[c]);
    if (isCosine(content)) normalize(mean);
    return mean;
  });
  return { centers: after, objective: sums.objective / (sums.total || 1) };
}

// Return how many centers are at the place of an earlier one: a row at the mean distance from the one, and as much
// farther from the other as they are apart, has memberships in both that differ by less than 2 %.
export function coincident(content, centers, value, meanDistance) {
  const rule = coefficients(content, value);
  const scale = isCosine(content) ? 0.5 : 1;
  const near = Math.sqrt(meanDistance / scale);
  const isSame = (a, b, c) => {
    const far = near + Math.hypot(...a.map((v, j) => v - b[j]));
    const gap = rule.fuzzy ? rule.power * Math.log((far * far) / (near * near)) : (scale * (far * far - near * near) * rule.beta[c]) / rule.unit;
    return Math.tanh(gap / 2) < 0.02;
  };
  return centers.filter((a, c) => centers.slice(0, c).some((b) => isSame(a, b, c))).length;
}
