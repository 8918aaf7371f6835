"""The settings of Sphinx for the documentation site: `make site`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "src")]

import softkmeans  # noqa: E402 -- after the path to it

project = "softkmeans"
author = project_copyright = "the softkmeans developers"
version = release = softkmeans.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "members",
    "repository",
]
templates_path = ["_templates"]
exclude_patterns = ["gallery/*.ipynb", "gallery/*.py", "**/sg_execution_times.rst", "sg_execution_times.rst"]
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(sklearn|numpy|torch|matplotlib)\..*")]  # no inventory is fetched while building
suppress_warnings = ["config.cache"]  # the function in autosummary_context can't be pickled

# Markdown pages. Headings have the anchors that GitHub gives them.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# The reference. Docstrings name the types, so signatures do not.
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The gallery: every example is run.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "abort_on_example_error": True,
    "doc_module": ("softkmeans",),
    "backreferences_dir": "gallery/backreferences",
    "show_signature": False,
    "capture_repr": ("_repr_html_",),
    "download_all_examples": False,
    "write_computation_times": False,
    "thumbnail_size": (460, 300),
}

# The pages. Everything that they load is in the folder that is built.
html_theme = "pydata_sphinx_theme"
html_title = "softkmeans"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/softkmeans.svg"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # summaries are fetched from the pages, which is not possible for files on disk
html_theme_options = {
    "logo": {"text": "softkmeans", "image_light": "_static/softkmeans.svg", "image_dark": "_static/softkmeans.svg"},
    "github_url": "https://github.com/softkmeans/softkmeans",
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "show_nav_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}  # light or dark as the reader's system; without it, the console has a warning
html_sidebars = {"index": [], "contributing": [], "changelog": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Links to other sites are checked by `make linkcheck` alone.
linkcheck_timeout = 20
linkcheck_retries = 2
