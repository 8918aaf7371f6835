"""Where centres start. A new rule is a function, and a line in the tables of `table`."""

from __future__ import annotations

__all__ = ["SEEDINGS", "STREAMED", "starts", "with_more"]

from .in_memory import with_more
from .starts import SEEDINGS, STREAMED, starts
