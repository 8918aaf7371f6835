"""Fixtures of the tests of selection."""

import pytest

from softkmeans.selection import confidence


@pytest.fixture(autouse=True)
def few_draws(request, monkeypatch):
    """Draw only two data sets for a confidence, where a test is not about it: each needs three fits."""
    if request.path.stem != "test_confidence":
        monkeypatch.setattr(confidence, "MIN_DRAWS", 2)
        monkeypatch.setattr(confidence, "N_DRAWS", 2)
