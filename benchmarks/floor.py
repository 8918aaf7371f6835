"""Measure the limits of the machine: products, exponentials, and bytes per second."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from softkmeans.kernels.compiler import FLOAT, Arguments, Kernel, Number, Output, compile_kernel, link, register_bytes


def measure(rounds=5):
    """Return the best rates of all threads, per second: fma and sgemm (flop), exp in cache, and copy (bytes)."""
    n_threads, fma, exp = torch.get_num_threads(), _kernel(_fma_loop), _kernel(_exp_loop)
    rates = {"fma": [], "exp": [], "copy": [], "sgemm": []}
    for _ in range(rounds):
        rates["fma"].append(_in_threads(lambda x: _rate(fma, x, 20_000_000, 12 * 2 * register_bytes() // 4), n_threads))
        rates["exp"].append(_in_threads(lambda x: _rate(exp, x, 50_000, len(x)), n_threads))
        rates["copy"].append(_copy())
        rates["sgemm"].append(_sgemm(10_000, 128, 256))
    return {name: max(values) for name, values in rates.items()} | {"threads": n_threads}


def seconds(rates, n, d, k):
    """Return the least seconds of a dense pass: two products, n k exponentials, and reading the rows once."""
    return 4 * n * d * k / rates["fma"] + n * k / rates["exp"] + 4 * n * d / rates["copy"]


class LoopArguments(Arguments):
    """The arguments of the loops that are measured."""

    n = Number(lambda p: p, "rounds")
    x = Output(FLOAT, lambda p: (2048,), "numbers to work on")


def _kernel(write):
    """Compile a loop of n rounds over an array x."""
    kernel = Kernel(write.__name__, write, LoopArguments)
    compiled = link(compile_kernel(kernel, 32), kernel, 32)

    def run(n, x):
        values = {"n": n, "x": x.ctypes.data}
        compiled.function(*[values[name] for name in compiled.parameters])

    return run


def _fma_loop(code, t):
    """Write a loop of twelve independent multiply-adds of registers."""
    sums = [code.variable(code.full(float(i))) for i in range(12)]
    factor = code.full(0.999)
    for _ in code.range(0, t.n):
        for total in sums:
            total.set(code.fma(total, factor, factor))
    t.x.store(0, sum(sums[1:], sums[0]))


def _exp_loop(code, t):
    """Write a loop of exponentials of 2048 numbers."""
    for _ in code.range(0, t.n):
        for i in code.range(0, 2048, code.lanes):
            t.x.store(i, code.exp2(t.x.load(i) - 4.0))


def _rate(run, x, rounds, operations):
    """Return the operations per second of a loop, given those of a round."""
    began = time.perf_counter()
    run(rounds, x)
    return rounds * operations / (time.perf_counter() - began)


def _in_threads(rate, n_threads):
    """Return the sum of the rates of threads that run at the same time."""
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(rate, [np.zeros(2048, np.float32) for _ in range(n_threads)]))


def _copy():
    """Return the bytes per second of a copy, read and written."""
    source, target = torch.ones(2**26), torch.empty(2**26)
    target.copy_(source)
    began = time.perf_counter()
    target.copy_(source)
    return 2 * source.nbytes / (time.perf_counter() - began)


def _sgemm(m, d, k):
    """Return the floating-point operations per second of NumPy's matrix product."""
    a, b = (np.random.default_rng(0).standard_normal(s, np.float32) for s in ((m, d), (d, k)))
    a @ b
    began = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * m * d * k / (time.perf_counter() - began)
