"""One way to write a table: a tidy csv for programs, and Markdown for readers, with a heading and
what its numbers are; html of that for the report.
"""

import argparse
import math

import pandas as pd

from synscale.report import html as pages
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write

FORMATS = ("csv", "md", "html")


def arguments(description: str, *inputs: str, of: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    return cli.files_parser(description, FORMATS, *inputs, of=of)


def number(value, digits: int = 2) -> str:
    """Rounded, with a typographic minus; empty where it is missing. What rounds to zero has no
    sign.
    """
    if value is None or pd.isna(value):
        return ""
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return f"{round(float(value), digits) + 0.0:,.{digits}f}".replace("-", "−")


def interval(value, low, high, digits: int = 2) -> str:
    """value [low, high]; the value alone where there is no interval."""
    if value is None or pd.isna(value):
        return "none"
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def spread(mean, deviation, digits: int = 2) -> str:
    """mean ± standard deviation; the mean alone of one seed."""
    return number(mean, digits) + (
        "" if deviation is None or pd.isna(deviation) else f" ± {number(deviation, digits)}"
    )


def scale(guidance) -> str:
    return "" if guidance is None or pd.isna(guidance) else f"{guidance:g}"


def sizes(found) -> str:
    """Distinct sizes as one: all the same, or from smallest to largest."""
    found = sorted(set(found))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def over_seeds(counts) -> str:
    """What a number is of its seeds; one seed alone has no spread."""
    return (
        "of one seed"
        if set(counts) == {1}
        else f"mean ± standard deviation over {sizes(counts)} seeds"
    )


def markdown(table: pd.DataFrame) -> str:
    """Headings and cells as the texts that they are: none is markup, and none ends its cell."""
    texts = table.astype(object).where(table.notna(), "").map(lambda cell: pages.literal(str(cell)))
    return texts.rename(columns=lambda name: pages.literal(str(name))).to_markdown(
        index=False, disable_numparse=True
    )


def write(tidy: pd.DataFrame, paragraphs: list[str], outputs: list[str]) -> None:
    """outputs: csv, md, html. paragraphs: heading, sentences and `markdown` tables, in order."""
    markdown = "\n\n".join(paragraphs) + "\n"
    with atomic_write(*outputs) as (csv, text, html):
        tidy.to_csv(csv, index=False, float_format="%.6g")
        text.write_text(markdown, encoding="utf-8")
        html.write_text(pages.page(paragraphs[0].lstrip("# "), markdown), encoding="utf-8")
