"""Laws and groups of single classes, and their correlation with scores."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synscale.analysis import per_class
from synscale.report import class_panels
from synscale.workflow.settings.curves import Curve
from synscale.workflow.settings.laws import ExperimentSettings, LawSettings

SIZES = [30, 60, 120, 240, 480, 960]
CURVES = [Curve("made", scale, "small") for scale in (1.0, 2.0)]
LAW = LawSettings(
    [ExperimentSettings([("made", 1.0), ("made", 2.0)], ["small"], SIZES, [0, 1])],
    ["held_out"],
    (30, 480),
)
THRESHOLDS = 0.8, 0.1
EXPONENTS = {0: 0.5, 1: 0.05, 2: 0.3, 3: 0.02}
FIRST = {0: 0.2, 1: 0.3, 2: 0.85, 3: 0.9}  # top-1 at the smallest size


def metrics(exponents=EXPONENTS, evaluation="held_out", noise=0.0) -> pd.DataFrame:
    """Losses that follow a law within the fitted sizes, and leave it beyond them."""
    random, rows = np.random.default_rng(0), []
    for guidance, size, seed, (class_id, k) in product(
        (1.0, 2.0), SIZES, (0, 1), [(None, 0.3), *exponents.items()]
    ):
        loss = (
            (200 / size) ** (k * guidance) * np.exp(random.normal(0, noise)) if size <= 480 else 9.0
        )
        row = {
            "source": "made",
            "guidance": guidance,
            "architecture": "small",
            "size": size,
            "seed": seed,
            "evaluation": evaluation,
            "class_id": class_id,
        }
        rows.append(
            row | {"top1": FIRST.get(class_id, 0.5) if size == 30 else 0.95, "cross_entropy": loss}
        )
    return pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})


# -- laws and groups -------------------------------------------------------------------------------
def test_class_laws_recover_exponents():
    result = per_class.class_laws(metrics(), LAW, CURVES)
    assert list(result) == per_class.COLUMNS
    assert len(result) == 8
    for row in result.itertuples():
        assert row.k == pytest.approx(EXPONENTS[row.class_id] * row.guidance)
    assert result["top1_last"].tolist() == [0.95] * 8
    assert result["refused"].isna().all()


def test_class_laws_group_classes_by_thresholds():
    result = per_class.class_laws(metrics(), LAW, CURVES[:1], THRESHOLDS).set_index("class_id")
    assert result["group"].to_dict() == {0: "scaling", 1: "poor", 2: "easy", 3: "easy"}
    result = per_class.class_laws(metrics(), LAW, CURVES[:1], (0.9, 0.4)).set_index("class_id")
    assert result["group"].to_dict() == {0: "scaling", 1: "poor", 2: "poor", 3: "easy"}


def test_class_without_law_is_kept_with_its_reason():
    table = metrics()
    table.loc[(table["class_id"] == 0) & (table["size"] == 120), "cross_entropy"] = 0.0
    table.loc[(table["class_id"] == 2) & (table["size"] == 120), "cross_entropy"] = 0.0
    result = per_class.class_laws(table, LAW, CURVES[:1], THRESHOLDS).set_index("class_id")
    assert len(result) == 4
    assert np.isnan(result.loc[0, "k"])
    assert "positive" in result.loc[0, "refused"]
    assert result["group"].fillna("none").to_dict() == {0: "none", 1: "poor", 2: "easy", 3: "easy"}


def test_intervals_of_a_class_cover_its_exponent():
    exponents = dict.fromkeys(range(150), 0.3)
    result = per_class.class_laws(metrics(exponents, noise=0.1), LAW, CURVES[:1])
    covered = ((result["k_low"] <= 0.3) & (result["k_high"] >= 0.3)).mean()
    assert 0.9 < covered < 0.99


def test_by_class_averages_sets_class_by_class():
    other = metrics(evaluation="other")
    other["cross_entropy"] *= 3
    result = per_class.by_class(pd.concat([metrics(), other]), ["held_out", "other"])
    one_set = per_class.by_class(metrics(), ["held_out"])
    assert result["cross_entropy"].to_numpy() == pytest.approx(
        2 * one_set["cross_entropy"].to_numpy()
    )
    with pytest.raises(ValueError, match="class 3 is not in each of held_out, other"):
        per_class.by_class(
            pd.concat([metrics(), other[other["class_id"] != 3]]), ["held_out", "other"]
        )


def test_class_laws_refuse_a_missing_run():
    table = metrics()
    table = table[~((table["size"] == 60) & (table["guidance"] == 1.0))]
    with pytest.raises(ValueError, match="2 runs have no metrics"):
        per_class.class_laws(table, LAW, CURVES)


def test_median_class_has_the_median_exponent_of_its_group():
    table = pd.DataFrame(
        {
            "class_id": range(6),
            "k": [0.5, 0.1, 0.3, np.nan, 0.2, 0.9],
            "group": ["easy"] * 4 + ["poor"] * 2,
        }
    )
    assert per_class.median_class(table, "easy") == 2
    assert per_class.median_class(table, "poor") == 4
    assert per_class.median_class(table, "scaling") is None
    assert per_class.median_class(table.iloc[[3]], "easy") == 3


# -- correlations ----------------------------------------------------------------------------------
def clusters(random, classes: int, curves: int, correlation: float) -> pd.DataFrame:
    """k and a score that share most of their spread within a class."""
    covariance = [[1, correlation], [correlation, 1]]
    shared_part = random.multivariate_normal([0, 0], covariance, classes)[:, None] * 0.8**0.5
    values = (
        shared_part + random.multivariate_normal([0, 0], covariance, (classes, curves)) * 0.2**0.5
    ).reshape(-1, 2)
    return pd.DataFrame(
        {
            "class_id": np.repeat(np.arange(classes), curves),
            "k": values[:, 0],
            "score": values[:, 1],
        }
    )


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_rank_correlation_intervals_cover(correlation):
    truth, random, trials = 6 / np.pi * np.arcsin(correlation / 2), np.random.default_rng(0), 200
    covered = 0
    for _ in range(trials):
        result = per_class.rank_correlation(
            clusters(random, 10, 5, correlation), "score", times=500
        )
        covered += result["low"] <= truth <= result["high"]
    assert 0.92 < covered / trials <= 0.995


def test_rank_correlation_resamples_complete_classes():
    table = clusters(np.random.default_rng(1), 12, 4, 0.3)
    wide = per_class.rank_correlation(table, "score")
    narrow = per_class.rank_correlation(table.assign(row=range(len(table))), "score", by="row")
    assert wide["rho"] == narrow["rho"]
    assert wide["high"] - wide["low"] > 1.3 * (narrow["high"] - narrow["low"])
    assert (wide["n"], wide["clusters"], narrow["clusters"]) == (48, 12, 48)


def test_rank_correlation_agrees_with_scipy():
    table = clusters(np.random.default_rng(2), 9, 3, 0.5).round(1)  # with ties
    result = per_class.rank_correlation(table, "score")
    assert result["rho"] == pytest.approx(stats.spearmanr(table["k"], table["score"]).statistic)
    assert result == per_class.rank_correlation(table, "score")
    assert result["low"] < result["rho"] < result["high"]


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 2)), min_size=4, max_size=4
    )
)
@settings(max_examples=20, deadline=None)
def test_rank_correlation_ignores_differences_between_curves(changes):
    table = clusters(np.random.default_rng(5), 8, 4, 0.5)
    table = table.assign(
        source=np.tile(["a", "b", "c", "d"], 8),
        guidance=pd.array([1.0] * 32, "Float64"),
        architecture="small",
    )
    shift, other, factor = (np.tile(values, 8) for values in zip(*changes, strict=True))
    changed = table.assign(k=table["k"] + shift, score=other + factor * table["score"])
    expected = per_class.rank_correlation(table, "score", times=200, within=per_class.CURVE)
    assert (
        per_class.rank_correlation(changed, "score", times=200, within=per_class.CURVE) == expected
    )
    _, axes = plt.subplots()
    drawn = [
        class_panels.draw_score(
            axes, rows.rename(columns={"score": "diversity"}), "diversity", "c", []
        )
        for rows in (table, changed)
    ]
    plt.close()
    assert drawn[0] == drawn[1]
    assert drawn[0]["rho"] == expected["rho"]


def test_rank_correlation_keeps_its_level():
    """Curves differ in both k and the score, as guidance scales do; classes have no relation."""
    random, trials, seen = np.random.default_rng(6), 200, 0
    curve = np.tile(np.arange(7), 10)
    for _ in range(trials):
        table = clusters(random, 10, 7, 0.0).assign(
            source=curve, guidance=1.0, architecture="small"
        )
        table[["k", "score"]] += curve[:, None]
        result = per_class.rank_correlation(table, "score", times=500, within=per_class.CURVE)
        seen += not result["low"] <= 0 <= result["high"]
    assert seen / trials < 0.07


def test_spearman_weights_are_repetitions():
    random = np.random.default_rng(3)
    x, y, weights = random.integers(0, 6, 30), random.integers(0, 6, 30), random.integers(0, 3, 30)
    result = per_class._spearman(x, y, weights[None].astype(float))[0]
    assert result == pytest.approx(
        stats.spearmanr(np.repeat(x, weights), np.repeat(y, weights)).statistic
    )


def test_rank_correlation_of_constants_is_missing():
    table = clusters(np.random.default_rng(4), 5, 2, 0.5)
    assert np.isnan(per_class.rank_correlation(table.assign(score=1.0), "score")["rho"])
    assert np.isnan(per_class.rank_correlation(table.iloc[:2], "score")["rho"])
    missing = per_class.rank_correlation(
        table.assign(k=[np.nan] * 2 + table["k"].tolist()[2:]), "score"
    )
    assert (missing["n"], missing["clusters"]) == (8, 4)
    few = per_class.rank_correlation(table.iloc[:4], "score")
    assert np.isfinite(few["rho"])
    assert np.isnan(few["low"])


# -- permutations ----------------------------------------------------------------------------------
def test_permutation_p_keeps_its_level():
    """Rows of a class resemble each other, yet p is below 0.05 in about 5 % of tables."""
    random, trials = np.random.default_rng(7), 300
    curve = np.tile(np.arange(5), 10)
    result = []
    for _ in range(trials):
        table = clusters(random, 10, 5, 0.0).assign(
            source=curve, guidance=1.0, architecture="small"
        )
        result.append(per_class.permutation_p(table, "score", within=per_class.CURVE, times=199))
    assert (np.array(result) < 0.05).mean(0) == pytest.approx(0.05, abs=0.03)


def test_permutation_p_finds_a_relation_of_classes():
    table = clusters(np.random.default_rng(8), 12, 4, 0.95)
    higher, lower = per_class.permutation_p(
        table.assign(curve=np.tile(np.arange(4), 12)), "score", within=["curve"]
    )
    assert higher < 0.001
    assert lower > 0.999


def test_permutation_p_leaves_out_missing_values():
    table = clusters(np.random.default_rng(9), 12, 4, 0.9).assign(curve=np.tile(np.arange(4), 12))
    table.loc[5, "k"] = np.nan
    assert per_class.permutation_p(table, "score", within=["curve"])[0] < 0.01
    assert np.isnan(
        per_class.permutation_p(table.assign(score=1.0), "score", within=["curve"])
    ).all()
    assert np.isnan(per_class.permutation_p(table.iloc[:2], "score", within=["curve"])).all()
