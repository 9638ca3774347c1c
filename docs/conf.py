"""Sphinx configuration; warnings are errors in `make docs`."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import matplotlib

# The gallery is computed while the docs are built: no window, no progress bar and one thread per library.
matplotlib.use("Agg")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "neurocircuit"
author = "The neurocircuit developers"
project_copyright = author
release = installed_version("neurocircuit")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "circuit_directive",
    "public_names",
]
exclude_patterns = ["_build", "examples", "lessons", "results"]
templates_path = ["_templates"]
default_role = "py:obj"
# Quotes and ellipses, but no dashes: "--preset" is an option.
smartquotes_action = "qe"

autosummary_generate = True
# A package's page lists its __all__, most of which it imports from its modules.
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"

sphinx_gallery_conf = {
    # Lessons are longer, and belong to the tutorials.
    "examples_dirs": ["examples", "lessons"],
    "gallery_dirs": ["gallery", "tutorials/lessons"],
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"neurocircuit {release}"
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# Pages without pages below them have nothing to list in a sidebar.
html_sidebars = {page: [] for page in ("index", "tutorials/getting_started", "reproductions")}
