"""One way to write a table: a tidy csv for programs, Markdown for readers, and html of that.

The Markdown has a heading and explains its numbers; the html is for the report.
"""

import argparse
import math

import pandas as pd

from synscale.report import html
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write

FORMATS = ("csv", "md", "html")


def arguments(description: str, *inputs: str, of: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    """Return the command line of a table. Parameters as of `cli.files_parser`."""
    return cli.files_parser(description, FORMATS, *inputs, of=of)


def number(value, digits: int = 2) -> str:
    """Return a rounded number with a typographic minus; empty if it is missing.

    A number that rounds to zero has no sign.

    Parameters
    ----------
    value : float
        NaN or None if it is missing.
    digits : int, optional
        Digits after the point.
    """
    if value is None or pd.isna(value):
        return ""
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return f"{round(float(value), digits) + 0.0:,.{digits}f}".replace("-", "−")


def interval(value, low, high, digits: int = 2) -> str:
    """Return `value [low, high]`; only the value if there is no interval.

    Parameters
    ----------
    value, low, high : float
        Estimate and ends of its interval.
    digits : int, optional
        Digits after the point.
    """
    if value is None or pd.isna(value):
        return "none"
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def spread(mean, deviation, digits: int = 2) -> str:
    """Return `mean ± standard deviation`; only the mean if there is one seed.

    Parameters
    ----------
    mean, deviation : float
        Mean and standard deviation over seeds.
    digits : int, optional
        Digits after the point.
    """
    has_spread = deviation is not None and pd.notna(deviation)
    return number(mean, digits) + (f" ± {number(deviation, digits)}" if has_spread else "")


def scale(guidance) -> str:
    """Return a guidance scale; empty if there is none."""
    return "" if guidance is None or pd.isna(guidance) else f"{guidance:g}"


def sizes(numbers) -> str:
    """Return the range of some numbers; one number if all are the same."""
    ordered = sorted(set(numbers))
    return f"{ordered[0]:,}" if len(ordered) == 1 else f"{ordered[0]:,} to {ordered[-1]:,}"


def over_seeds(counts) -> str:
    """Return what a number is of its seeds, given numbers of seeds. One seed has no spread."""
    if set(counts) == {1}:
        return "of one seed"
    return f"mean ± standard deviation over {sizes(counts)} seeds"


def markdown(table: pd.DataFrame) -> str:
    """Return a table whose headings and cells show as the texts that they are."""
    texts = table.astype(object).where(table.notna(), "").map(lambda cell: html.literal(str(cell)))
    texts.columns = [html.literal(str(name)) for name in texts]
    return texts.to_markdown(index=False, disable_numparse=True)


def write(tidy: pd.DataFrame, paragraphs: list[str], outputs: list[str]) -> None:
    """Write a table in every format.

    Parameters
    ----------
    tidy : DataFrame
        Content of the csv.
    paragraphs : list of str
        Heading, sentences and `markdown` tables, in order.
    outputs : list of str
        Files for csv, md and html.
    """
    text = "\n\n".join(paragraphs) + "\n"
    with atomic_write(*outputs) as (csv_file, markdown_file, html_file):
        tidy.to_csv(csv_file, index=False, float_format="%.6g")
        markdown_file.write_text(text, encoding="utf-8")
        page = html.page(paragraphs[0].lstrip("# "), text)
        html_file.write_text(page, encoding="utf-8")
