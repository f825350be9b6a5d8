"""Power of the tests of claims: how often simulated studies decide each claim (our choice).

The metrics of every run are simulated with known effects and tested as those of the study are, with
the adjustment over all claims. Effects have the paper's direction. Their unit is a margin:
`min_difference` for exponents, `LOSS_SHIFT` for log losses. Only the exponents of CLIP differ by
half a margin whatever the effect is, as the paper's claim is that they differ a little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synscale.analysis.claim_data import Data
from synscale.analysis.claim_tests import claims_table
from synscale.study import class_table
from synscale.study.models import Study, resolve_mixture
from synscale.workflow.runs import Run, training_runs
from synscale.workflow.settings.claims import ClaimsSettings, claims_experiments, claims_settings

LOSS_SHIFT = 0.05  # a margin of few real images and of mixtures, in log loss
CLIP_SHIFT = -0.5  # margins


@dataclass(frozen=True)
class Noise:
    """How far log losses are from the law of their curve.

    Parameters
    ----------
    k : float
        Exponent of the real images.
    seed : float
        Standard deviation over seeds at the smallest size; it falls with the fourth root of sizes.
    size : float
        Standard deviation of a curve's distance from its law, over sizes.
    class_k : float
        Standard deviation over classes of the exponent that no score explains, in margins.
    """

    k: float = 0.1
    seed: float = 0.03
    size: float = 0.01
    class_k: float = 1.0


def _margins(settings: ClaimsSettings, run: Run, evaluation: str, effect: float) -> float:
    """Return the exponent of a curve minus that of the real images, in margins."""
    if run.source in (settings.real, settings.clip_real):
        return 0.0
    if run.architecture == settings.clip_architecture:
        return CLIP_SHIFT if effect else 0.0
    if evaluation not in settings.laws[settings.law].evaluation:
        return effect
    groups = (settings.curves, settings.guidance, settings.recipes, settings.generators)
    keys = list(dict.fromkeys(curve.key for group in groups for curve in group))
    key = (run.source, run.guidance, run.architecture)
    return -effect * (1.5 + (keys.index(key) if key in keys else 0))


def _simulated_runs(
    study: Study, settings: ClaimsSettings, effect: float, noise: Noise, random: np.random.Generator
) -> pd.DataFrame:
    """Return a row for each run and evaluation set, with its log loss."""
    names = {name for law in settings.laws.values() for name in law.evaluation}
    distances: dict[tuple, float] = {}
    rows = []
    for run in training_runs(study, claims_experiments(study)):
        parts = resolve_mixture(study.sources, run.source, run.guidance, run.size, run.seed)
        is_mixture = study.sources[run.source].kind == "mixture"
        size = parts[0].images if is_mixture else run.size
        spread = noise.seed * (100 / run.size) ** 0.25
        for name in sorted(names):
            margins = 0.0 if is_mixture else _margins(settings, run, name, effect)
            k = noise.k + settings.min_difference * margins
            curve = (run.source, run.guidance, run.architecture, run.size, name)
            distance = distances.setdefault(curve, random.normal(0, noise.size))
            log_loss = -k * np.log(size) + distance + random.normal(0, spread)
            log_loss -= effect * LOSS_SHIFT * is_mixture
            rows.append((*vars(run).values(), name, log_loss))
    columns = ["source", "guidance", "architecture", "size", "seed", "evaluation", "log_loss"]
    return pd.DataFrame(rows, columns=columns).astype({"guidance": "Float64"})


def simulate(
    study: Study, effect: float, noise: Noise, random: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the metrics of simulated runs and the scores of classes.

    Parameters
    ----------
    study : Study
        With a table of claims.
    effect : float
        In margins; 0 is none.
    noise : Noise
    random : Generator

    Returns
    -------
    metrics : DataFrame
        As `metrics.read` returns it.
    scores : DataFrame
        As `result_files.class_scores` returns it.
    """
    settings = claims_settings(study)
    runs = _simulated_runs(study, settings, effect, noise, random)
    count = class_table.count(study.classes)
    score = random.normal(size=count)
    margins = effect * score + noise.class_k * random.normal(size=count)
    tables = [runs.assign(class_id=pd.NA)]
    for class_id, margin in enumerate(margins):
        steeper = settings.min_difference * margin * np.log(runs["size"])
        scatter = random.normal(0, noise.seed, len(runs))
        tables.append(runs.assign(class_id=class_id, log_loss=runs["log_loss"] - steeper + scatter))
    metrics = pd.concat(tables).astype({"class_id": "Int64"})
    metrics = metrics.assign(cross_entropy=np.exp(metrics["log_loss"]), top1=0.5)
    curves = [(curve.source, curve.guidance) for curve in settings.curves]
    rows = [(*curve, c, score[c], random.normal()) for curve in curves for c in range(count)]
    columns = ["source", "guidance", "class_id", "recognizability", "diversity"]
    return metrics, pd.DataFrame(rows, columns=columns).astype({"guidance": "Float64"})


def power(
    study: Study, effects: Sequence[float], times: int, noise: Noise, seed: int = 0
) -> pd.DataFrame:
    """Return how often each claim holds, and does not hold, in simulated studies.

    Parameters
    ----------
    study : Study
    effects : sequence of float
        In margins.
    times : int
        Simulations of each effect.
    noise : Noise
    seed : int

    Returns
    -------
    DataFrame
        claim, hypothesis, effect, and the shares `holds` and `does_not_hold`.
    """
    random = np.random.default_rng(seed)
    settings = claims_settings(study)
    results = []
    for effect in effects:
        for _ in range(times):
            metrics, scores = simulate(study, effect, noise, random)
            table = claims_table(Data(metrics, settings), scores)
            results.append(table[["claim", "hypothesis", "verdict"]].assign(effect=effect))
    table = pd.concat(results)
    verdicts = table.assign(
        holds=table["verdict"] == "holds", does_not_hold=table["verdict"] == "does not hold"
    )
    keys = ["claim", "hypothesis", "effect"]
    return verdicts.groupby(keys, sort=False)[["holds", "does_not_hold"]].mean().reset_index()
