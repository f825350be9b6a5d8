"""Claims over draws of images, and the committed measurement of image draws."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import image_draws
from synscale.analysis import effects
from synscale.study.load import load_study
from synscale.workflow.settings.claims import claims_settings
from tests.support.workflow import ROOT

# -- claims over draws -----------------------------------------------------------------------------

FITTED = 30 * 2.0 ** np.arange(6)


def drawn_curve(k: float, draws: int, random) -> list[tuple]:
    """Return a curve for each draw whose scatter is that of nested prefixes of images."""
    covariance = 0.05**2 * np.sqrt(
        np.minimum.outer(FITTED, FITTED) / np.maximum.outer(FITTED, FITTED)
    )
    scatter = random.multivariate_normal(np.zeros(len(FITTED)), covariance, draws)
    return [(FITTED, np.exp(2 - k * np.log(FITTED) + noise)) for noise in scatter]


def test_interval_over_draws_contains_the_draw_of_images():
    """The interval over sizes of one draw does not."""
    random, trials = np.random.default_rng(0), 300
    covered = np.zeros(2)
    for _ in range(trials):
        synthetic, real = drawn_curve(0.3, 3, random), drawn_curve(0.5, 3, random)
        over_draws = effects.over_draws(effects.mean_difference, [synthetic], real)
        one = effects.mean_difference([synthetic[0]], real[0])
        covered += [effect.low <= -0.2 <= effect.high for effect in (over_draws, one)]
        assert over_draws.n == 3
    assert covered[0] / trials > 0.92
    assert covered[1] / trials < 0.88


def test_exponents_over_draws_are_compared_draw_by_draw():
    random = np.random.default_rng(1)
    curves = [drawn_curve(k, 4, random) for k in (0.3, 0.3, 0.5)]
    result = effects.spread_over_draws(curves, 0.1)
    effect = result.effect
    k = np.array(
        [
            [float(-np.polyfit(np.log(sizes), np.log(losses), 1)[0]) for sizes, losses in points]
            for points in curves
        ]
    )
    assert result.exponents == pytest.approx(k.mean(1))
    assert effect.value == pytest.approx(np.ptp(k.mean(1)))
    assert effect.low < effect.value < effect.high
    centred = k - k.mean(0)  # an effect of each draw
    rest = centred - centred.mean(1, keepdims=True)
    f = 4 * (centred.mean(1) ** 2).sum() / 2 / ((rest**2).sum() / 6)
    assert result.p == pytest.approx(stats.f.sf(f, 2, 6))
    level = [
        effects.spread_over_draws([drawn_curve(0.3, 3, random) for _ in range(3)], 0.1).p
        for _ in range(200)
    ]
    assert np.mean(np.array(level) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_claims_know_the_draws_of_their_curves():
    assert claims_settings(load_study("studies/digits.yaml")).draws is None
    base = load_study("studies/digits.yaml")
    changed = {
        name: row.model_copy(update={"draws": 3})
        for name, row in base.sources.items()
        if row.kind != "mixture"
    }
    drawn = base.model_copy(update={"sources": base.sources | changed})
    assert claims_settings(drawn).draws == 3
    changed["real"] = changed["real"].model_copy(update={"draws": 2})
    mixed = drawn.model_copy(update={"sources": base.sources | changed})
    assert claims_settings(mixed).draws is None


# -- the measurement of image draws ----------------------------------------------------------------


def simulated_runs(image: np.ndarray, training: np.ndarray, draws: int, seeds: int) -> pd.DataFrame:
    random, sizes, rows = np.random.default_rng(2), [30, 60, 120], []
    for draw, effect in enumerate(random.multivariate_normal(np.zeros(3), image, draws)):
        for seed in range(seeds):
            scatter = effect + random.multivariate_normal(np.zeros(3), training)
            run = {"source": "real", "draw": draw, "seed": draw + seed * draws}
            rows += [
                run | {"size": size, "log_loss": loss}
                for size, loss in zip(sizes, scatter, strict=True)
            ]
    return pd.DataFrame(rows)


def test_covariances_of_draw_and_training_are_recovered():
    image = 0.04 * (np.eye(3) + 1) / 2
    covariances = image_draws.covariances(simulated_runs(image, 0.01 * np.eye(3), 2000, 3))
    assert covariances[0] == pytest.approx(image, abs=0.004)
    assert covariances[1] == pytest.approx(0.01 * np.eye(3), abs=0.002)


def test_correlated_sizes_cover_less_than_independent_ones():
    coverage = image_draws.summary(
        simulated_runs(0.04 * (np.eye(3) + 1) / 2, 0.001 * np.eye(3), 50, 2)
    )["coverage_of_95"]
    assert coverage["independent_sizes"] == pytest.approx(0.95, abs=0.02)
    assert image_draws.coverage([30, 60, 120, 240, 480, 960], np.eye(6)) == pytest.approx(
        0.95, abs=0.01
    )
    assert (
        coverage["image_draw_alone_if_variance_falls_with_size"]
        < coverage["independent_sizes"] - 0.03
    )


def test_committed_summary_is_that_of_its_runs():
    committed = json.loads(image_draws.OUTPUT.read_text(encoding="utf-8"))
    runs = pd.DataFrame(committed["runs"])
    for source, source_runs in runs.groupby("source"):
        again = image_draws.summary(source_runs)
        assert again["share_of_image_draw_in_a_run"] == pytest.approx(
            committed["summary"][source]["share_of_image_draw_in_a_run"]
        )
        assert again["coverage_of_95"] == pytest.approx(
            committed["summary"][source]["coverage_of_95"], abs=0.01
        )


def test_document_states_the_committed_measurement():
    text = (ROOT / "docs/reference/statistics.md").read_text(encoding="utf-8")
    summaries = list(json.loads(image_draws.OUTPUT.read_text(encoding="utf-8"))["summary"].values())
    for name in (
        "share_of_image_draw_in_a_run_over_sizes",
        "share_of_image_draw_in_a_mean_of_3_seeds_over_sizes",
    ):
        assert " | ".join(f"{100 * row[name]:.0f} %" for row in summaries) in text
    assert (
        " | ".join(f"{100 * row['coverage_of_95']['one_draw_3_seeds']:.0f} %" for row in summaries)
        in text
    )
    ends = [
        sorted(row["correlation_of_neighbouring_sizes"]["mean_of_3_seeds"]) for row in summaries
    ]
    assert " | ".join(f"{row[0]:.2f} to {row[-1]:.2f}" for row in ends).replace("-", "−") in text
