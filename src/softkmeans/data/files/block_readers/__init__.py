"""Readers of larger-than-memory data: files and streams of tables, window by window."""

__all__ = ["Reader", "Window", "open_reader"]

from .base import Reader, Window
from .files import open_reader
