"""The report's first page: the main figure and the claims of a study, as reStructuredText.

The report is one file, so the figure is embedded.
"""

from base64 import b64encode
from pathlib import Path
from textwrap import wrap

from synscale.report.names import display_name, escape_rst
from synscale.study.models import Study

LONGEST_LINE = 8000  # docutils reads up to 10,000 characters
VERDICTS = (
    "Verdicts adjust the p values of all rows together, but intervals are not adjusted. A row can "
    "therefore be undecided although its interval excludes no effect."
)
MAIN_FIGURES = ("teaser", "exchange_rate", "supervised_scaling", "clip_scaling")


def main_figure(folder: str, study: Study) -> str:
    """Return the first of MAIN_FIGURES that the study has, with its name below.

    Parameters
    ----------
    folder : str
        Name of the study.
    study : Study

    Returns
    -------
    str
        A figure directive, or a sentence that no figure exists.
    """
    for name in MAIN_FIGURES:
        path = Path(f"figures/{folder}/{name}.png")
        if getattr(study.figures, name, None) is not None and path.is_file():
            lines = wrap(b64encode(path.read_bytes()).decode(), LONGEST_LINE)
            image = "\n   ".join(lines)
            label = escape_rst(display_name(name).capitalize())
            caption = f"{label}. Choose its section on the left for its caption."
            return f".. figure:: data:image/png;base64,{image}\n   :width: 100%\n\n   {caption}"
    return "No figure of losses exists yet."


def claims(folder: str, study: Study) -> str:
    """Return the claims of a study with effects and verdicts.

    Parameters
    ----------
    folder : str
        Name of the study.
    study : Study

    Returns
    -------
    str
        A table directive, or a sentence that the table does not exist.
    """
    path = Path(f"tables/{folder}/claims.csv")
    if study.tables.claims is None or not path.is_file():
        return "The study has no table of claims, or it has not been written yet."
    import pandas as pd  # not while Snakemake plans

    from synscale.report.claims_table import effect_text

    lines = [".. list-table:: Claims of the paper, tested on this study", "   :header-rows: 1"]
    lines += ["   :widths: 60 25 15", ""]
    rows = [("claim", "effect [95 % interval]", "verdict")]
    table = pd.read_csv(path)
    for _, same in table.groupby("claim", sort=False):
        detail = "hypothesis" if same["hypothesis"].nunique() == len(same) else "evaluation"
        for _, row in same.iterrows():
            claim = row["claim"] if len(same) == 1 else f"{row['claim']}: {row[detail]}"
            rows.append((claim, effect_text(row), row["verdict"]))
    for row in rows:
        cells = [escape_rst(cell) for cell in row]
        lines += [f"   * - {cells[0]}", *(f"     - {cell}" for cell in cells[1:])]
    return "\n".join([*lines, "", VERDICTS])
