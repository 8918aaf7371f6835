"""Reports: one page of HTML that shows a clustering, to explore and to send to others."""

from __future__ import annotations

__all__ = ["Extras", "Report", "collect", "report"]

from .content import Extras, collect
from .report import Report, report
