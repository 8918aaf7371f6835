"""Marks for some cases of a test."""

import pytest


def but_thorough(cases, usual):
    """Return the names of cases, of which those that are not usual are marked as thorough."""
    assert set(usual) <= set(cases)
    return [name if name in usual else pytest.param(name, marks=pytest.mark.thorough) for name in cases]
