"""Fit a scaling law to a table of your own: `python -m scripts.fit_law data.csv --x images --y loss`.

Reads csv or parquet, prints a summary, and writes JSON with --json. Without --law it chooses the law and says why. Rows with the same
size are taken for seeds of one point. With --x2 (model size, say) the law has two variables.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.lib import csv_tables, laws
from scripts.lib.files import write_json
from scripts.lib.laws import LawError, two_variable
from scripts.lib.laws.fit import points


def read(path: str, columns: list[str]) -> pd.DataFrame:
    """These columns of a table as numbers. Raises LawError where the file or a column cannot be used."""
    readers = {".csv": csv_tables.frame, ".parquet": pd.read_parquet}
    if Path(path).suffix not in readers:
        raise LawError(f"{path}: neither .csv nor .parquet")
    if not Path(path).is_file():
        raise LawError(f"{path}: no such file")
    try:
        table = readers[Path(path).suffix](path)
    except (ValueError, OSError) as error:
        raise LawError(f"{path}: cannot be read: {error}") from None
    for column in columns:
        if column not in table:
            raise LawError(f"{path}: no column {column!r}; it has {', '.join(map(str, table.columns))}")
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.isna().any():
            row = int(np.flatnonzero(numbers.isna())[0])
            raise LawError(f"{path}: {column} in row {row + 1} is {str(table[column].iat[row])!r}, not a number: remove the row or mend it")
        table[column] = numbers.astype(float)
    return table[columns]


def bootstrap(law: str, sizes: np.ndarray, losses: np.ndarray, times: int, seed: int) -> list[float]:
    """95 % percentile interval of k over case resamples of the sizes. On ten points it covers 86 to 91 %: less than it says."""
    x, y = points(sizes, losses)
    module = laws.LAWS[law]
    random = np.random.default_rng(seed)
    weights = np.zeros((0, len(x)))
    while len(weights) < times:  # a resample of too few different sizes has no fit and is drawn again
        drawn = random.multinomial(len(x), np.full(len(x), 1 / len(x)), size=times).astype(float)
        weights = np.concatenate([weights, drawn[(drawn > 0).sum(1) >= module.FEWEST]])
    return [float(v) for v in np.quantile(module.bootstrap(x, y, weights[:times]), [0.025, 0.975])]


def summary(result: dict) -> str:
    lines = [f"law        {result['law']}", f"objective  {result['objective']}", f"n          {result['n']}"]
    shown = ("k", "k_after", "break", "scale", "floor", "a", "b", "A", "B", "k_interval_hc3", "k_bootstrap", "r_squared", "aicc")
    for name in shown:
        value = result.get(name)
        if value is not None:
            interval = result.get(f"{name}_interval")
            text = f"[{value[0]:.4g}, {value[1]:.4g}]" if isinstance(value, list) else f"{value:.4g}"
            lines.append(f"{name:<10} {text}" + (f"  [{interval[0]:.4g}, {interval[1]:.4g}]" if interval else ""))
    if len(result.get("minima", [])) > 1:
        lines.append("two minima " + "; ".join(f"k {m['k']:.4g}, floor {m['floor']:.4g}, residual sum {m['residual_sum']:.4g}" for m in result["minima"]))
    if result.get("reason"):
        lines.append(f"chosen     {result['reason']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="csv or parquet")
    parser.add_argument("--x", required=True, help="column of sizes")
    parser.add_argument("--y", required=True, help="column of losses")
    parser.add_argument("--x2", help="column of a second size; the law is then two_variable, with N = x2 and D = x")
    parser.add_argument("--law", choices=[*laws.LAWS, "two_variable"], help="chosen from the data unless given")
    parser.add_argument("--bootstrap", type=int, default=0, metavar="TIMES", help="add a bootstrap interval of k")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--json", help="file to write the fit to")
    args = parser.parse_args(arguments)
    if (args.law == "two_variable" and not args.x2) or (args.x2 and args.law not in (None, "two_variable")):
        parser.error("--law two_variable and --x2 go together")

    try:
        table = read(args.table, [args.x, args.y, *([args.x2] if args.x2 else [])])
        sizes, losses = table[args.x].to_numpy(), table[args.y].to_numpy()
        if args.x2:
            result = two_variable.fit(table[args.x2].to_numpy(), sizes, losses, args.bootstrap or 200, args.seed)
        elif args.law:
            result = laws.fit(args.law, sizes, losses).as_json()
        else:
            choice = laws.choose(sizes, losses)
            others = {
                law: {"aicc": fit.as_json()["aicc"], "held_out_error": choice.held_out[law] if np.isfinite(choice.held_out[law]) else None}
                for law, fit in choice.fits.items()
            }
            result = choice.fit.as_json() | {"reason": choice.reason, "candidates": others}
        if args.bootstrap and not args.x2:
            if not hasattr(laws.LAWS[result["law"]], "bootstrap"):
                raise LawError(f"no bootstrap for law {result['law']!r}: leave --bootstrap out")
            result["k_bootstrap"] = bootstrap(result["law"], sizes, losses, args.bootstrap, args.seed)
    except LawError as error:
        sys.exit(f"{args.table}: {error}" if not str(error).startswith(args.table) else str(error))
    print(summary(result))
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
