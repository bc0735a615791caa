"""How Sphinx builds the site: ``nox -s docs``.

The source folder is the repository's root, so that links between pages, notebooks and results are the same
on the site and in the repository. Notebooks are shown with their committed outputs and never run.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

import adathresh  # noqa: E402

project = "adathresh"
author = copyright = "The adathresh developers"
release = version = adathresh.__version__

extensions = [
    "glossary_links",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
]

root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**", "notebooks/**"]
# Folders that hold no pages are not searched at all.
exclude_patterns = [
    "[!dnRC]*",
    "docs/_build",
    "**/.ipynb_checkpoints",
    "docs/extensions",
    "docs/redirect",
    "docs/static",
]

# Pages and notebooks
nb_execution_mode = "off"
# Controls need a kernel; what stands beside them does not.
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3  # GitHub's anchors of headings
suppress_warnings = [
    "mystnb.unknown_mime_type",  # progress bars, which have a text besides
    "misc.highlighting_failure",
]

# Docstrings: types are written for readers ("array-like of shape …") and are no links.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": False}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpicky = True
# Modules, whose names are described in their package, and names that are described on another page.
nitpick_ignore_regex = [
    ("py:mod", r"adathresh\..*"),
    ("py:func", r"adathresh\.datasets\.downloads\.fetch|adaptive_threshold_loss"),
    ("py:data", r"FREQUENCY_BINS|TARGETS"),
    ("py:class", r"AdaptiveThreshold"),
]


def skip_request_methods(app, what, name, obj, skip, options):
    """Leave out the methods of scikit-learn's metadata routing, whose docstrings are scikit-learn's own."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Connect what is done by functions."""
    app.connect("autodoc-skip-member", skip_request_methods)


html_theme = "furo"
html_title = f"adathresh {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["redirect"]  # the site begins at docs/index.html; its root leads there
html_copy_source = False
html_show_sourcelink = False

linkcheck_timeout = 30
linkcheck_retries = 2
linkcheck_anchors = False
