// Colors of clusters, mixed by memberships in OKLab (Ottosson 2020), which is perceptually uniform.
import { ROOT, times } from "./dom.js";

// Okabe & Ito's colors (2008), which color-blind readers can tell apart, without yellow; then others for more clusters.
const LIGHT = ["#0072B2", "#E08E00", "#009E73", "#D55E00", "#4AA8E0", "#C0639A", "#555555", "#8A7A00"];
const DARK = ["#4DA6E8", "#F0AC3C", "#2FC598", "#F07F3C", "#8ACBF5", "#E293C2", "#B0B0B0", "#C9BA3F"];

export function theme() {
  const style = getComputedStyle(ROOT);
  const read = (name) => style.getPropertyValue(name).trim();
  return { isDark: read("--dark") === "1", ink: read("--ink"), soft: read("--soft"), line: read("--line"), paper: read("--paper") };
}

function linear(v) {
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
}

export function toLab(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => linear(parseInt(hex.slice(at, at + 2), 16) / 255));
  const l = Math.cbrt(0.412221 * r + 0.536333 * g + 0.051446 * b);
  const m = Math.cbrt(0.211903 * r + 0.6807 * g + 0.107397 * b);
  const s = Math.cbrt(0.088302 * r + 0.281719 * g + 0.629979 * b);
  return [
    0.210454 * l + 0.793618 * m - 0.004072 * s,
    1.977999 * l - 2.428592 * m + 0.450594 * s,
    0.025904 * l + 0.782772 * m - 0.808676 * s,
  ];
}

const GAMMA = Uint8Array.from({ length: 4097 }, (_, i) => {
  const v = i / 4096;
  return Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));
});

const clamp = (v) => (v < 0 ? 0 : v > 1 ? 4096 : (v * 4096) | 0);

// Return a color of OKLab as 0xAABBGGRR, as a canvas of a little-endian machine holds it.
export function pack(lightness, a, b) {
  const l = (lightness + 0.396338 * a + 0.215804 * b) ** 3;
  const m = (lightness - 0.105561 * a - 0.063854 * b) ** 3;
  const s = (lightness - 0.089484 * a - 1.291486 * b) ** 3;
  const red = GAMMA[clamp(4.076742 * l - 3.307712 * m + 0.23097 * s)];
  const green = GAMMA[clamp(-1.268438 * l + 2.609757 * m - 0.341319 * s)];
  const blue = GAMMA[clamp(-0.004196 * l - 0.703419 * m + 1.707615 * s)];
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

export function css(packed) {
  return `rgb(${packed & 255}, ${(packed >> 8) & 255}, ${(packed >> 16) & 255})`;
}

// Return the colors of k clusters in OKLab; beyond eight, hues a golden angle apart at alternating lightness.
export function palette(k, isDark) {
  const base = (isDark ? DARK : LIGHT).map(toLab);
  return times(k, (c) => {
    if (c < base.length) return base[c];
    const [hue, lightness] = [c * 2.4, (isDark ? 0.66 : 0.5) + 0.09 * (c % 3)];
    return [lightness, 0.13 * Math.cos(hue), 0.13 * Math.sin(hue)];
  });
}

// Mix the colors of the rows: paler where the two largest memberships are closer, and for noise.
export function mix(data, resp, margin, lab, isDark, out) {
  const { n, k } = data;
  const paper = isDark ? 0.36 : 0.88;
  for (let i = 0, at = 0; i < n; i++, at += k) {
    let [l, a, b, sum] = [0, 0, 0, 0];
    for (let c = 0; c < k; c++) {
      const r = resp[at + c];
      if (r > 1e-3) {
        const color = lab[c];
        l += r * color[0];
        a += r * color[1];
        b += r * color[2];
        sum += r;
      }
    }
    l += (1 - sum) * paper;
    const strength = 0.4 + 0.6 * margin[i];
    out[i] = pack(paper + strength * (l - paper), strength * a, strength * b);
  }
}
