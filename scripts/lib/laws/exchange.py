"""What one more real image is worth in synthetic ones, from the pure laws of both curves.

With L = (C / D)^k for either source, D real images are matched by S = C_s (D / C_r)^(k_r / k_s) synthetic ones, and one more real image by
dS / dD = (k_r / k_s) S / D more. The definition is ours.
"""

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from scripts.lib.laws.fit import points

DRAWS = 4000


def _draws(sizes, losses, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts and slopes (1 + DRAWS,) of the line of log loss on log size: the estimate first, then draws from its sampling law, a
    multivariate Student's t with N - 2 degrees of freedom."""
    x, y = points(sizes, losses)
    line = OLS(y, add_constant(x)).fit()
    spare = len(x) - 2
    normal = random.multivariate_normal(np.zeros(2), line.cov_params(), size=DRAWS) / np.sqrt(random.chisquare(spare, DRAWS) / spare)[:, None]
    return tuple(np.concatenate([line.params[None], line.params + normal]).T)


def exchange_rate(real: tuple, synthetic: tuple, at, seed: int = 0) -> pd.DataFrame:
    """Synthetic images that match `at` (M,) real images, and the next one.

    real, synthetic: (sizes, losses) of the curves, the rows that their laws are fitted to. Returns columns real_images, matched (S),
    rate (dS / dD), rate_low and rate_high (95 %), and inside: whether S lies within the synthetic sizes, so that nothing is
    extrapolated. A rate is infinite where the synthetic loss does not fall, and zero where the real one does not.
    """
    random, at = np.random.default_rng(seed), np.asarray(at, float)
    (real_level, real_slope), (level, slope) = _draws(*real, random), _draws(*synthetic, random)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        loss = real_level[:, None] + real_slope[:, None] * np.log(at)  # log loss of `at` real images, (1 + DRAWS, M)
        matched = np.exp((loss - level[:, None]) / slope[:, None])
        rate = real_slope[:, None] / slope[:, None] * matched / at
    rate = np.where(slope[:, None] < 0, rate, np.inf)
    rate = np.where(real_slope[:, None] < 0, rate, 0.0)
    low, high = np.quantile(rate[1:], [0.025, 0.975], axis=0, method="nearest")
    sizes = np.asarray(synthetic[0], float)
    inside = (matched[0] >= sizes.min()) & (matched[0] <= sizes.max())
    return pd.DataFrame({"real_images": at, "matched": matched[0], "rate": rate[0], "rate_low": low, "rate_high": high, "inside": inside})
