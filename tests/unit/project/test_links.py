"""Links of the documents, without the network: files and headings exist, addresses are complete."""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.workflow import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "data/**/*.md")
    for path in ROOT.glob(pattern)
    if "_build" not in path.parts
)


@cache
def tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def links(parsed: list[Token]) -> Iterator[str]:
    """Yield the targets of links and images."""
    for token in parsed:
        target = token.attrGet("href") or token.attrGet("src")
        if isinstance(target, str):
            yield target
        yield from links(token.children or [])


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST derive them."""
    names: set[str] = set()
    parsed = tokens(path)
    for opening, inline in itertools.pairwise(parsed):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            repeats = sum(
                re.fullmatch(rf"{re.escape(slug)}(-\d+)?", each) is not None for each in names
            )
            names.add(f"{slug}-{repeats}" if repeats else slug)
    return names


def problem(page: Path, link: str) -> str | None:
    """Return what is wrong with a link of a page."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        is_complete = parts.scheme == "https" and re.fullmatch(r"[\w.-]+\.\w+", parts.netloc)
        return None if is_complete else "not a complete https address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return "no such file"
    if parts.fragment and parts.fragment not in anchors(target):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_page_exist(page):
    problems = {link: problem(page, link) for link in links(tokens(page))}
    assert {link: text for link, text in problems.items() if text} == {}


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("docs/none.md", "no such file"),
        ("CONTRIBUTING.md#none", "no such heading"),
        ("#none", "no such heading"),
        ("http://example.org", "not a complete https address"),
        ("https://example", "not a complete https address"),
        ("CONTRIBUTING.md#run-the-tests", None),
        ("https://example.org/a#b", None),
        ("docs", None),
    ],
)
def test_broken_link_is_found(link, expected):
    assert problem(ROOT / "README.md", link) == expected


def test_index_lists_every_page():
    index = ROOT / "docs/index.md"
    listed = {(index.parent / urlsplit(link).path).resolve() for link in links(tokens(index))}
    pages = {path for path in PAGES if path.is_relative_to(ROOT / "docs")}
    assert pages - {index} <= listed
