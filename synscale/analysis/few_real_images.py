"""Few real images, with and without synthetic ones added: the gain of each number of them.

The rules are this project's.
"""

import numpy as np
import pandas as pd
from scipy import stats

from synscale.analysis import metrics
from synscale.workflow.settings.mixed_figures import FewRealSettings

MEASURES = {"cross_entropy": -1, "top1": 1}  # 1: larger is better
LEVEL = 0.95
COLUMNS = ["added", "ratio", "seeds", "mean", "sd", "gain", "gain_low", "gain_high"]


def interval(differences) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean of differences (N,), one for each seed.

    NaN with fewer than two.
    """
    differences = np.asarray(differences, float)
    count = len(differences)
    if count < 2:
        return np.nan, np.nan
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / np.sqrt(count)
    return differences.mean() - half, differences.mean() + half


def _gain(values: pd.Series, baseline: pd.Series, sign: int) -> tuple[float, float, float]:
    """Return the mean gain over a baseline, paired by seed, and its 95 % interval."""
    gain = sign * (values - baseline).dropna()
    return float(gain.mean()), *interval(gain)


def of_mixture(
    runs: pd.DataFrame, real_only: pd.DataFrame, real_images: int, measure: str
) -> pd.DataFrame:
    """Return a row for each number of synthetic images added (0: none).

    Parameters
    ----------
    runs, real_only : DataFrame
        Runs of the mixture, and of the real images only: seed, size and the measure.
    real_images : int
    measure : str
        A key of `MEASURES`.

    Returns
    -------
    DataFrame
        added; ratio (synthetic to real); seeds, mean, sd; gain over the real images only, paired by
        seed, with gain_low and gain_high (95 %); helps, whether that interval is above 0; best,
        whether the mean is the best of all; loss_of_most, how much worse than the best the largest
        number is, with loss_low; ends, whether the best number is not the largest and loss_low is
        above 0, so that more images do harm.
    """
    sign = MEASURES[measure]
    values = {
        size - real_images: group.set_index("seed")[measure]
        for size, group in pd.concat([real_only, runs]).groupby("size")
    }
    rows = []
    for added, by_seed in values.items():
        summary = len(by_seed), by_seed.mean(), by_seed.std(ddof=1)
        rows.append((added, added / real_images, *summary, *_gain(by_seed, values[0], sign)))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["helps"] = (table["gain_low"] > 0) & (table["added"] > 0)
    best = table.loc[(sign * table["mean"]).idxmax(), "added"]
    most = table["added"].max()
    table["best"] = table["added"] == best
    worse, low, _ = _gain(values[best], values[most], sign)
    return table.assign(loss_of_most=worse, loss_low=low, ends=bool(best != most and low > 0))


def gains(table: pd.DataFrame, settings: FewRealSettings) -> pd.DataFrame:
    """Return `of_mixture` for each mixture and measure, with its source and real_images.

    Parameters
    ----------
    table : DataFrame
        Overall metrics of every run.
    settings : FewRealSettings

    Raises
    ------
    ValueError
        If no run is trained on the real images of a mixture only.
    """
    tables = []
    real = metrics.of_curve(table, settings.real, None, settings.architecture)
    for mixture in settings.mixtures:
        count = mixture.real_images
        real_only = real[real["size"] == count]
        if real_only.empty:
            raise ValueError(
                f"{mixture.source}: no run is trained on {count} real images only; "
                f"add size {count} to an experiment of the figure"
            )
        runs = metrics.of_curve(table, mixture.source, None, settings.architecture)
        runs = runs[runs["size"] > count]
        for measure in MEASURES:
            names = {"source": mixture.source, "real_images": count, "measure": measure}
            tables.append(of_mixture(runs, real_only, count, measure).assign(**names))
    return pd.concat(tables, ignore_index=True)
