"""The `softkmeans` command: one module per command, and shared modules for options, inputs and outputs."""

from __future__ import annotations

__all__ = ["app", "main"]

from .app import app, main
