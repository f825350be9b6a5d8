"""How likely a study decides each claim of the paper, by simulation, before anything is trained.

python -m scripts.claim_power --study studies/NAME.yaml

Prints a Markdown table: for each claim, the share of simulated studies in which it holds, and in
which it does not hold, if the effects are as many margins as the column says.
"""

import argparse

import pandas as pd

from synscale.analysis.claim_power import Noise, power
from synscale.study.load import StudyError, load_study

EFFECTS = (0.0, 0.5, 1.0, 2.0)


def markdown(table: pd.DataFrame) -> str:
    """Return a row for each claim and a column for each effect: holds / does not hold, in %."""
    cells = [
        f"{100 * holds:.0f} / {100 * opposite:.0f}"
        for holds, opposite in zip(table["holds"], table["does_not_hold"], strict=True)
    ]
    wide = table.assign(cell=cells).pivot_table(
        index=["claim", "hypothesis"], columns="effect", values="cell", aggfunc="first", sort=False
    )
    wide.columns = [f"{effect:g} margins" for effect in wide.columns]
    return wide.reset_index().to_markdown(index=False)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    options.add_argument("--study", required=True, help="study file with a table of claims")
    options.add_argument("--times", type=int, default=40, help="simulated studies for each effect")
    defaults = Noise()
    for name in ("k", "seed", "size", "class_k"):
        options.add_argument(
            f"--noise-{name.replace('_', '-')}",
            dest=name,
            type=float,
            default=getattr(defaults, name),
            help="see synscale/analysis/claim_power.py (default: %(default)s)",
        )
    return options


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    args = parser().parse_args(arguments)
    try:
        study = load_study(args.study)
    except StudyError as error:
        raise SystemExit(str(error)) from None
    if study.tables.claims is None:
        raise SystemExit(f"{args.study}: tables.claims: missing; add it")
    noise = Noise(args.k, args.seed, args.size, args.class_k)
    print(markdown(power(study, EFFECTS, args.times, noise)))


if __name__ == "__main__":
    main()
