"""Runs on few real images, and settings of their figure."""

import pandas as pd

from synscale.workflow.settings.mixed_figures import FewRealMixture, FewRealSettings


def few_real(label: str, real_images: int, style=None) -> FewRealSettings:
    """Settings of one mixture."""
    mixture = FewRealMixture("few", label, real_images, style)
    return FewRealSettings("a", "", [], "real", [mixture])


def runs(losses: dict[int, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"size": size, "seed": seed, "cross_entropy": loss, "top1": -loss}
            for size, losses_of_seeds in losses.items()
            for seed, loss in enumerate(losses_of_seeds)
        ]
    )
