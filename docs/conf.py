"""Settings of Sphinx for `make docs`, which builds these pages as a site in docs/_build."""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "Scaling laws of synthetic training images"
author = "The contributors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 4
html_theme = "furo"
html_title = project
html_copy_source = False

DOCS = Path(__file__).parent
LINK = re.compile(r"\[([^\[\]]+)\]\((\.\./[^)#\s]+)(?:#[^)\s]*)?\)")


def replace_links_out_of_docs(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace links that leave docs/: those to files by downloads, those to folders by their text.

    The site is complete without the repository then.
    """
    folder = (DOCS / page).parent

    def replacement(link: re.Match) -> str:
        text, path = link[1], link[2]
        target = (folder / path).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        return f"{{download}}`{text.strip('`')} <{path}>`" if target.is_file() else text

    source[0] = LINK.sub(replacement, source[0])


def setup(app: Sphinx) -> None:
    """Register the lexer of tables, which Pygments lacks, and the replacement of links."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", replace_links_out_of_docs)
