"""The table of claims of the digits study from simulated results."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from scripts import tabulate_claims
from synscale.analysis import claim_tests, metrics, result_files
from synscale.analysis.claim_data import Data
from synscale.report import claims_table
from synscale.workflow.settings.claims import claims_settings
from tests.support.simulated_results import Results, simulate, tabulate


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """Simulated results of the digits study."""
    return simulate(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def claimed(results, tmp_path_factory):
    return tabulate(
        tabulate_claims,
        tmp_path_factory.mktemp("claims"),
        "--metrics",
        *results.metrics,
        *results.clip_metrics,
        "--scores",
        *results.scores,
    )


def test_every_claim_has_the_expected_verdict(claimed):
    tidy, _ = claimed
    verdicts = {
        claim: rows["verdict"].tolist() for claim, rows in tidy.groupby("claim", sort=False)
    }
    assert verdicts == {
        "The guidance scale matters to scaling": ["holds"],
        "The prompt recipe matters to scaling": ["does not hold"],
        "The generator matters to scaling": ["does not hold"],
        "CLIP: synthetic images scale like real ones, a little lower": ["holds"],
        "CLIP: synthetic images scale like real ones, a little lower (downstream)": ["holds"],
        "Supervised: synthetic images scale much worse than real ones": ["holds"],
        "Supervised: concepts that generators cannot draw hold scaling back": ["holds"],
        "Supervised: scaling ability goes with overall performance": ["undecided"],
        "Supervised: synthetic images help where real ones are few": ["holds"] * 3,
        "Supervised: synthetic images scale well out of distribution": ["holds"] * 2,
        "CLIP: synthetic images help together with real ones": ["holds"],
    }


def test_effects_are_given_in_their_units(claimed):
    tidy, text = claimed
    rows = tidy.set_index("claim")
    assert rows.loc[
        "Supervised: synthetic images scale much worse than real ones", "effect"
    ] == pytest.approx(-0.3, abs=0.02)
    both = rows.loc["CLIP: synthetic images help together with real ones"]
    assert both["unit"] == "difference of log loss"
    assert both["ratio"] == pytest.approx(np.exp(both["effect"]), rel=1e-5)
    assert (
        rows.loc["The guidance scale matters to scaling", "ratio"]
        != rows.loc["The guidance scale matters to scaling", "ratio"]
    )  # none
    assert "loss × 0." in text
    assert text.strip().splitlines()[-1].startswith("Each row has two tests")


def test_every_claim_has_p_and_adjusted_p(claimed):
    tidy, text = claimed
    p, adjusted = (tidy[[f"p{end}", f"p_opposite{end}"]].to_numpy() for end in ("", "_adjusted"))
    assert np.isfinite(p).all()
    assert (adjusted >= p).all()
    assert adjusted.ravel() == pytest.approx(multipletests(p.ravel(), method="holm")[1], rel=1e-4)
    assert ((adjusted[:, 0] < 0.05) == (tidy["verdict"] == "holds")).all()
    assert "p (adjusted)" in text
    correlation = tidy[tidy["unit"] == "rank correlation"].iloc[0]
    assert correlation["p"] + correlation["p_opposite"] == pytest.approx(1, abs=0.01)


def test_one_curve_has_nothing_to_be_compared_with(results):
    settings = claims_settings(results.study)
    settings = replace(settings, guidance=settings.guidance[:1], few_real=None)
    first = claim_tests.factors_matter(Data(metrics.read(results.metrics), settings))[0]
    assert np.isnan([first.test.p, first.test.p_opposite]).all()
    assert "nothing to compare" in first.note
    assert "none" in claims_table.effect_text(pd.Series(first.columns()))


def test_claims_over_draws_name_the_draws(results):
    settings = replace(claims_settings(results.study), draws=3)
    data = Data(metrics.read(results.metrics + results.clip_metrics), settings)
    tidy = claim_tests.claims_table(data, result_files.class_scores(results.scores))
    k = tidy[tidy["unit"] == "difference of k"]
    assert set(k["n_of"]) == {"draws of images", "draws of curves"}
    assert (k.loc[k["n_of"] == "draws of images", "n"] == 3).all()
    assert np.isfinite(k[["effect", "low", "high", "p"]]).all(axis=None)
    assert k["effect"].iloc[-1] == pytest.approx(0.2, abs=0.02)
    assert (
        "intervals over seeds, and over draws of images, contain the draw"
        in claims_table.markdown(tidy, redrawn=True)[-1]
    )


def test_scaling_ability_is_correlated_with_performance(claimed):
    tidy, _ = claimed
    claim = "Supervised: scaling ability goes with overall performance"
    [row] = tidy[tidy["claim"] == claim].itertuples()
    assert (row.n, row.n_of) == (7, "configurations")
    assert -1 <= row.low <= row.effect <= row.high <= 1
    assert "with top-1 at 960 images" in row.note


def test_few_configurations_have_no_correlation(results):
    settings = claims_settings(results.study)
    groups = {name: getattr(settings, name)[:1] for name in ("guidance", "recipes", "generators")}
    settings = replace(settings, curves=settings.curves[:2], **groups, few_real=None)
    data = Data(metrics.read(results.metrics), settings)
    [row] = claim_tests.scaling_goes_with_performance(data)
    assert np.isnan([row.test.p, row.test.p_opposite]).all()
    assert "needs 4 configurations" in row.note


@pytest.mark.parametrize("sign", [1, -1])
def test_correlation_of_scaling_ability_has_the_simulated_sign(results, sign):
    """Log losses are lines with slopes that go with, or against, their mean."""
    settings = replace(claims_settings(results.study), few_real=None)
    data = Data(metrics.read(results.metrics), settings)
    runs = data.runs(settings.law).copy()
    curves = {
        curve.key: place
        for group in (settings.curves, settings.guidance)
        for place, curve in enumerate(group)
    }
    for place, key in enumerate(curves):
        mask = metrics.of_curve(runs, *key).index
        sizes = runs.loc[mask, "size"].astype(float)
        slope = 0.1 + 0.02 * place
        centred = np.log(sizes / np.sqrt(30 * 960))
        runs.loc[mask, "cross_entropy"] = np.exp(-slope * centred - sign * 0.1 * place)
    data._runs[settings.law] = runs
    [row] = claim_tests.scaling_goes_with_performance(data)
    assert row.effect.value == pytest.approx(sign)
    p = row.test.p if sign > 0 else row.test.p_opposite
    assert p < 0.01
