"""Readers of larger-than-memory data: each reads one format, window by window."""

__all__ = ["Reader", "Window", "open_reader"]

from .base import Reader, Window
from .registry import open_reader
