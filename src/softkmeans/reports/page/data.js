// The data of the page: numbers in base64, in a block of JSON.

const ARRAYS = { float32: Float32Array, uint16: Uint16Array, uint32: Uint32Array };
const MISSING = 65535;

export function readContent() {
  return JSON.parse(document.getElementById("content").textContent);
}

// Return the typed array of an encoded value.
export function decode(value) {
  const text = atob(value.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return new ARRAYS[value.type](bytes.buffer);
}

// Return the columns of a matrix of n rows, as numbers; NaN where a value is missing.
export function decodeColumns(value, n) {
  const all = decode(value);
  const d = n ? all.length / n : 0;
  const columns = [];
  for (let j = 0; j < d; j++) {
    const codes = all.subarray(j * n, (j + 1) * n);
    const isExact = value.type === "float32";
    const column = new Float64Array(n);
    for (let i = 0; i < n; i++) column[i] = !isExact && codes[i] === MISSING ? NaN : value.low[j] + value.step[j] * codes[i];
    columns.push(column);
  }
  return columns;
}

// Return everything that the page computes with, decoded.
export function prepare(content) {
  const { n } = content.rows;
  const k = content.n_clusters;
  const features = decodeColumns(content.features.values, n);
  let received = features;
  if (content.received.values) {
    received = decodeColumns(content.received.values, n);
  } else if (content.received.slope.some((s, j) => s !== 1 || content.received.offset[j] !== 0)) {
    received = features.map((column, j) => {
      const [slope, offset] = [content.received.slope[j], content.received.offset[j]];
      return column.map((x) => slope * x + offset);
    });
  }
  return {
    n,
    k,
    features,
    received,
    index: content.rows.index ? decode(content.rows.index) : null,
    weights: content.rows.weights ? decode(content.rows.weights) : null,
    labels: content.rows.labels ? decode(content.rows.labels.codes) : null,
    fitted: { nearest: decode(content.rows.nearest), excess: decode(content.rows.excess), centers: content.centers },
    description: Object.fromEntries(Object.entries(content.description).map(([name, v]) => [name, decode(v)])),
  };
}

export function weightOf(data, i) {
  return data.weights ? data.weights[i] : 1;
}
