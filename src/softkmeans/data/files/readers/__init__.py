"""Readers of larger-than-memory data: each reads one format, window by window."""

__all__ = ["Reader", "Window", "open_reader"]

from .base import Reader, Window
from .open import open_reader
