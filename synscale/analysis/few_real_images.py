"""Few real images, alone and with synthetic ones added: what each number of synthetic images gains.
The rules are ours.
"""

import numpy as np
import pandas as pd
from scipy import stats

from synscale.analysis import metrics

MEASURES = {"cross_entropy": -1, "top1": 1}  # 1: larger is better
LEVEL = 0.95


def interval(differences) -> tuple[float, float]:
    """Student's 95 % interval of the mean of differences (N,), one a seed; missing (nan) with fewer
    than two.
    """
    differences = np.asarray(differences, float)
    count = len(differences)
    if count < 2:
        return np.nan, np.nan
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / np.sqrt(count)
    return differences.mean() - half, differences.mean() + half


def _better(ours: pd.Series, theirs: pd.Series, sign: int) -> tuple[float, float, float]:
    """Gain of `ours` over `theirs`, values by seed, paired on the seeds that both have; positive is
    better. Mean and 95 % interval.
    """
    gain = sign * (ours - theirs).dropna()
    return float(gain.mean()), *interval(gain)


def of_mixture(
    runs: pd.DataFrame, alone: pd.DataFrame, real_images: int, measure: str
) -> pd.DataFrame:
    """A row for each number of synthetic images added (0: none). runs, alone: seed, size and the
    measure.

    Columns added, ratio (synthetic to real), seeds, mean, sd; gain over the real images alone,
    paired by seed, with gain_low and gain_high (95 %); helps: the interval lies above 0; best: the
    best mean of all; loss_of_most: how much worse than the best one the largest number is, with
    loss_low; ends: the best number is not the largest, and that interval lies above 0, so that more
    images do harm there.
    """
    sign, table = MEASURES[measure], pd.concat([alone, runs])
    values = {
        size - real_images: own.set_index("seed")[measure] for size, own in table.groupby("size")
    }
    rows = [
        {
            "added": added,
            "ratio": added / real_images,
            "seeds": len(own),
            "mean": own.mean(),
            "sd": own.std(ddof=1),
        }
        | dict(zip(("gain", "gain_low", "gain_high"), _better(own, values[0], sign), strict=True))
        for added, own in values.items()
    ]
    found = pd.DataFrame(rows)
    found["helps"] = (found["gain_low"] > 0) & (found["added"] > 0)
    best, most = found.loc[(sign * found["mean"]).idxmax(), "added"], found["added"].max()
    found["best"] = found["added"] == best
    worse, low, _ = _better(values[best], values[most], sign)
    return found.assign(loss_of_most=worse, loss_low=low, ends=bool(best != most and low > 0))


def gains(table: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """`of_mixture` for each mixture and measure, with its source and real_images. table: overall
    metrics of every run.

    settings: `shown.limited_settings`. Raises ValueError where the real images alone have not been
    trained on at a mixture's number.
    """
    tables, architecture = [], settings["architecture"]
    real = metrics.of_curve(table, settings["real"], None, architecture)
    for mixture in settings["mixtures"]:
        count = mixture["real_images"]
        alone = real[real["size"] == count]
        if alone.empty:
            raise ValueError(
                f"{mixture['source']}: {count} real images alone have not been trained on: add size {count} to an experiment of the figure"
            )
        runs = metrics.of_curve(table, mixture["source"], None, architecture)
        own = {"source": mixture["source"], "real_images": count}
        tables += [
            of_mixture(runs[runs["size"] > count], alone, count, measure).assign(
                **own, measure=measure
            )
            for measure in MEASURES
        ]
    return pd.concat(tables, ignore_index=True)
