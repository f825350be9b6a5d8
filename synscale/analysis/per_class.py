"""The scaling law and the group of each class, and which scores of a class go with its exponent.

The paper names the groups (according to public notes on its full text); their construction is this
project's. Easy classes are good from the start, scaling ones improve with more images, poor ones
hardly do.
"""

import numpy as np
import pandas as pd
from scipy import stats

from synscale.analysis import laws, metrics
from synscale.workflow.settings.curves import Curve
from synscale.workflow.settings.laws import LawSettings

GROUPS = ("easy", "scaling", "poor")
TIMES = 2000  # resamples of classes
LEVEL = 0.95
ROUNDING = 1e-9  # smaller differences of correlations are none
CURVE = ["source", "guidance", "architecture"]
LAW = ["k", "k_low", "k_high", "log_scale"]
COLUMNS = [*CURVE, "class_id", *LAW, "top1_first", "top1_last", "loss_last", "refused", "group"]


def by_class(table: pd.DataFrame, evaluations: list[str]) -> pd.DataFrame:
    """Return top1 and cross_entropy of each run and class, as means over some evaluation sets.

    Parameters
    ----------
    table : DataFrame
        As `metrics.read` returns it.
    evaluations : list of str

    Raises
    ------
    ValueError
        If a set lacks a class that another one has: means over different sets do not compare.
    """
    rows = table[table["class_id"].notna() & table["evaluation"].isin(evaluations)]
    groups = rows.groupby([*metrics.RUN, "class_id"], dropna=False, sort=False)
    counts = groups["evaluation"].nunique()
    if (counts != len(evaluations)).any():
        class_id = counts[counts != len(evaluations)].index[0][-1]
        raise ValueError(
            f"class {class_id} is not in each of {', '.join(evaluations)}; "
            "name sets that share their classes, or one set"
        )
    return groups[["top1", "cross_entropy"]].mean().reset_index()


def group_of(top1_first: float, k: float, easy_top1: float, poor_k: float) -> str | None:
    """Return the group of a class; None if it has no k and is not easy.

    Parameters
    ----------
    top1_first : float
        Top-1 at the smallest size, 0 to 1.
    k : float
        Exponent of the class; NaN if it has none.
    easy_top1 : float
        Top-1 from which a class is easy.
    poor_k : float
        Exponent up to which a class scales poorly.
    """
    if top1_first >= easy_top1:
        return "easy"
    if np.isnan(k):
        return None
    return "poor" if k < poor_k else "scaling"


def class_law(points: pd.DataFrame) -> dict:
    """Fit the pure law of one class on one curve.

    Parameters
    ----------
    points : DataFrame
        Runs of the curve: size, top1, cross_entropy.

    Returns
    -------
    dict
        If no law can be fitted, such as to a loss of 0, k is NaN and `refused` is the reason.
    """
    first = points[points["size"] == points["size"].min()]
    last = points[points["size"] == points["size"].max()]
    row = {"top1_first": first["top1"].mean(), "top1_last": last["top1"].mean()}
    row["loss_last"] = last["cross_entropy"].mean()
    try:
        fitted = laws.fit("power", points["size"], points["cross_entropy"])
    except laws.LawError as error:
        return row | dict.fromkeys(LAW, np.nan) | {"refused": str(error)}
    values = [fitted.k, *fitted.k_interval, fitted.log_scale]
    return row | dict(zip(LAW, values, strict=True)) | {"refused": None}


def class_laws(
    table: pd.DataFrame,
    law: LawSettings,
    curves: list[Curve],
    thresholds: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Fit the pure law of each curve and class over the sizes of a law.

    Parameters
    ----------
    table : DataFrame
        As `metrics.read` returns it.
    law : LawSettings
    curves : list of Curve
    thresholds : tuple of float, optional
        `easy_top1` and `poor_k`; without them there are no groups.

    Returns
    -------
    DataFrame
        A row for each curve and class with `COLUMNS`: k with its 95 % t-interval; top1_first at the
        smallest size of the law, top1_last and loss_last at the largest, means over seeds.

    Raises
    ------
    ValueError
        If a run has no metrics.
    """
    rows = []
    for class_id, rows_of_class in by_class(table, law.evaluation).groupby("class_id"):
        runs = metrics.of_experiments(rows_of_class.drop(columns="class_id"), law.experiments)
        runs = runs[runs["size"].between(*law.sizes)]
        for curve in curves:
            key = dict(zip(CURVE, curve.key, strict=True)) | {"class_id": class_id}
            rows.append(key | class_law(metrics.of_curve(runs, *curve.key)))
    fits = pd.DataFrame(rows).astype({"guidance": "Float64", "class_id": int})
    fits["group"] = None
    if thresholds:
        pairs = zip(fits["top1_first"], fits["k"], strict=True)
        fits["group"] = [group_of(*pair, *thresholds) for pair in pairs]
    return fits[COLUMNS]


def median_class(table: pd.DataFrame, group: str) -> int | None:
    """Return the class of a group with the median k, the lower one of two; None if it is empty.

    Parameters
    ----------
    table : DataFrame
        Laws of one curve, as `class_laws` returns them. Classes without k come last.
    group : str
    """
    rows = table[table["group"] == group].sort_values(["k", "class_id"], na_position="last")
    fitted = max(int(rows["k"].notna().sum()), 1)
    return None if rows.empty else int(rows["class_id"].iloc[(fitted - 1) // 2])


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mid-ranks (B, N) of values (N,) that B samples repeat weights (B, N) times."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    totals = np.add.reduceat(weights[:, order], np.cumsum(counts) - counts, axis=1)
    return (totals.cumsum(1) - totals / 2)[:, place]


def _spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Spearman's rho (B,) of x and y (N,) in B samples; NaN if one of them is constant."""
    total = weights.sum(1, keepdims=True)
    ranks = [_ranks(values, weights) for values in (x, y)]
    a, b = (rank - (weights * rank).sum(1, keepdims=True) / total for rank in ranks)
    spread = (weights * a**2).sum(1) * (weights * b**2).sum(1)
    spread[spread <= 1e-12 * total[:, 0] ** 6] = np.nan
    return (weights * a * b).sum(1) / np.sqrt(spread)


def _ranked_within(rows: pd.DataFrame, score: str, within: list[str]) -> pd.DataFrame:
    """Return rows with k and a score as ranks within each curve, as shares of its rows."""
    curves = rows.groupby(within, dropna=False)
    return rows.assign(**{name: curves[name].rank(pct=True) for name in ("k", score)})


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
        p that the correlation is above 0, and p that it is below; NaN if there are fewer than 3
        classes or if one of the two is constant.
    """
    complete = table.dropna(subset=["k", score, by])
    curves = complete.groupby(within, dropna=False)
    ranks = _ranked_within(complete, score, within).assign(curve=curves.ngroup())
    wide = [ranks.pivot_table(index="curve", columns=by, values=name) for name in ("k", score)]
    x, y = (stats.rankdata(rows, nan_policy="omit").reshape(rows.shape) for rows in wide)
    count = x.shape[1]
    if count < 3 or any((curves[name].nunique() < 2).all() for name in ("k", score)):
        return np.nan, np.nan
    random = np.random.default_rng(seed)
    observed = _correlation(x, y)
    permuted = np.array([_correlation(x, y[:, random.permutation(count)]) for _ in range(times)])
    above = (permuted >= observed - ROUNDING).sum()
    below = (permuted <= observed + ROUNDING).sum()
    return float(1 + above) / (1 + times), float(1 + below) / (1 + times)


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
    """Return Spearman's rho of column k with a score, and its 95 % interval.

    The interval resamples complete clusters: a class is in the table once for each curve, and these
    rows are not independent. Its ends are percentiles of the bootstrap at levels widened by
    Student's t for few clusters (Hesterberg's expanded percentiles, 2015): with ten classes plain
    ones cover about 93 %. Rows that lack k or the score are left out.

    Parameters
    ----------
    table : DataFrame
    score, by : str
        Columns of the score and of the cluster.
    within : list of str, optional
        Columns that name a curve, such as `CURVE`. Ranks are then those within each curve, as
        shares of its rows: a difference between curves, such as of their guidance scale, must not
        pass for a difference between classes.
    times, seed : int
        Number of resamples, and their seed.

    Returns
    -------
    dict
        rho, low, high, n (rows), clusters. NaN with fewer than 3 rows, or if one of the two is
        constant; so is the interval with fewer than 3 clusters.
    """
    rows = table.dropna(subset=["k", score, by])
    if within:
        rows = _ranked_within(rows, score, within)
    x, y = rows["k"].to_numpy(float), rows[score].to_numpy(float)
    codes, names = pd.factorize(rows[by])
    count = len(names)
    result = {"rho": np.nan, "low": np.nan, "high": np.nan, "n": len(rows), "clusters": count}
    if len(rows) < 3:
        return result
    result["rho"] = float(_spearman(x, y, np.ones((1, len(x))))[0])
    if count < 3 or np.isnan(result["rho"]):
        return result
    random = np.random.default_rng(seed)
    step = max(1, 2_000_000 // len(rows))  # as many resamples at a time as fit in memory
    rhos = []
    for done in range(0, times, step):
        draws = random.multinomial(count, np.full(count, 1 / count), min(step, times - done))
        rhos.append(_spearman(x, y, draws[:, codes].astype(float)))
    tail = stats.norm.cdf(np.sqrt(count / (count - 1)) * stats.t.ppf((1 - LEVEL) / 2, count - 1))
    low, high = np.nanquantile(np.concatenate(rhos), [tail, 1 - tail])
    return result | {"low": float(low), "high": float(high)}
