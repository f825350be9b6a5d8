"""Laws of single classes: recovered, grouped by the study's thresholds, and correlated with scores
under intervals that cover.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scripts import plot_per_class
from synscale.analysis import per_class

SIZES = [30, 60, 120, 240, 480, 960]
CURVES = [{"source": "made", "guidance": scale, "architecture": "small"} for scale in (1.0, 2.0)]
SETTINGS = {
    "evaluation": ["held_out"],
    "experiments": [
        {
            "curves": [("made", 1.0), ("made", 2.0)],
            "architectures": ["small"],
            "sizes": SIZES,
            "seeds": [0, 1],
        }
    ],
    "sizes": (30, 480),
    "easy_top1": 0.8,
    "poor_k": 0.1,
}
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


# -- laws and groups -------------------------------------------------------------------------------------------------------------------


def test_the_exponent_of_each_class_and_curve_is_recovered():
    found = per_class.class_laws(metrics(), SETTINGS, CURVES)
    assert list(found) == per_class.COLUMNS
    assert len(found) == 8
    for row in found.itertuples():
        assert row.k == pytest.approx(EXPONENTS[row.class_id] * row.guidance)
    assert found["top1_last"].tolist() == [0.95] * 8
    assert found["refused"].isna().all()


def test_classes_are_grouped_by_the_thresholds():
    found = per_class.class_laws(metrics(), SETTINGS, CURVES[:1]).set_index("class_id")
    assert found["group"].to_dict() == {0: "scaling", 1: "poor", 2: "easy", 3: "easy"}
    found = per_class.class_laws(
        metrics(), SETTINGS | {"easy_top1": 0.9, "poor_k": 0.4}, CURVES[:1]
    ).set_index("class_id")
    assert found["group"].to_dict() == {0: "scaling", 1: "poor", 2: "poor", 3: "easy"}


def test_a_class_without_a_law_is_kept_and_says_why():
    table = metrics()
    table.loc[(table["class_id"] == 0) & (table["size"] == 120), "cross_entropy"] = 0.0
    table.loc[(table["class_id"] == 2) & (table["size"] == 120), "cross_entropy"] = 0.0
    found = per_class.class_laws(table, SETTINGS, CURVES[:1]).set_index("class_id")
    assert len(found) == 4
    assert np.isnan(found.loc[0, "k"])
    assert "positive" in found.loc[0, "refused"]
    assert found["group"].fillna("none").to_dict() == {0: "none", 1: "poor", 2: "easy", 3: "easy"}


def test_intervals_of_a_class_cover_its_exponent():
    exponents = dict.fromkeys(range(150), 0.3)
    found = per_class.class_laws(metrics(exponents, noise=0.1), SETTINGS, CURVES[:1])
    covered = ((found["k_low"] <= 0.3) & (found["k_high"] >= 0.3)).mean()
    assert 0.9 < covered < 0.99


def test_several_sets_are_averaged_class_by_class():
    other = metrics(evaluation="other")
    other["cross_entropy"] *= 3
    found = per_class.by_class(pd.concat([metrics(), other]), ["held_out", "other"])
    alone = per_class.by_class(metrics(), ["held_out"])
    assert found["cross_entropy"].to_numpy() == pytest.approx(2 * alone["cross_entropy"].to_numpy())
    with pytest.raises(ValueError, match="class 3 is not in each of held_out, other"):
        per_class.by_class(
            pd.concat([metrics(), other[other["class_id"] != 3]]), ["held_out", "other"]
        )


def test_a_missing_run_is_no_silent_gap():
    table = metrics()
    with pytest.raises(ValueError, match="2 runs have no metrics"):
        per_class.class_laws(
            table[~((table["size"] == 60) & (table["guidance"] == 1.0))], SETTINGS, CURVES
        )


def test_the_shown_class_is_the_median_of_its_group():
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


# -- correlations ----------------------------------------------------------------------------------------------------------------------


def clusters(random, classes: int, curves: int, correlation: float) -> pd.DataFrame:
    """k and a score that share most of their spread within a class."""
    covariance = [[1, correlation], [correlation, 1]]
    own = random.multivariate_normal([0, 0], covariance, classes)[:, None] * 0.8**0.5
    values = (
        own + random.multivariate_normal([0, 0], covariance, (classes, curves)) * 0.2**0.5
    ).reshape(-1, 2)
    return pd.DataFrame(
        {
            "class_id": np.repeat(np.arange(classes), curves),
            "k": values[:, 0],
            "score": values[:, 1],
        }
    )


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_intervals_of_the_rank_correlation_cover(correlation):
    truth, random, trials = 6 / np.pi * np.arcsin(correlation / 2), np.random.default_rng(0), 200
    covered = 0
    for _ in range(trials):
        found = per_class.rank_correlation(clusters(random, 10, 5, correlation), "score", times=500)
        covered += found["low"] <= truth <= found["high"]
    assert 0.92 < covered / trials <= 0.995


def test_rows_of_a_class_are_no_independent_ones():
    table = clusters(np.random.default_rng(1), 12, 4, 0.3)
    wide = per_class.rank_correlation(table, "score")
    narrow = per_class.rank_correlation(table.assign(row=range(len(table))), "score", by="row")
    assert wide["rho"] == narrow["rho"]
    assert wide["high"] - wide["low"] > 1.3 * (narrow["high"] - narrow["low"])
    assert (wide["n"], wide["clusters"], narrow["clusters"]) == (48, 12, 48)


def test_the_rank_correlation_is_scipys_and_always_the_same():
    table = clusters(np.random.default_rng(2), 9, 3, 0.5).round(1)  # with ties
    found = per_class.rank_correlation(table, "score")
    assert found["rho"] == pytest.approx(stats.spearmanr(table["k"], table["score"]).statistic)
    assert found == per_class.rank_correlation(table, "score")
    assert found["low"] < found["rho"] < found["high"]


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 2)), min_size=4, max_size=4
    )
)
@settings(max_examples=20, deadline=None)
def test_what_curves_differ_in_as_a_whole_is_no_difference_of_classes(changes):
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
        plot_per_class.draw_score(
            axes, own.rename(columns={"score": "diversity"}), "diversity", "c", []
        )
        for own in (table, changed)
    ]
    plt.close()
    assert drawn[0] == drawn[1]
    assert drawn[0]["rho"] == expected["rho"]


def test_classes_that_have_no_relation_seldom_seem_to():
    """Seven curves that differ in both k and the score, as guidance scales make them: among classes
    there is nothing.
    """
    random, trials, seen = np.random.default_rng(6), 200, 0
    curve = np.tile(np.arange(7), 10)
    for _ in range(trials):
        table = clusters(random, 10, 7, 0.0).assign(
            source=curve, guidance=1.0, architecture="small"
        )
        table[["k", "score"]] += curve[:, None]
        found = per_class.rank_correlation(table, "score", times=500, within=per_class.CURVE)
        seen += not found["low"] <= 0 <= found["high"]
    assert seen / trials < 0.07


def test_weights_are_repetitions():
    random = np.random.default_rng(3)
    x, y, weights = random.integers(0, 6, 30), random.integers(0, 6, 30), random.integers(0, 3, 30)
    found = per_class._spearman(x, y, weights[None].astype(float))[0]
    assert found == pytest.approx(
        stats.spearmanr(np.repeat(x, weights), np.repeat(y, weights)).statistic
    )


def test_what_has_no_correlation_says_so():
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


def test_permutations_of_classes_keep_their_level():
    """Classes without a relation: each p is below 0.05 in about 5 % of tables, though rows of a
    class are alike.
    """
    random, trials = np.random.default_rng(7), 300
    curve = np.tile(np.arange(5), 10)
    found = []
    for _ in range(trials):
        table = clusters(random, 10, 5, 0.0).assign(
            source=curve, guidance=1.0, architecture="small"
        )
        found.append(per_class.permutation_p(table, "score", within=per_class.CURVE, times=199))
    assert (np.array(found) < 0.05).mean(0) == pytest.approx(0.05, abs=0.03)


def test_permutations_find_a_relation_of_classes():
    table = clusters(np.random.default_rng(8), 12, 4, 0.95)
    higher, lower = per_class.permutation_p(
        table.assign(curve=np.tile(np.arange(4), 12)), "score", within=["curve"]
    )
    assert higher < 0.001
    assert lower > 0.999


def test_permutations_leave_out_what_is_missing():
    table = clusters(np.random.default_rng(9), 12, 4, 0.9).assign(curve=np.tile(np.arange(4), 12))
    table.loc[5, "k"] = np.nan
    assert per_class.permutation_p(table, "score", within=["curve"])[0] < 0.01
    assert np.isnan(
        per_class.permutation_p(table.assign(score=1.0), "score", within=["curve"])
    ).all()
    assert np.isnan(per_class.permutation_p(table.iloc[:2], "score", within=["curve"])).all()
