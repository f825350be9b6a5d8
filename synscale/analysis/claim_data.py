"""What claims are tested on: the metrics of a study, by law and curve; and a row of their table."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from synscale.analysis import effects, metrics
from synscale.analysis.decisions import Test
from synscale.analysis.effects import Effect, Points
from synscale.report import tables
from synscale.workflow.settings.claims import ClaimsSettings
from synscale.workflow.settings.curves import Curve

K = "difference of k"
LOG_LOSS = "difference of log loss"
RHO = "rank correlation"
WELCH = "one line through the mean log loss of the curves, Welch and Satterthwaite's interval"
ONE_REGRESSION = "one regression with a line for each curve"
SIZES = "sizes of curves"  # the points that exponents are fitted to


@dataclass
class Data:
    """Metrics that claims are tested on. table: as `metrics.read` returns it."""

    table: pd.DataFrame
    settings: ClaimsSettings
    _runs: dict[str, pd.DataFrame] = field(default_factory=dict)

    def runs(self, law: str) -> pd.DataFrame:
        """Return every run of a law's experiments."""
        if law not in self._runs:
            law_settings = self.settings.laws[law]
            # CLIP models have metrics on tasks that classifiers have none on.
            architectures = {name for e in law_settings.experiments for name in e.architectures}
            table = self.table[self.table["architecture"].isin(architectures)]
            overall = metrics.overall(table, law_settings.evaluation)
            self._runs[law] = metrics.of_experiments(overall, law_settings.experiments)
        return self._runs[law]

    def fitted_runs(self, law: str, curve: Curve) -> pd.DataFrame:
        """Return the runs of a curve that a law is fitted to.

        Parameters
        ----------
        law : str
        curve : Curve
            The curve; its source, guidance scale and architecture select runs.
        """
        runs = metrics.of_curve(self.runs(law), *curve.key)
        return runs[runs["size"].between(*self.settings.laws[law].sizes)]

    def points(self, law: str, curve: Curve) -> Points:
        """Return sizes and losses of the runs of a curve that a law is fitted to.

        Parameters
        ----------
        law : str
        curve : Curve

        Returns
        -------
        sizes, losses=(ndarray, ndarray), shape (N,), float64
            One row for each run.
        """
        return _points(self.fitted_runs(law, curve))

    def points_by_draw(self, law: str, curve: Curve) -> list[Points]:
        """Return `points` for each draw of the images.

        Parameters
        ----------
        law : str
        curve : Curve
        """
        runs = self.fitted_runs(law, curve)
        return [_points(group) for _, group in runs.groupby(runs["seed"] % self.settings.draws)]

    def real(self, architecture: str) -> Curve:
        """Return the curve of the real images."""
        is_clip = architecture == self.settings.clip_architecture
        source = self.settings.clip_real if is_clip else self.settings.real
        return Curve(source, None, architecture)

    def mean_difference(self, law: str, curves: list[Curve]) -> tuple[Effect, str, str]:
        """Return mean k of curves minus that of the real images, what n counts, and the method.

        Parameters
        ----------
        law : str
        curves : list of Curve
            Synthetic curves.

        Returns
        -------
        tuple of (Effect, str, str)
        """
        real = self.real(curves[0].architecture)
        if self.settings.draws:
            draws = [self.points_by_draw(law, curve) for curve in curves]
            real_draws = self.points_by_draw(law, real)
            effect = effects.over_draws(effects.mean_difference, draws, real_draws)
            return effect, "draws of images", "Student's interval over draws of the images"
        synthetic = [self.points(law, curve) for curve in curves]
        real_points = self.points(law, real)
        if len(curves) == 1 and real.architecture == self.settings.clip_architecture:
            effect, method = effects.difference(real_points, *synthetic), ONE_REGRESSION
        else:
            effect, method = effects.mean_difference(synthetic, real_points), WELCH
        return effect, SIZES, method + at_same_sizes(synthetic, real_points)

    def evaluation(self, law: str) -> str:
        """Return the evaluation sets of a law as a text."""
        names = self.settings.laws[law].evaluation
        return names[0] if len(names) == 1 else f"mean of {', '.join(names)}"


def _points(runs: pd.DataFrame) -> Points:
    return runs["size"].to_numpy(), runs["cross_entropy"].to_numpy()


@dataclass(frozen=True)
class ClaimRow:
    """A row of the table, before the verdict, which depends on all rows. n_of: what n counts."""

    claim: str
    hypothesis: str
    curves: str
    evaluation: str
    n_of: str
    unit: str
    effect: Effect
    test: Test
    note: str

    def columns(self) -> dict:
        """Return the columns of the table. Only a difference of log loss has a ratio of losses."""
        ends = [self.effect.value, self.effect.low, self.effect.high]
        ratios = np.exp(ends) if self.unit == LOG_LOSS else [np.nan] * 3
        texts = ("claim", "hypothesis", "curves", "evaluation")
        return {
            **{name: getattr(self, name) for name in texts},
            **{"n": self.effect.n, "n_of": self.n_of, "unit": self.unit},
            **dict(zip(("effect", "low", "high"), ends, strict=True)),
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratios, strict=True)),
            **{"p": self.test.p, "p_opposite": self.test.p_opposite, "note": self.note},
        }


def names(curves: list[Curve]) -> str:
    """Return the sources of curves as the study names them, each with its guidance scale."""
    return ", ".join(
        curve.source + ("" if curve.guidance is None else f" at {curve.guidance:g}")
        for curve in curves
    )


def against_real(data: Data, curves: list[Curve], mean: str = "mean of ") -> str:
    """Return curves, the real images that they are compared with, and the architecture.

    Parameters
    ----------
    data : Data
    curves : list of Curve
        Synthetic curves.
    mean : str, optional
        Text before the curves.
    """
    real = data.real(curves[0].architecture)
    return f"{mean}{names(curves)} against {real.source}, {real.architecture}"


def interval(effect: Effect) -> str:
    """Return an effect as a text."""
    return tables.interval(effect.value, effect.low, effect.high)


def at_same_sizes(synthetic: list[Points], real: Points) -> str:
    """Return the mean difference of k at the sizes that all curves have, as a text.

    Empty if there are fewer than three.

    Parameters
    ----------
    synthetic, real : Points
    """
    curves = [*synthetic, real]
    common = sorted(set.intersection(*(set(map(int, sizes)) for sizes, _ in curves)))
    if len(common) < 3:
        return ""
    masks = [np.isin(sizes, common) for sizes, _ in curves]
    pairs = zip(curves, masks, strict=True)
    *inside, real_inside = [(sizes[mask], losses[mask]) for (sizes, losses), mask in pairs]
    effect = interval(effects.mean_difference(inside, real_inside))
    sizes = f"{len(common)} sizes that all curves have ({tables.sizes(common)} images)"
    return f"; at the {sizes} {effect}"
