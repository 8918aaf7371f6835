"""Work in threads that compute alone: order, errors, gradients, and PyTorch's number of threads."""

import threading
import warnings

import numpy as np
import pytest
import torch

from helpers.waiting import HANG_SECONDS
from softkmeans import FuzzyCMeans, SoftKMeans
from softkmeans._utils.one_thread import in_one_thread, map_in_single_threads
from softkmeans.distances import DISTANCES


@pytest.fixture(params=[1, 2, 5])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_are_in_order_and_each_thread_works_alone(n_threads):
    results = list(map_in_single_threads(lambda i: (i, torch.get_num_threads()), range(40)))
    assert results == [(i, 1) for i in range(40)]
    assert torch.get_num_threads() == n_threads
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))  # threads that start later
    thread.start()
    thread.join(HANG_SECONDS)
    assert found == [n_threads]


def test_errors_are_raised_and_work_goes_on(n_threads):
    with pytest.raises(ZeroDivisionError):
        list(map_in_single_threads(lambda i: 1 / (i - 3), range(10)))
    assert next(map_in_single_threads(lambda i: i, range(10))) == 0
    assert in_one_thread(lambda: in_one_thread(lambda: 3)) == 3


def test_gradients_are_recorded_as_outside(n_threads):
    x = torch.ones(2, requires_grad=True)
    assert in_one_thread(lambda: (2 * x).requires_grad)
    with torch.no_grad():
        assert not in_one_thread(lambda: (2 * x).requires_grad)


def test_threads_of_the_user_do_not_wait_for_each_other(n_threads):
    meeting, met = threading.Barrier(2), []

    def meet():
        in_one_thread(lambda: meeting.wait(HANG_SECONDS))
        met.append(True)

    threads = [threading.Thread(target=meet) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert met == [True, True]


SMALL_FITS = {
    **{name: lambda name=name: SoftKMeans(4, distance=name, random_state=0) for name in DISTANCES},
    "calibrated": lambda: SoftKMeans(4, temperature="calibrated", random_state=0),
    "critical": lambda: SoftKMeans(4, temperature="critical:0.5", random_state=0),
    "perplexity": lambda: SoftKMeans(4, temperature="perplexity:1.5", random_state=0),
    "per cluster": lambda: SoftKMeans(4, temperature="per-cluster", priors="learned", random_state=0),
    "fuzzy": lambda: FuzzyCMeans(4, random_state=0),
    "adam": lambda: SoftKMeans(4, solver="adam", temperature=30.0, random_state=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL_FITS)
def test_small_fits_have_the_same_bits_for_any_number_of_threads(case):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 60)) + rng.integers(0, 2, (700, 1))
    before, results = torch.get_num_threads(), []
    try:
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = SMALL_FITS[case]().set_params(max_iter=4).fit(x)
            results.append((model.cluster_centers_.tobytes(), model.objective_, model.predict_proba(x).tobytes()))
    finally:
        torch.set_num_threads(before)
    assert results[1:] == results[:1] * 2
