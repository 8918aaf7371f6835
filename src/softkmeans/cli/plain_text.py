"""Output in an encoding that lacks some characters, such as cp1252 on Windows: plain ones take their place."""

from __future__ import annotations

__all__ = ["replace_unsupported_characters"]

import codecs
import sys

ERROR_HANDLER = "softkmeans.plain"
PLAIN = {
    "─": "-", "━": "-", "│": "|", "…": "...", "—": "-", "–": "-", "−": "-", "×": "x", "·": "*", "±": "+/-", "≤": "<=",
    "≥": ">=", "≈": "~", "→": "->", "√": "sqrt ", "²": "^2", "Σ": "sum ", "σ": "sigma", "β": "beta", "κ": "kappa",
    "μ": "mu", "λ": "lambda", "∂": "d", "‖": "||", "∞": "inf",
}  # fmt: skip


def replace_unsupported_characters() -> None:
    """Let standard output and standard error write plain characters for those that their encoding lacks."""
    codecs.register_error(ERROR_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERROR_HANDLER)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return plain characters for those that can't be encoded, and the position after them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return plain, error.end
