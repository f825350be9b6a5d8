"""Markdown as a page that stands alone: what the report shows, for of Markdown and csv it has a link to save them and no view."""

from html import escape

from markdown_it import MarkdownIt

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5em; color: #111; background: #fff }
table { border-collapse: collapse; margin-bottom: 1.5em }
th, td { padding: 0.25em 0.8em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
th { border-bottom: 2px solid #111 }
pre { background: #f4f4f4; padding: 1em }
"""


def page(title: str, markdown: str) -> str:
    """HTML in the text is shown as text."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}</html>\n'
