"""Markdown as a self-contained page: for Markdown and csv the report has links, but no view."""

import re
from html import escape

from markdown_it import MarkdownIt

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5em; color: #111; background: #fff }
table { border-collapse: collapse; margin-bottom: 1.5em }
th, td { padding: 0.25em 0.8em; text-align: left; vertical-align: top; \
border-bottom: 1px solid #ddd }
th { border-bottom: 2px solid #111 }
pre { background: #f4f4f4; padding: 1em }
"""


# Characters that begin markup: emphasis, code, links, tags and entities; $ and ~ on some sites.
# Others, such as the underscores of a_b, stay as they are, so that the Markdown is readable.
MARKUP = re.compile(
    r"[\\`*~$|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|(?<=\])[(\[]|!(?=\[)"
)


def literal(text: str) -> str:
    """Escape a text of a user, on one line, so that Markdown shows it as it is.

    A text that begins a line must not begin with the sign of a heading or a list: those are not
    escaped.
    """
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def page(title: str, markdown: str) -> str:
    """Return a page of html. HTML in the Markdown is shown as text.

    Parameters
    ----------
    title : str
        Title of the page.
    markdown : str
        Content.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{head}\n{body}</html>\n'
