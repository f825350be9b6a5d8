"""The law of unique images and epochs: known laws are found, and unknown parts are reported."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synscale.analysis.laws import LawError, repetition

IMAGES, EPOCHS = (
    values.ravel() for values in np.meshgrid([100, 400, 1600], [0.5, 1, 3, 10, 40, 160])
)


def law(r_star: float, k: float = 0.3, epochs=EPOCHS) -> np.ndarray:
    """Return losses by the formula of the paper."""
    repeated = np.maximum(epochs - 1, 0)
    effective = IMAGES * (np.minimum(epochs, 1) + r_star * (1 - np.exp(-repeated / r_star)))
    return (500 / effective) ** k


def fitted(losses, epochs=EPOCHS) -> repetition.RepetitionFit:
    return repetition.fit(repetition.points(IMAGES, epochs, losses))


@given(st.floats(0.5, 60), st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_exact_losses_return_the_parameters(r_star, k):
    found_k, found_r = repetition.parameters(fitted(law(r_star, k)))["value"]
    assert (found_k, found_r) == pytest.approx((k, r_star), rel=1e-3)


def test_interval_covers_the_truth_in_most_simulations():
    covered = []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0, 0.02, len(IMAGES))
        table = repetition.parameters(fitted(law(5.0) * np.exp(noise))).set_index("parameter")
        row = table.loc["r_star"]
        assert row["identified"]
        covered.append(row["low"] <= 5.0 <= row["high"])
    assert np.mean(covered) >= 0.85


def test_r_star_is_not_identified_without_saturation():
    few = np.minimum(EPOCHS, 3) / 3
    noise = np.random.default_rng(0).normal(0, 0.02, len(IMAGES))
    result = fitted(law(1e4, epochs=few) * np.exp(noise), few)
    row = repetition.parameters(result).set_index("parameter").loc["r_star"]
    assert not row["identified"]


def test_most_epochs_are_predicted_from_fewer():
    losses = law(5.0)
    assert repetition.held_out_error(repetition.points(IMAGES, EPOCHS, losses)) < 1e-4
    losses[EPOCHS == 160] *= 1.5
    error = repetition.held_out_error(repetition.points(IMAGES, EPOCHS, losses))
    assert error == pytest.approx(np.log(1.5), rel=0.01)


def test_lack_of_fit_is_found_in_wrong_laws_only():
    pvalues = {"law": [], "flat": []}
    for seed in range(30):
        noise = np.random.default_rng(seed).normal(0, 0.02, (3, len(IMAGES)))
        wrong = np.maximum(law(5.0), 0.7)  # a floor
        for name, losses in (("law", law(5.0)), ("flat", wrong)):
            runs = (losses * np.exp(noise)).ravel()
            images, epochs = np.tile(IMAGES, 3), np.tile(EPOCHS, 3)
            result = repetition.fit(repetition.points(images, epochs, runs))
            pvalues[name].append(repetition.lack_of_fit(result, images, epochs, runs))
    assert np.mean(np.array(pvalues["law"]) < 0.05) < 0.2
    assert max(pvalues["flat"]) < 1e-6


def test_one_run_of_each_pair_cannot_test_the_fit():
    assert np.isnan(repetition.lack_of_fit(fitted(law(5.0)), IMAGES, EPOCHS, law(5.0)))


def test_repetitions_are_worth_at_most_r_star():
    share = repetition.effective_share([0.5, 1, 2, 1e6], 4.0)
    assert share[:2].tolist() == [0.5, 1]
    assert 1.8 < share[2] < 2
    assert share[3] == pytest.approx(5)


@pytest.mark.parametrize(
    ("images", "epochs", "losses", "message"),
    [
        ([10, 20], [1, 2], [1, 1], "2 different pairs of images and epochs (expected 5 or more)"),
        ([10] * 5, [1, 2, 3, 4, 5], [1] * 5, "one number of images; add another"),
        ([10, 20, 30, 40, 50], [1] * 5, [1] * 5, "no number of images has runs of different epoch"),
        ([10] * 5, [1, 2, 3, 4, 5], [1, 1, 1, 1, 0], "must be positive, finite numbers"),
    ],
)
def test_points_that_identify_no_law_are_refused(images, epochs, losses, message):
    with pytest.raises(LawError) as error:
        repetition.points(images, epochs, losses)
    assert message in str(error.value)
