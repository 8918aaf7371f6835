"""The documentation site: its links, its reference, its lists of pages, and the examples of its gallery."""

import importlib.util
import re
import runpy
import sys
import tempfile
import types
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

import softkmeans
from softkmeans import errors, model

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def loaded(path):
    """Run a file of Python that is no module of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_code(text):
    """Return a page without its code, in which # is no heading and [a](b) no link."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^(`{3,}|:{3,})[^\n]*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page):
    """Return the anchors of a page, which GitHub and Sphinx make of its headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = Counter()
    for heading in re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        yield f"{slug}-{found[slug]}" if found[slug] else slug
        found[slug] += 1


def links(text):
    """Return the targets of links and pictures, but not those on other sites."""
    return re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", without_code(text))


def broken(page):
    """Return the links of a page that lead nowhere."""
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in set(anchors(file))):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert list(broken(page)) == []


def test_the_check_of_links_finds_what_is_broken(tmp_path):
    page, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# Two *words*, `code`\n\n## Again\n\n## Again\n\n```bash\n# no heading\n```\n")
    good = "[x](b.md) [x](b.md#two-words-code) [x](b.md#again-1) [x](#here) ![x](b.md)"
    page.write_text(
        f"# Here\n\n{good} `[x](code.md)`\n\n```text\n[x](block.md)\n```\n\n[x](c.md) [x](b.md#no-heading)\n"
    )
    assert list(broken(page)) == ["c.md", "b.md#no-heading"]


def public_names():
    """Return the full names of everything public, each under its shortest name."""
    modules = [thing for name in softkmeans.__all__ if isinstance(thing := getattr(softkmeans, name), types.ModuleType)]
    top = {name: f"softkmeans.{name}" for name in softkmeans.__all__ if getattr(softkmeans, name) not in modules}
    yield from top.values()
    for module in [*modules, model, errors]:
        for name in module.__all__:
            thing = getattr(module, name)
            if not isinstance(thing, types.ModuleType) and getattr(softkmeans, name, None) is not thing:
                yield f"{module.__name__}.{name}"


def documented_names():
    """Return the full names that the reference lists."""
    for block in re.findall(r"```\{eval-rst\}\n(.*?)```", (DOCS / "reference.md").read_text(), flags=re.DOTALL):
        current = ""
        for line in block.splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                current = found[1]
            elif found := re.match(r"   (\w[\w.]*)$|\.\. py:data:: (\S+)$", line):
                name = found[1] or found[2]
                yield name if name.startswith("softkmeans.") else f"{current}.{name}"


def test_the_reference_lists_everything_public_once():
    listed = list(documented_names())
    assert len(listed) > 100
    assert Counter(listed) == Counter(public_names())


def test_every_page_is_in_a_list_of_pages():
    listed = Counter()
    for page in DOCS.glob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            listed.update(line for line in block.splitlines() if line and not line.startswith(":"))
    assert set(listed.values()) == {1}
    assert set(listed) == {page.stem for page in DOCS.glob("*.md")} - {"index"} | {"gallery/index"}


def test_the_picture_of_the_rooms_is_that_of_the_imports():
    made = loaded(ROOT / "tools/draw_rooms.py")
    assert made.draw(made.imports()) == (DOCS / "images/rooms.svg").read_text(encoding="utf-8"), "run: make docs"


def test_the_gallery_has_an_order():
    order = loaded(DOCS / "_extensions/gallery_order.py").ORDER
    assert sorted(order) == [path.name for path in EXAMPLES]
    assert len(order) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path, tmp_path, monkeypatch):
    """Each example asserts a figure, and draws at least one picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with torch.random.fork_rng():
        runpy.run_path(str(path))
    drawn = plt.get_fignums()
    plt.close("all")
    assert drawn
    assert re.search(r"^assert ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
