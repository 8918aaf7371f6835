"""The page: its styles, modules and data in one HTML file, which loads nothing and runs only its own scripts."""

from __future__ import annotations

__all__ = ["MODULES", "build_page", "bundle", "page_file"]

import base64
import hashlib
import html
import re
from importlib.resources import files
from typing import Any

from .encoding import to_json

# Our modules in the order of their imports. A page without a server can't import, so they become one script.
MODULES = (
    "data",
    "dom",
    "formula",
    "color",
    "em",
    "map",
    "tables",
    "curves",
    "tree",
    "sections",
    "main",
)
STYLES = ("vendor/uPlot.min.css", "page.css")
IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)  # on a line of its own
INDENTATION = re.compile(r"^ +|\n(?=\n)", re.MULTILINE)  # our modules have no text over several lines
# Spaces beside punctuation, and texts, whose spaces stay. A template has no template in it.
SPACE_OR_TEXT = re.compile(
    r"""("(?:\\.|[^"\\])*"|`[^`]*`)| ?((?:=>|===|!==|&&|\|\||\?\?|[<>]=|[,;:?=<>{}()\[\]])+) ?"""
)
EXPORT = re.compile(r"^export (?=(?:const|let|function|class|async) )", re.MULTILINE)


def page_file(name: str) -> str:
    """Return the text of a file of the page.

    Parameters
    ----------
    name : str
        Its path in the folder ``page``.

    Examples
    --------
    >>> "<main" in page_file("page.html")
    True
    """
    return (files("softkmeans.reports") / "page").joinpath(name).read_text(encoding="utf-8")


def bundle() -> str:
    """Return our modules as one, without their imports, exports, comments and most spaces.

    Examples
    --------
    >>> "import" in bundle().split()
    False
    """
    joined = "\n".join(EXPORT.sub("", IMPORT.sub("", page_file(f"{name}.js"))) for name in MODULES)
    lines = INDENTATION.sub("", COMMENT.sub("", joined))
    return SPACE_OR_TEXT.sub(lambda found: found[1] or found[2], lines)


def build_page(content: dict[str, Any]) -> str:
    """Return the HTML of a report.

    The policy of the page allows its own scripts and styles, by their hashes, and nothing else: no other script, no
    style, no image, no connection. Texts of the data are JSON in a block that is no script, and shown as text.

    Parameters
    ----------
    content : dict
        What `collect` returned.
    """
    vendor, own = page_file("vendor/uPlot.iife.min.js"), bundle()
    styles = "\n".join(page_file(name) for name in STYLES)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(vendor)} {_hash(own)}",
            f"style-src {_hash(styles)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    parts = {
        "policy": policy,
        "title": html.escape(content["title"][:200]),
        "styles": styles,
        "data": to_json(content),
        "vendor": vendor,
        "script": own,
    }
    # In one pass, so that no part is searched for the names of others.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page_file("page.html"))


def _hash(text: str) -> str:
    """Return the hash of a script or style for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
