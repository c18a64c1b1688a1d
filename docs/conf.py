"""How ``make docs`` builds these pages: Sphinx, MyST, furo, and no warning."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from complycube_sessions import __version__  # noqa: E402 - found by the line above

project = "django-complycube-sessions"
author = "The authors of django-complycube-sessions"
release = version = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings: list[str] = []

html_theme = "furo"
html_title = "ComplyCube sessions"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_show_copyright = html_show_sphinx = html_copy_source = False
html_theme_options = {"navigation_with_keys": True}


def link_files_outside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let links to files of the repository that are no pages, which GitHub follows, lead to copies."""
    source[0] = re.sub(r"\]\((\.\./[^)#]+)\)", r"](path:\1)", source[0])


def label_cells(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Repeat the heading of its column in each cell, for narrow screens, which show rows as cards."""
    for table in doctree.findall(nodes.tgroup):
        headings = [entry.astext() for head in table.findall(nodes.thead) for entry in head[0]]
        for row in (row for body in table.findall(nodes.tbody) for row in body):
            for entry, heading in list(zip(row, headings, strict=True))[1:]:
                if heading and entry.children:
                    label = nodes.inline("", heading, classes=["column-label"])
                    entry[0].insert(0, label)


def setup(app: Sphinx) -> None:
    app.connect("source-read", link_files_outside)
    app.connect("doctree-resolved", label_cells)
