"""The command line: parse, call, print. One file for a command or a few; what they share is beside them."""

from __future__ import annotations

__all__ = ["app", "main"]

from .app import app, main
