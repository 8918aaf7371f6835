"""What the machine can do, measured in the same run: products, exponentials, and bytes a second."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from softkmeans.kernels.cpu import codegen, jit, kernels


def measure(rounds=5):
    """Both cores' FMA peak and sgemm rate (flop/s), exponentials a second in cache, and bytes a second copied."""
    n_threads, fma, exp = torch.get_num_threads(), _kernel(_fma_loop), _kernel(_exp_loop)
    found = {"fma": [], "exp": [], "copy": [], "sgemm": []}
    for _ in range(rounds):
        found["fma"].append(
            _in_threads(lambda y: _rate(fma, y, 20_000_000, 12 * 2 * codegen.register_bytes() // 4), n_threads)
        )
        found["exp"].append(_in_threads(lambda y: _rate(exp, y, 50_000, len(y)), n_threads))
        found["copy"].append(_copy())
        found["sgemm"].append(_sgemm(10_000, 128, 256))
    return {name: max(values) for name, values in found.items()} | {"threads": n_threads}


def seconds(rates, n, d, k):
    """The floor of a dense pass: two products, n k exponentials, and the rows read once."""
    return 4 * n * d * k / rates["fma"] + n * k / rates["exp"] + 4 * n * d / rates["copy"]


def _kernel(write):
    """Compile a loop of ``n`` rounds."""
    order = [name for names in kernels.ARGUMENTS.values() for name in names]
    function = jit.linked(jit.compiled(write, 32))

    def run(n, y):
        given = {"n": n, "y": y.ctypes.data}
        function(*[given.get(name, 0) for name in order])

    return run


def _fma_loop(code, t):
    sums = [code.variable(code.full(float(i))) for i in range(12)]
    factor = code.full(0.999)
    for _ in code.range(0, t.n):
        for total in sums:
            total.set(code.fma(total, factor, factor))
    t.y.store(0, sum(sums[1:], sums[0]))


def _exp_loop(code, t):
    for _ in code.range(0, t.n):
        for i in code.range(0, 2048, code.lanes):
            t.y.store(i, code.exp2(t.y.load(i) - 4.0))


def _rate(run, y, rounds, work):
    began = time.perf_counter()
    run(rounds, y)
    return rounds * work / (time.perf_counter() - began)


def _in_threads(rate, n_threads):
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(rate, [np.zeros(2048, np.float32) for _ in range(n_threads)]))


def _copy():
    source, target = torch.ones(2**26), torch.empty(2**26)
    target.copy_(source)
    began = time.perf_counter()
    target.copy_(source)
    return 2 * source.nbytes / (time.perf_counter() - began)


def _sgemm(m, d, k):
    a, b = (np.random.default_rng(0).standard_normal(s, np.float32) for s in ((m, d), (d, k)))
    a @ b
    began = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * m * d * k / (time.perf_counter() - began)
