"""Fit a scaling law to a table of sizes and losses.

python -m scripts.fit_csv data.csv --x images --y loss

Reads csv, tsv (both also compressed, such as .csv.gz) or parquet, prints a summary, and writes JSON
with --json. Without --law it chooses a law, and k has an interval over all laws that the data do
not rule out. Rows with the same size are seeds of one point. With --x2 (model size, for example)
the law has two variables.
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from synscale.analysis import laws
from synscale.analysis.laws import LawError, two_variable
from synscale.analysis.laws.diagnostics import warnings
from synscale.analysis.laws.fit import points
from synscale.runtime.atomic import write_json
from synscale.study import csv_tables

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
FITTED = ("k", "k_after", "break", "scale", "floor", "a", "b", "A", "B")
SHOWN = (*FITTED, "k_interval_hc3", "k_bootstrap", "r_squared", "aicc")
RESAMPLES = 200  # law of two variables, unless --bootstrap is given


def load(path: Path) -> pd.DataFrame:
    """Read a table by its suffix, in any case. Raise LawError if the suffix is not known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        return pd.read_parquet(path)
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2:-1] if compression else suffixes[-1:]
    separator = SEPARATORS.get("".join(kind))
    if separator is None:
        expected = "expected .csv, .tsv, one of them compressed, or .parquet"
        raise LawError(f"{path}: unknown kind of file ({expected})")
    if separator == "," and compression is None:
        return csv_tables.frame(path)
    return pd.read_csv(path, sep=separator, compression=compression, encoding="utf-8-sig")


def read(path: str, columns: list[str]) -> pd.DataFrame:
    """Read these columns of a table as numbers.

    Parameters
    ----------
    path : str
    columns : list of str

    Returns
    -------
    DataFrame
        One float column for each of `columns`.

    Raises
    ------
    LawError
        If the file or a column cannot be used.
    """
    if Path(path).is_dir() or not Path(path).exists():
        raise LawError(f"{path}: no such file; correct the path")
    try:
        table = load(Path(path))
    except LawError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise LawError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if missing := [column for column in columns if column not in table]:
        known = ", ".join(map(str, table.columns))
        raise LawError(f"{path}: no column {missing[0]!r}; it has {known}")
    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.isna().any():
            row = int(np.flatnonzero(numbers.isna())[0])
            problem = f"{column} in row {row + 1} is {str(table[column].iat[row])!r}, not a number"
            raise LawError(f"{path}: {problem}; correct or remove the row")
        table[column] = numbers.astype(float)
    return table[columns]


def bootstrap(
    law: str, sizes: np.ndarray, losses: np.ndarray, times: int, seed: int
) -> list[float]:
    """Return the 95 % percentile interval of k over case resamples of the sizes.

    On ten points it covers 86 to 91 %, less than its level. A resample of too few different sizes
    has no fit and is drawn again.

    Parameters
    ----------
    law : str
    sizes, losses : ndarray, shape (N,)
    times, seed : int
        Number of resamples, and their seed.
    """
    x, y = points(sizes, losses)
    module = laws.LAWS[law]
    random = np.random.default_rng(seed)
    weights = np.zeros((0, len(x)))
    while len(weights) < times:
        drawn = random.multinomial(len(x), np.full(len(x), 1 / len(x)), size=times).astype(float)
        weights = np.concatenate([weights, drawn[(drawn > 0).sum(1) >= module.FEWEST]])
    k = module.bootstrap(x, y, weights[:times])
    return [float(end) for end in np.quantile(k, [0.025, 0.975])]


def shown(interval: list[float | None]) -> str:
    """Return both ends as text; None is no bound."""
    return "[" + ", ".join("unbounded" if end is None else f"{end:.4g}" for end in interval) + "]"


def summary(result: dict) -> str:
    """Return the fit as lines of text."""
    lines = [f"{name:<10} {result[name]}" for name in ("law", "objective", "n")]
    for name in SHOWN:
        value = result.get(name)
        if value is not None:
            interval = result.get(f"{name}_interval")
            text = shown(value) if isinstance(value, list) else f"{value:.4g}"
            lines.append(f"{name:<10} {text}" + (f"  {shown(interval)}" if interval else ""))
    for law, under in result.get("k_by_law", {}).items():
        status = "  not ruled out" if law in result["not_ruled_out"] else ""
        lines.append(f"k, {law:<7} {under['k']:.4g}  {shown(under['k_interval'])}{status}")
    if len(result.get("minima", [])) > 1:
        minima = [
            f"k {m['k']:.4g}, floor {m['floor']:.4g}, residual sum {m['residual_sum']:.4g}"
            for m in result["minima"]
        ]
        lines.append("two minima " + "; ".join(minima))
    if result.get("reason"):
        lines.append(f"chosen     {result['reason']}")
    return "\n".join([*lines, *(f"warning    {note}" for note in result.get("warnings", []))])


def whole_number(text: str) -> int:
    """Parse an integer that is not negative, for argparse."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} (expected 0 or more)")
    return number


whole_number.__name__ = "integer"  # argparse names it in its messages


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("table", help="csv, tsv, compressed csv or tsv, or parquet")
    options.add_argument("--x", required=True, help="column of sizes")
    options.add_argument("--y", required=True, help="column of losses")
    second = "column of a second size; the law is then two_variable, with N = x2 and D = x"
    options.add_argument("--x2", help=second)
    names = [*laws.LAWS, "two_variable"]
    options.add_argument(
        "--law", choices=names, help="law to fit; selected from the data unless given"
    )
    resamples = "resamples for an interval of k; with --x2 for all intervals, "
    resamples += f"{RESAMPLES} unless given, 0 for none"
    options.add_argument("--bootstrap", type=whole_number, metavar="TIMES", help=resamples)
    options.add_argument("--seed", type=whole_number, default=0, help="seed of the bootstrap")
    options.add_argument("--json", type=Path, help="file to write the fit to")
    return options


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exit with a message if options contradict each other, before anything is fitted."""
    allowed = (None, "two_variable") if args.x2 else (None, *laws.LAWS)
    if args.law not in allowed:
        parser.error("--law two_variable and --x2: only one of them is given; give both or neither")
    columns = {"--x": args.x, "--y": args.y} | ({"--x2": args.x2} if args.x2 else {})
    for name, other in combinations(columns, 2):
        if columns[name] == columns[other]:
            same = f"{name} and {other} are the same column ({columns[name]!r})"
            parser.error(f"{same}; name another one")
    if args.json and args.json.is_dir():
        parser.error(f"--json {args.json}: is a folder; name a file")
    if args.bootstrap and args.law == "broken":
        parser.error("--bootstrap: not available for law 'broken'; leave --bootstrap out")


def fitted(args: argparse.Namespace) -> dict:
    """Fit the law that the options ask for; return it as JSON is written. Raises LawError."""
    table = read(args.table, [args.x, args.y, *([args.x2] if args.x2 else [])])
    sizes, losses = table[args.x].to_numpy(), table[args.y].to_numpy()
    if args.x2:
        resamples = RESAMPLES if args.bootstrap is None else args.bootstrap
        return two_variable.fit(table[args.x2].to_numpy(), sizes, losses, resamples, args.seed)
    if args.law:
        fit = laws.fit(args.law, sizes, losses)
        result = fit.as_json() | {"warnings": warnings(fit, sizes, losses)}
    else:
        choice = laws.choose(sizes, losses)
        candidates = {}
        for law, fit in choice.fits.items():
            error = choice.held_out[law] if np.isfinite(choice.held_out[law]) else None
            candidates[law] = {"aicc": fit.as_json()["aicc"], "held_out_error": error}
        result = choice.as_json() | {"candidates": candidates}
    if args.bootstrap:
        if not hasattr(laws.LAWS[result["law"]], "bootstrap"):
            problem = f"not available for law {result['law']!r}"
            raise LawError(f"--bootstrap: {problem}; leave --bootstrap out")
        result["k_bootstrap"] = bootstrap(result["law"], sizes, losses, args.bootstrap, args.seed)
    return result


def main(arguments: list[str] | None = None) -> None:
    """Fit, print and write."""
    options = parser()
    args = options.parse_args(arguments)
    check(options, args)
    try:
        result = fitted(args)
    except LawError as error:
        sys.exit(f"{args.table}: {error}" if not str(error).startswith(args.table) else str(error))
    print(summary(result))
    if args.json:
        try:
            write_json(args.json, result)
        except OSError as error:
            sys.exit(f"--json {args.json}: cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
