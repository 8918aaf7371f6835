"""Readers of data larger than memory: each gives its rows in windows, a format a file."""

from .base import Reader as Reader
from .base import Window as Window
from .opening import open_reader as open_reader
