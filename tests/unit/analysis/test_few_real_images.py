"""Gains of synthetic images next to few real ones."""

import numpy as np
import pandas as pd
import pytest

from synscale.analysis import few_real_images
from tests.support.few_real_runs import few_real, runs

REAL_ONLY = runs({30: [1.0, 1.2, 0.8]})
MIXED = runs({60: [0.9, 1.1, 0.7], 120: [0.5, 0.71, 0.3], 240: [0.6, 0.8, 0.4]})


@pytest.mark.parametrize("measure", ["cross_entropy", "top1"])
def test_gains_are_paired_by_seed(measure):
    result = few_real_images.of_mixture(MIXED, REAL_ONLY, 30, measure).set_index("added")
    assert result.index.tolist() == [0, 30, 90, 210]
    assert result["ratio"].tolist() == [0, 1, 3, 7]
    assert result["gain"].tolist() == pytest.approx([0, 0.1, 0.5 - 0.01 / 3, 0.4])
    assert result["gain_low"][30] == pytest.approx(
        0.1
    )  # every seed gains the same, though seeds differ by more
    assert result["helps"].tolist() == [False, True, True, True]


def test_line_ends_if_more_images_are_harmful():
    result = few_real_images.of_mixture(MIXED, REAL_ONLY, 30, "cross_entropy").set_index("added")
    assert result.index[result["best"]].tolist() == [90]
    assert result["ends"].all()
    noisy = pd.concat([MIXED[MIXED["size"] < 240], runs({240: [0.4, 1.0, 0.4]})])
    assert not few_real_images.of_mixture(noisy, REAL_ONLY, 30, "cross_entropy")["ends"].any()
    rising = few_real_images.of_mixture(MIXED[MIXED["size"] < 240], REAL_ONLY, 30, "cross_entropy")
    assert not rising["ends"].any()


def test_one_seed_has_no_interval():
    one = few_real_images.of_mixture(
        MIXED[MIXED["seed"] == 0], REAL_ONLY[REAL_ONLY["seed"] == 0], 30, "top1"
    )
    assert not one["helps"].any()
    assert one["gain_low"].isna().all()


def test_gains_need_runs_on_real_images_only():
    columns = {"guidance": pd.array([None], "Float64")[0], "architecture": "a"}
    table = pd.concat(
        [REAL_ONLY.assign(source="real", **columns), MIXED.assign(source="few", **columns)]
    ).astype({"guidance": "Float64"})
    measures = few_real_images.gains(table, few_real("few", 30))["measure"].value_counts()
    assert measures.to_dict() == {"cross_entropy": 4, "top1": 4}
    message = "few: no run is trained on 60 real images only; add size 60"
    with pytest.raises(ValueError, match=message):
        few_real_images.gains(table, few_real("few", 60))


def test_intervals_of_gains_cover():
    random = np.random.default_rng(0)
    ends = np.array([few_real_images.interval(random.normal(0.2, 1, 3)) for _ in range(2000)])
    assert ((ends[:, 0] < 0.2) & (ends[:, 1] > 0.2)).mean() == pytest.approx(0.95, abs=0.015)
