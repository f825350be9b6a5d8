"""Each class's own scaling law, its group, and which scores of a class go with its exponent.

Construction is ours, the groups' names are the paper's (as public notes on its full text report
them): easy classes are good from the start, scaling ones get better with more images, poor ones
hardly do.
"""

import numpy as np
import pandas as pd
from scipy import stats

from synscale.analysis import laws, metrics

GROUPS = ("easy", "scaling", "poor")
TIMES = 2000  # resamples of classes
LEVEL = 0.95
CURVE = ["source", "guidance", "architecture"]
COLUMNS = [
    *CURVE,
    "class_id",
    "k",
    "k_low",
    "k_high",
    "log_scale",
    "top1_first",
    "top1_last",
    "loss_last",
    "refused",
    "group",
]


def by_class(table: pd.DataFrame, evaluations: list[str]) -> pd.DataFrame:
    """A row for each run and class: mean top1 and cross_entropy over these evaluation sets. table:
    `metrics.read`.

    Raises ValueError where a set lacks a class that another one has: means over different sets do
    not compare.
    """
    chosen = table[table["class_id"].notna() & table["evaluation"].isin(evaluations)]
    groups = chosen.groupby([*metrics.RUN, "class_id"], dropna=False, sort=False)
    counts = groups["evaluation"].nunique()
    if (counts != len(evaluations)).any():
        class_id = counts[counts != len(evaluations)].index[0][-1]
        raise ValueError(
            f"class {class_id} is not in each of {', '.join(evaluations)}: name sets that share their classes, or one set"
        )
    return groups[["top1", "cross_entropy"]].mean().reset_index()


def group_of(top1_first: float, k: float, easy_top1: float, poor_k: float) -> str | None:
    """easy by top-1 alone; a class that is not easy and has no k has no group."""
    if top1_first >= easy_top1:
        return "easy"
    if np.isnan(k):
        return None
    return "poor" if k < poor_k else "scaling"


def class_law(points: pd.DataFrame) -> dict:
    """Pure law of one class on one curve. points: its runs, with size, top1, cross_entropy. Where
    no law can be fitted, k is missing and `refused` says why: a class whose loss is 0 in one run,
    say.
    """
    first, last = (
        points[points["size"] == edge] for edge in (points["size"].min(), points["size"].max())
    )
    found = {
        "top1_first": first["top1"].mean(),
        "top1_last": last["top1"].mean(),
        "loss_last": last["cross_entropy"].mean(),
    }
    try:
        fitted = laws.fit("power", points["size"], points["cross_entropy"])
    except laws.LawError as error:
        return (
            found
            | dict.fromkeys(("k", "k_low", "k_high", "log_scale"), np.nan)
            | {"refused": str(error)}
        )
    return found | {
        "k": fitted.k,
        "k_low": fitted.k_interval[0],
        "k_high": fitted.k_interval[1],
        "log_scale": fitted.log_scale,
        "refused": None,
    }


def class_laws(table: pd.DataFrame, settings: dict, curves: list[dict]) -> pd.DataFrame:
    """A row for each curve and class: COLUMNS. k, with its 95 % t-interval, of the pure law over
    the size range of the law.

    table: `metrics.read`. settings: of a law (evaluation, experiments, sizes) with easy_top1 and
    poor_k; without those two, no groups. curves: source, guidance, architecture each. top1_first is
    at the smallest size of the range, top1_last and loss_last at the largest, means over seeds.
    Raises ValueError where a run is missing.
    """
    rows, (low, high) = [], settings["sizes"]
    for class_id, own in by_class(table, settings["evaluation"]).groupby("class_id"):
        runs = metrics.of_experiments(own.drop(columns="class_id"), settings["experiments"])
        runs = runs[runs["size"].between(low, high)]
        for curve in curves:
            key = {name: curve[name] for name in CURVE}
            rows.append(
                key | {"class_id": class_id} | class_law(metrics.of_curve(runs, *key.values()))
            )
    found = pd.DataFrame(rows).astype({"guidance": "Float64", "class_id": int})
    thresholds = [settings.get(name) for name in ("easy_top1", "poor_k")]
    found["group"] = (
        None
        if None in thresholds
        else [
            group_of(*pair, *thresholds)
            for pair in zip(found["top1_first"], found["k"], strict=True)
        ]
    )
    return found[COLUMNS]


def median_class(table: pd.DataFrame, group: str) -> int | None:
    """The class of the group with the median k of one curve's laws (the lower one of two in the
    middle); None where the group is empty. Classes without k come last.
    """
    own = table[table["group"] == group].sort_values(["k", "class_id"], na_position="last")
    counted = max(int(own["k"].notna().sum()), 1)
    return None if own.empty else int(own["class_id"].iloc[(counted - 1) // 2])


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-ranks (B, N) of values (N,) in B samples that hold each of them weights (B, N) times."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    held = np.add.reduceat(weights[:, order], np.cumsum(counts) - counts, axis=1)
    return (held.cumsum(1) - held / 2)[:, place]


def _spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rho (B,) of x and y (N,) in B samples; not a number where one of them is constant."""
    total = weights.sum(1, keepdims=True)
    ranks = [_ranks(values, weights) for values in (x, y)]
    a, b = (own - (weights * own).sum(1, keepdims=True) / total for own in ranks)
    spread = (weights * a**2).sum(1) * (weights * b**2).sum(1)
    constant = spread <= 1e-12 * total[:, 0] ** 6
    return np.where(
        constant, np.nan, (weights * a * b).sum(1) / np.sqrt(np.where(constant, 1, spread))
    )


def permutation_p(
    table: pd.DataFrame,
    score: str,
    within: list[str],
    by: str = "class_id",
    times: int = 9999,
    seed: int = 0,
) -> tuple[float, float]:
    """Test the rank correlation of column k with a score by permutations of classes.

    Each permutation gives every class the scores of another one, in all curves at once: rows of a
    class are not independent.

    Parameters
    ----------
    table : DataFrame
        A row for each curve and class.
    score, by : str
        Columns of the score and of the class.
    within : list of str
        Columns that name a curve; values are ranked within each.
    times, seed : int
        Number of random permutations, and their seed.

    Returns
    -------
    tuple of float
        p that the correlation is above 0, and p that it is below; NaN if there are fewer than 3 classes or if one of the two is constant.
    """
    complete = table.dropna(subset=["k", score, by])
    curves = complete.groupby(within, dropna=False)
    ranks = complete.assign(
        curve=curves.ngroup(), **{name: curves[name].rank(pct=True) for name in ("k", score)}
    )
    x, y = (
        ranks.pivot_table(index="curve", columns=by, values=name).to_numpy()
        for name in ("k", score)
    )
    x, y = (stats.rankdata(values, nan_policy="omit").reshape(values.shape) for values in (x, y))
    count = x.shape[1]
    if count < 3 or any((curves[name].nunique() < 2).all() for name in ("k", score)):
        return np.nan, np.nan
    random = np.random.default_rng(seed)
    observed = _correlation(x, y)
    found = np.array([_correlation(x, y[:, random.permutation(count)]) for _ in range(times)])
    near = 1e-9
    return tuple(
        float(1 + number) / (1 + times)
        for number in ((found >= observed - near).sum(), (found <= observed + near).sum())
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of the cells that both tables have."""
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both] - x[both].mean(), y[both] - y[both].mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def rank_correlation(
    table: pd.DataFrame,
    score: str,
    by: str = "class_id",
    within: list[str] | None = None,
    times: int = TIMES,
    seed: int = 0,
) -> dict:
    """Spearman's rho of column k with a score, and its 95 % interval: rho, low, high, n (rows),
    clusters.

    within: columns that name a curve, such as CURVE. Ranks are then those within each curve, as
    shares of its rows: what curves differ in as a whole, such as their guidance scale, must not
    pass for a difference of classes.

    The interval resamples whole clusters, the values of `by`: a class stands in the table once for
    each curve, and these rows are not independent. Percentiles of the bootstrap, at levels widened
    by Student's t for few clusters (Hesterberg's expanded percentiles, 2015): with ten classes
    plain ones cover about 93 %. Rows that lack k or the score are left out. Missing (nan) where
    there are fewer than 3 rows or one of the two is constant; so is the interval with fewer than 3
    clusters.
    """
    own = table.dropna(subset=["k", score, by])
    if within:
        curves = own.groupby(within, dropna=False)
        own = own.assign(**{name: curves[name].rank(pct=True) for name in ("k", score)})
    x, y = own["k"].to_numpy(float), own[score].to_numpy(float)
    codes, names = pd.factorize(own[by])
    count = len(names)
    found = {"rho": np.nan, "low": np.nan, "high": np.nan, "n": len(own), "clusters": count}
    if len(own) < 3:
        return found
    found["rho"] = float(_spearman(x, y, np.ones((1, len(x))))[0])
    if count < 3 or np.isnan(found["rho"]):
        return found
    random, rows = (
        np.random.default_rng(seed),
        max(1, 2_000_000 // len(own)),
    )  # so many resamples at a time fit in memory
    draws = (
        random.multinomial(count, np.full(count, 1 / count), min(rows, times - done))[
            :, codes
        ].astype(float)
        for done in range(0, times, rows)
    )
    rhos = np.concatenate([_spearman(x, y, weights) for weights in draws])
    tail = stats.norm.cdf(np.sqrt(count / (count - 1)) * stats.t.ppf((1 - LEVEL) / 2, count - 1))
    low, high = np.nanquantile(rhos, [tail, 1 - tail])
    return found | {"low": float(low), "high": float(high)}
