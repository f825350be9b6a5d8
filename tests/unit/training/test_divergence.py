"""A training with a loss that is not finite stops and reports where."""

import pytest

from synscale.training.divergence import check_finite


def test_finite_loss_is_returned():
    assert check_finite(0.5, "real a", 3, 1e-3) == 0.5


@pytest.mark.parametrize(
    ("loss", "norm"),
    [(float("nan"), float("inf")), (float("inf"), None), (0.5, float("inf"))],
)
def test_divergence_reports_step_rate_and_norm(loss, norm):
    with pytest.raises(SystemExit) as error:
        check_finite(loss, "real a", 3, 1e-3, norm, "lower classifiers.learning_rate")
    shown = "not computed" if norm is None else "inf"
    expected = (
        f"real a: training loss is {loss} at step 3 (learning rate 0.001, gradient norm {shown}"
    )
    assert str(error.value).startswith(expected)
    assert "; lower classifiers.learning_rate; the state saved before" in str(error.value)
