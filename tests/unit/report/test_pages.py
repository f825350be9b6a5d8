"""Texts of the user in Markdown and in the pages made of it: each shows as the text that it is."""

import re
from html import unescape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.report import html as pages
from synscale.report import tables


def cells(html: str) -> list[str]:
    """Texts of the cells of a page."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        unescape(cell) if "<" not in cell else f"markup: {cell}"
        for cell in re.findall(r"<td[^>]*>(.*?)</td>", body, re.DOTALL)
    ]


MARKUP = [
    "*a* _b_ **c**",
    "`a`",
    "a\\|b\\",
    "&amp; &lt;",
    "<http://a.b>",
    "![a](b) [a](b)",
    "[a][b]",
    "$a_b$",
    "~~a~~",
    "a_b_c",
    "a*b*c",
]


@given(st.text(alphabet=st.sampled_from("ab0 |\\`*_<>&;#$~[]()!:/.=+-^\n\r"), max_size=30))
@pytest.mark.parametrize("text", MARKUP)
def test_markdown_shows_every_cell_as_text(text, random):
    table = pd.DataFrame({"a": [text, random], "b": ["x", "y"]})
    assert cells(pages.page("", tables.markdown(table))) == [
        " ".join(text.split()),
        "x",
        " ".join(random.split()),
        "y",
    ]


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_shows_every_heading_as_text(text):
    html = pages.page("", tables.markdown(pd.DataFrame({text: ["x"]})))
    (heading,) = re.findall(r"<th[^>]*>(.*?)</th>", html)
    assert unescape(heading) == text and "<" not in heading


def test_literal_leaves_plain_text_readable():
    for text in (
        "batch_size 0.1 [0.0, 0.2] (95 %)",
        "p < 0.05",
        "a & b",
        "L(D) = (C / D)^k",
        "real.vit_small",
    ):
        assert pages.literal(text) == text
    assert pages.literal("$5") == "\\$5"  # mathematics on some sites
