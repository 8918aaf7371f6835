"""Links of pages to files outside docs/: to the pages that the site makes of them, else to the repository."""

import re

from sphinx.application import Sphinx

REPOSITORY = "https://github.com/softkmeans/softkmeans/blob/main/"
PAGES = [
    (r"\]\(\.\./CONTRIBUTING\.md", "](contributing.md"),
    (r"\]\(\.\./CHANGELOG\.md", "](changelog.md"),
    (r"\]\(\.\./examples/(\w+)\.py\)", r"](gallery/\1.rst)"),
    (r"\]\(\.\./", f"]({REPOSITORY}"),
]


def on_read(_app: Sphinx, _name: str, content: list[str]) -> None:
    """Change the links of a page; remove the empty lines that end a session for doctest."""
    for pattern, replacement in PAGES:
        content[0] = re.sub(pattern, replacement, content[0])
    content[0] = re.sub(r"^(```pycon\n.*?\n)\n+```$", r"\1```", content[0], flags=re.MULTILINE | re.DOTALL)


def on_include(_app: Sphinx, path: object, _parent: str, content: list[str]) -> None:
    """Change the links of a file that lies in the root and is included in a page: those to docs/ stay on the site."""
    content[0] = content[0].replace("](docs/", "](")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both functions."""
    app.connect("source-read", on_read)
    app.connect("include-read", on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
