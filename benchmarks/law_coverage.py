"""How often the intervals of the exponent k contain the truth, and how wide they are.

python -m benchmarks.law_coverage [--trials 1000] [--data-sets 40] [--processes 1]
    [--docs docs/reference/laws.md]

Losses follow L(D) = E + (C / D)^k at doubling sizes, with log-normal noise; those of the law of two
variables follow L(N, D) = E + A / N^a + B / D^b on a grid of four by four. The tables in
docs/reference/laws.md are written from the result file.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.measuring import Result, begin, finish, markdown, parser
from synscale.analysis import laws
from synscale.analysis.laws import two_variable
from synscale.runtime.atomic import atomic_write

PREDICTION = (
    "With 100 trials a cell, before the rule was fixed: the interval over all laws that are not "
    "ruled out covers "
    "93 to 100 %, that of the chosen law 0 to 98 %, that of the pure law 0 to 19 % if there is a "
    "floor."
)
NAME = "law_coverage"
DOCS = Path(__file__).parents[1] / "docs/reference/laws.md"
MARK = "<!-- written by benchmarks.law_coverage -->\n"
COUNTS, FLOORS, NOISES = (5, 6, 8, 10), (0.0, 0.3, 1.0), (0.01, 0.03)
TWO = "Law of two variables, 16 points, noise of 3 %, 100 resamples"
TRUTH = {"floor": 1.0, "a": 0.34, "b": 0.3}
Intervals = dict[str, tuple[float, float]]


def curve(random: np.random.Generator, count: int, floor: float, noise: float) -> tuple:
    """Return sizes and losses, each shape (count,), and k.

    k is 0.15 to 0.6, the loss at the smallest size at most 3.
    """
    k = random.uniform(0.15, 0.6)
    first = random.uniform(max(1.0, floor + 0.5), 3.0)
    growth = 2.0 ** np.arange(count)
    losses = floor + (first - floor) * growth**-k
    return 1e5 * growth, losses * np.exp(random.normal(0, noise, count)), k


def intervals(sizes: np.ndarray, losses: np.ndarray) -> tuple[Intervals, str]:
    """Return 95 % intervals of k by the rule that reports them, and the chosen law."""
    choice = laws.choose(sizes, losses)
    under = {law: fitted.k_interval for law, fitted in choice.fits.items()}
    reported = {
        "pure law": under["power"],
        "chosen law": choice.fit.k_interval,
        "law with a floor": under.get("floor", (-np.inf, np.inf)),
        "reported": choice.k_interval,
    }
    return reported, choice.fit.law


def cell(settings: tuple[int, float, float, int]) -> dict:
    """Return a row of the table.

    settings: sizes, true floor, noise, trials.
    """
    count, floor, noise, trials = settings
    random = np.random.default_rng([count, int(10 * floor), int(100 * noise)])
    covered, widths, selected = [], [], []
    for _ in range(trials):
        sizes, losses, k = curve(random, count, floor, noise)
        reported, law = intervals(sizes, losses)
        ends = np.array(list(reported.values()))
        covered.append((ends[:, 0] <= k) & (k <= ends[:, 1]))
        widths.append(ends[:, 1] - ends[:, 0])
        selected.append(law)
    row = {"sizes": count, "floor": floor, "noise": f"{noise:.0%}"}
    for name, share in zip(reported, np.mean(covered, axis=0), strict=True):
        row[f"covers, {name}"] = f"{share:.1%}"
    for name, width in zip(reported, np.median(widths, axis=0), strict=True):
        if name in ("pure law", "reported"):
            row[f"width, {name}"] = f"{width:.3f}" if np.isfinite(width) else "unbounded"
    unbounded = np.mean(np.isinf(np.array(widths)[:, -1]))
    pure = np.mean(np.array(selected) == "power")
    return row | {"unbounded": f"{unbounded:.1%}", "pure law chosen": f"{pure:.0%}"}


def data_set(seed: int) -> dict[str, tuple[float, float, float]]:
    """Fit the law of two variables to a simulated grid: estimate and ends of each parameter."""
    n, d = (
        axis.ravel() for axis in np.meshgrid(1e6 * 4.0 ** np.arange(4), 1e8 * 4.0 ** np.arange(4))
    )
    losses = TRUTH["floor"] + 400 / n ** TRUTH["a"] + 600 / d ** TRUTH["b"]
    losses *= np.exp(np.random.default_rng(seed).normal(0, 0.03, len(n)))
    fitted = two_variable.fit(n, d, losses, bootstrap=100)
    return {name: (fitted[name], *fitted[f"{name}_interval"]) for name in TRUTH}


def two_variable_rows(fits: list[dict]) -> list[dict]:
    """Return a row for each parameter: all data sets, and those with a fitted floor of zero."""
    rows = []
    for name, truth in TRUTH.items():
        values = np.array([fitted[name] for fitted in fits])
        zero = np.array([fitted["floor"][0] < 1e-3 for fitted in fits])
        covered = (values[:, 1] <= truth) & (truth <= values[:, 2])
        rows.append(
            {
                "parameter": name,
                "truth": truth,
                "data sets": len(fits),
                "covers": f"{covered.mean():.0%}",
                "width": f"{np.median(values[:, 2] - values[:, 1]):.3f}",
                "floor fitted as 0": int(zero.sum()),
                "of these covered": int(covered[zero].sum()),
            }
        )
    return rows


def measure(trials: int, data_sets: int, processes: int = 1) -> Result:
    """Simulate every cell, and `data_sets` grids of the law of two variables."""
    settings = [(*key, trials) for key in product(COUNTS, FLOORS, NOISES)]
    with ProcessPoolExecutor(processes) as pool:
        apply = pool.map if processes > 1 else map
        rows = list(apply(cell, settings))
        fits = list(apply(data_set, range(data_sets)))
    tables = {"": rows} | ({TWO: two_variable_rows(fits)} if fits else {})
    work = f"{trials:,} curves per cell"
    return Result(NAME, "Coverage of the intervals of laws", work, PREDICTION, tables)


def documented(page: str, result: dict) -> str:
    """Return the page with the tables of the result file after the mark."""
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise SystemExit(f"{DOCS.name}: no line {MARK.strip()!r}; add it where the table belongs")
    source = f"`{result['command']}`, {result['date']}: {result['work']}."
    parts = [
        f"{heading}:\n\n{markdown(rows)}" if heading else markdown(rows)
        for heading, rows in result["tables"].items()
    ]
    return head + mark + "\n" + "\n\n".join([*parts, source]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the tables of the document."""
    options = parser(__doc__)
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--data-sets", type=int, default=40, help="of the law of two variables")
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--docs", type=Path, default=DOCS, help="page whose table is replaced")
    args, _ = begin(options, arguments)
    finish(measure(args.trials, args.data_sets, args.processes), args)
    result = json.loads((args.results / f"{NAME}.json").read_text(encoding="utf-8"))
    page = documented(args.docs.read_text(encoding="utf-8"), result)
    with atomic_write(args.docs) as (part,):
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
