"""Reports that several tests open, and the browser."""

import numpy as np
import pytest
from sklearn.datasets import load_wine

from helpers.browser import browser, require_browser
from helpers.reports import MODELS
from softkmeans import report


@pytest.fixture(scope="session")
def made():
    """Return a function from a name to a model, its rows and its report."""
    known = {}

    def get(name):
        if name not in known:
            model, x = MODELS[name]()
            weights = np.random.default_rng(0).uniform(0.5, 2, len(x)) if name == "weighted" else None
            labels = load_wine(as_frame=True).target if name == "wine" else None
            page = report(
                model,
                x,
                sample_weight=weights,
                labels=labels,
                title=name,
                with_path=name == "wine",
                with_selection=False,
            )
            known[name] = model, x, page
        return known[name]

    return get


@pytest.fixture(scope="session")
def page():
    """Return a browser."""
    require_browser()
    with browser() as started:
        yield started


@pytest.fixture
def opened(page, made, tmp_path):
    """Return a function that opens the report of a model; the console must stay silent."""

    def open_report(name):
        made(name)[2].save(tmp_path / "report.html")
        page.emulate()
        return page.open(tmp_path / "report.html")

    yield open_report
    assert [text for text in page.messages() if "willReadFrequently" not in text] == []  # which tests cause
