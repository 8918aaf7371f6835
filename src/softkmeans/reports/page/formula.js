// Memberships at any temperature, from stored distances d = nearest + excess, in units that suit 32-bit numbers.

// Return the coefficients of the formula at a value of the slider: b and 1 / T of each cluster.
export function coefficients(content, value) {
  const { formula, slider, n_clusters: k } = content;
  if (formula.rule === "fuzzy") return { fuzzy: true, power: 1 / (value - 1), value, unit: formula.unit };
  const at = Math.log(value / slider.values[0]) / Math.log(slider.values.at(-1) / slider.values[0]);
  const place = Math.min(Math.max(at, 0), 1) * (formula.b.length - 1);
  const [low, part] = [Math.min(Math.floor(place), formula.b.length - 1), place - Math.floor(place)];
  const after = formula.b[Math.min(low + 1, formula.b.length - 1)];
  const b = Float64Array.from({ length: k }, (_, c) => formula.b[low][c] * (1 - part) + after[c] * part);
  const beta = Float64Array.from({ length: k }, (_, c) => formula.unit / (value * formula.factors[c]));
  return { fuzzy: false, b, beta, value, unit: formula.unit, hasOneT: formula.factors.every((f) => Math.abs(f - 1) < 1e-9) };
}

// Compute the memberships of all rows into out, and their sums: sizes, F, E and H.
export function assign(content, data, distances, value, out) {
  const rule = coefficients(content, value);
  return rule.fuzzy ? assignFuzzy(content, data, distances, rule, out) : assignSoftmax(content, data, distances, rule, out);
}

function assignSoftmax(content, data, distances, rule, out) {
  const { n, k, weights } = data;
  const { nearest, excess } = distances;
  const { b, beta, value } = rule;
  const { noise, noise_b: noiseB } = content.formula;
  const weight = new Float64Array(k);
  const sizes = new Float64Array(k);
  let [free, distortion, entropy, total] = [0, 0, 0, 0];
  for (let i = 0, at = 0; i < n; i++, at += k) {
    const d = nearest[i];
    let peak = -Infinity;
    for (let c = 0; c < k; c++) {
      const logit = b[c] - excess[at + c] * beta[c] - d * (beta[c] - beta[0]);
      weight[c] = logit;
      if (logit > peak) peak = logit;
    }
    const outside = noise === null ? -Infinity : noiseB - (noise - d) * beta[0];
    if (outside > peak) peak = outside;
    let sum = noise === null ? 0 : Math.exp(outside - peak);
    for (let c = 0; c < k; c++) {
      const gap = weight[c] - peak;
      const r = gap > -40 ? Math.exp(gap) : 0;
      weight[c] = r;
      sum += r;
    }
    const w = weights ? weights[i] : 1;
    total += w;
    free += w * value * (d * beta[0] - peak - Math.log(sum));
    for (let c = 0; c < k; c++) {
      const r = weight[c] / sum;
      out[at + c] = r;
      if (r > 0) {
        sizes[c] += w * r;
        distortion += w * r * (d + excess[at + c]);
        entropy -= w * r * Math.log(r);
      }
    }
  }
  // The objective of EM; with one temperature for all clusters it is F.
  return { sizes, total, objective: free, F: rule.hasOneT ? free : NaN, E: distortion * rule.unit, H: entropy };
}

function assignFuzzy(content, data, distances, rule, out) {
  const { n, k, weights } = data;
  const { nearest, excess } = distances;
  const { noise } = content.formula;
  const sizes = new Float64Array(k);
  let [objective, distortion, entropy, total] = [0, 0, 0, 0];
  for (let i = 0, at = 0; i < n; i++, at += k) {
    const least = noise === null ? nearest[i] : Math.min(nearest[i], noise);
    let sum = noise === null ? 0 : (least / noise) ** rule.power;
    for (let c = 0; c < k; c++) {
      const d = nearest[i] + excess[at + c];
      const r = d > 0 ? (least / d) ** rule.power : 1;
      out[at + c] = r;
      sum += r;
    }
    const w = weights ? weights[i] : 1;
    total += w;
    objective += w * least * sum ** (1 - rule.value);
    for (let c = 0; c < k; c++) {
      const r = out[at + c] / sum;
      out[at + c] = r;
      if (r > 0) {
        sizes[c] += w * r;
        distortion += w * r * (nearest[i] + excess[at + c]);
        entropy -= w * r * Math.log(r);
      }
    }
  }
  return { sizes, total, objective: objective * rule.unit, F: NaN, E: distortion * rule.unit, H: entropy };
}

// Compute the logits of one row of distances.
export function logits(rule, distances, out) {
  for (let c = 0; c < distances.length; c++) {
    out[c] = rule.fuzzy ? -rule.power * Math.log(Math.max(distances[c], 1e-300)) : rule.b[c] - (distances[c] / rule.unit) * rule.beta[c];
  }
}

// Return for each row its likeliest and second cluster (-1 if none), and the difference of their memberships.
export function topTwo(data, resp, first, second, margin) {
  const { n, k } = data;
  for (let i = 0, at = 0; i < n; i++, at += k) {
    let [a, b, best, next] = [0, -1, resp[at], -1];
    for (let c = 1; c < k; c++) {
      const r = resp[at + c];
      if (r > best) {
        [b, next, a, best] = [a, best, c, r];
      } else if (r > next) {
        [b, next] = [c, r];
      }
    }
    first[i] = a;
    second[i] = b;
    margin[i] = best - Math.max(next, 0);
  }
}

// Return the simplified silhouette width of every row: (b - a) / max(a, b), from distances to the centers.
export function silhouettes(content, data, distances, first) {
  const { n, k } = data;
  const root = content.distance.is_squared ? Math.sqrt : (x) => x;
  const widths = new Float32Array(n);
  for (let i = 0, at = 0; i < n; i++, at += k) {
    let other = Infinity;
    for (let c = 0; c < k; c++) if (c !== first[i] && distances.excess[at + c] < other) other = distances.excess[at + c];
    const [a, b] = [root(distances.nearest[i] + distances.excess[at + first[i]]), root(distances.nearest[i] + other)];
    widths[i] = Math.max(a, b) > 0 ? (b - a) / Math.max(a, b) : 0;
  }
  return widths;
}
