"""The table of claims as Markdown: verdicts, what each was measured on, and the rule."""

import pandas as pd

from synscale.analysis.claim_data import LOG_LOSS, RHO, K
from synscale.report import html, tables

RULE = (
    "Each row has two tests: one for the hypothesis and one for its opposite. Their {tests} p "
    "values are adjusted together by Holm's method. A hypothesis holds if its adjusted p is below "
    "0.05, does not hold if that of the opposite is, and is undecided otherwise. The probability "
    "that any verdict is wrong is at most 5 %, as far as each test is right. Intervals are those "
    "of each row, without adjustment. They are of these curves on these sets: what another "
    "generator, or other test images, would change is not in them. {images} If a larger set is "
    "trained on for more iterations (table of hyper-parameters), a gain is not that of the images "
    "alone."
)
SAME_IMAGES = (
    "Seeds repeat training on the same images, and sizes are nested: what another draw of images "
    "would change is in no interval, and intervals of k cover less than 95 % of it "
    "(docs/reference/statistics.md)."
)
OTHER_IMAGES = (
    "Seeds redraw images: intervals over seeds, and over draws of images, contain the draw."
)


def p_text(p: float, adjusted: float) -> str:
    """Return `0.0012 (0.03)`: p and, in brackets, adjusted p. Empty if there is none.

    Parameters
    ----------
    p, adjusted : float
        p value, and the one adjusted for all tests of the table.
    """
    if pd.isna(p):
        return ""
    texts = ["<0.0001" if value < 1e-4 else f"{value:.2g}" for value in (p, adjusted)]
    return f"{texts[0]} ({texts[1]})"


def effect_text(row: pd.Series) -> str:
    """Return the effect of a row with its interval, in its unit."""
    if row["unit"] == LOG_LOSS:
        return f"loss × {tables.interval(row['ratio'], row['ratio_low'], row['ratio_high'])}"
    symbol = {K: "Δk", RHO: "ρ"}[row["unit"]]
    return f"{symbol} = {tables.interval(row['effect'], row['low'], row['high'])}"


def markdown(tidy: pd.DataFrame, redrawn: bool) -> list[str]:
    """Return the verdicts as a table, what each row was measured on, and the rule.

    Parameters
    ----------
    tidy : DataFrame
        As `claim_tests.claims_table` returns it.
    redrawn : bool
        Whether seeds redraw the images.
    """
    texts = tidy[["claim", "hypothesis"]].copy()
    texts.insert(0, "", range(1, len(tidy) + 1))
    texts["effect [95 %]"] = tidy.apply(effect_text, axis=1)
    for name, column in (("p (adjusted)", "p"), ("p of the opposite (adjusted)", "p_opposite")):
        columns = zip(tidy[column], tidy[f"{column}_adjusted"], strict=True)
        texts[name] = [p_text(*pair) for pair in columns]
    texts["verdict"] = tidy["verdict"]
    notes = []
    for place, row in enumerate(tidy.itertuples(), 1):
        note = html.literal(row.note[:1].upper() + row.note[1:])
        notes.append(f"{place}. {row.curves}; on {row.evaluation}; {row.n} {row.n_of}. {note}.")
    tests = int(tidy[["p", "p_opposite"]].notna().to_numpy().sum())
    rule = RULE.format(tests=tests, images=OTHER_IMAGES if redrawn else SAME_IMAGES)
    return [tables.markdown(texts), "## Measured on", "\n".join(notes), "## Rule", rule]
