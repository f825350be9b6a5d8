"""Markdown as a page that stands alone: what the report shows, for of Markdown and csv it has a
link to save them and no view.
"""

import re
from html import escape

from markdown_it import MarkdownIt

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5em; color: #111; background: #fff }
table { border-collapse: collapse; margin-bottom: 1.5em }
th, td { padding: 0.25em 0.8em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
th { border-bottom: 2px solid #111 }
pre { background: #f4f4f4; padding: 1em }
"""


# What begins markup: emphasis, code, links, tags and entities; $ and ~ on some sites. Signs that
# begin none, such as the underscores of a_b, stay as they are, so that the Markdown is readable.
MARKUP = re.compile(
    r"[\\`*~$|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|(?<=\])[(\[]|!(?=\[)"
)


def literal(text: str) -> str:
    """Text of a user, on one line, such that Markdown shows it as it is.

    A text that begins a line must not begin with the sign of a heading or a list: those are not
    escaped.
    """
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def page(title: str, markdown: str) -> str:
    """HTML in the text is shown as text."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}</html>\n'
