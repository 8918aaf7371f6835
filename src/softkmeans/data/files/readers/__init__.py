"""Readers of data larger than memory: each gives its rows in windows, a format a file."""

__all__ = ["Reader", "Window", "open_reader"]

from .base import Reader, Window
from .open import open_reader
