"""Moved to softkmeans.settings."""

from ..settings import RunOptions, Settings, describe, documented  # noqa: F401
