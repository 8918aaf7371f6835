"""What is written for each row."""

from __future__ import annotations

from typing import Any

from .codegen import Code
from .panels import PANEL, add_to, note_far, places, vectors
from .sparse import listed


def put_nearest(code: Code, t: Any) -> None:
    """Write each row's nearest cluster (the first of equals), its distance, and log2 of the row's total."""
    for v in places(code):
        t.label.store(v, code.full(-1.0))
        t.factor.store(v, code.log2(t.total.load(t.place + v)))
        note_far(code, t, t.least.load(v))
    for _, at, q, p, _ in listed(code, t):
        first = code.select(t.label.load(p) < 0.0, code.floated(q), t.label.load(p))
        t.label.store(p, code.select(t.dist.load(at).same(t.least.load(p)), first, t.label.load(p)))
    for p in code.range(0, t.m):
        t.out_label[t.row + p] = code.truncated(t.label[p])
        t.out_distance[t.row + p] = t.least[p]
        t.out_log_total[t.row + p] = t.factor[p]


def put_memberships(code: Code, t: Any) -> None:
    """Write each row's memberships."""
    for i in code.range(t.row * t.k, (t.row + t.m) * t.k):
        t.out_resp[i] = 0.0
    for i, _, q, p, lanes in listed(code, t):
        t.y.store(i * code.lanes, t.y.load(i * code.lanes) / t.total.load(t.place + p))
        for lane in code.lanes_of(lanes):
            with code.when(p + lane < t.m):
                t.out_resp[(t.row + p + lane) * t.k + q] = t.y[i * code.lanes + lane]


def put_closer(code: Code, t: Any) -> None:
    """Write, center by center, the lesser of the rows' distances and what they had, and add it up, weighted."""
    panel = PANEL * code.lanes
    for q in code.range(0, t.k):
        with code.either(t.m.same(panel)) as (full, part):
            with full:
                for v in places(code):
                    least = code.minimum(t.dist.load(q * panel + v), t.closest.load(t.row + v))
                    t.dist.store(q * panel + v, least)
                    t.out_resp.store(q * t.n + t.row + v, least)
            with part:
                for p in code.range(0, t.m):
                    least = code.minimum(t.dist[q * panel + p], t.closest[t.row + p])
                    t.dist[q * panel + p] = least
                    t.out_resp[q * t.n + t.row + p] = least
        pairs = [(t.dist.load(q * panel + v), t.w.load(t.place + v)) for v in places(code)]
        add_to(code, t.weight, q * code.lanes, pairs)
    for least in vectors(code, t.least, 0):
        note_far(code, t, least)
