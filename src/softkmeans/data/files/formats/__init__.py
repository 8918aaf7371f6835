"""File formats: a record each, with functions that read and write. Nothing else in the package knows their suffixes."""

__all__ = ["FORMATS", "Format"]

from ....registries import FORMATS
from .base import Format
