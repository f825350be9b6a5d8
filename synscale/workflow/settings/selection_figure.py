"""Settings of figure `selection`: curves of selected images, and of all images of their sources."""

from dataclasses import dataclass

from synscale.study.models import CurveSelection, Study
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import Curve, Windows, labelled
from synscale.workflow.settings.figures import part_of
from synscale.workflow.settings.laws import LawSettings, law_settings


@dataclass(frozen=True)
class ComparedCurves:
    """A curve of selected images, their windows, and the curve of all images of their source."""

    selected: Curve
    windows: Windows
    everything: Curve


@dataclass(frozen=True)
class SelectionFigureSettings(Settings):
    """Figure `selection`."""

    law: LawSettings
    law_name: str
    architecture: str
    compared: list[ComparedCurves]


def selection_figure_settings(study: Study) -> SelectionFigureSettings:
    """Return the settings of figure `selection`."""
    figure = part_of(study, "selection", study.figures.selection)
    rows = [study.sources[curve.source] for curve in figure.curves]
    every_image = [
        CurveSelection(
            source=row.source, guidance="all" if row.guidance is None else [row.guidance]
        )
        for row in rows
    ]
    curves = labelled(study, [*figure.curves, *every_image], [figure.architecture])
    compared = []
    for curve, everything in zip(curves, curves[len(rows) :], strict=False):
        assert curve.windows is not None  # the checks of a study refuse other curves
        compared.append(ComparedCurves(curve, curve.windows, everything))
    law = law_settings(study, figure.law)
    return SelectionFigureSettings(law, figure.law, figure.architecture, compared)
