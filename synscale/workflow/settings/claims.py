"""Settings of the table of claims: which curves each claim of the paper is tested on."""

from dataclasses import dataclass, replace

from synscale.study.models import Study, expand_curves, resolve_mixture
from synscale.workflow.runs import training_runs
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import Curve, labelled
from synscale.workflow.settings.figures import experiments_of_laws, part_of
from synscale.workflow.settings.laws import LawSettings, law_settings
from synscale.workflow.settings.mixed_figures import FewRealSettings, limited_settings
from synscale.workflow.shards import real_sources


@dataclass(frozen=True)
class ClaimsSettings(Settings):
    """Table `claims`.

    Keys that the study's `tables.claims` has too mean the same as there. Lists and texts are empty
    if the study leaves them out.

    Attributes
    ----------
    laws : dict of str to LawSettings
    curves, guidance, recipes, generators, clip_curves : list of Curve
    real, clip_real : str
        Sources of the real images and of the real image-text pairs.
    clip_pairs : list of (int, int)
        Sizes of the mixture of image-text pairs, and how many real pairs each contains; only sizes
        whose real pairs are also trained on without synthetic ones.
    few_real : FewRealSettings or None
        As figure `limited_real`, if the study has it.
    draws : int or None
        Number of draws that the images of all sources are split into; None if they are not.
    """

    law: str
    architecture: str
    ood_laws: list[str]
    clip_law: str
    clip_downstream_law: str | None
    clip_architecture: str
    clip_mixture: str
    min_difference: float
    curves: list[Curve]
    guidance: list[Curve]
    recipes: list[Curve]
    generators: list[Curve]
    clip_curves: list[Curve]
    real: str
    clip_real: str
    laws: dict[str, LawSettings]
    clip_pairs: list[tuple[int, int]]
    few_real: FewRealSettings | None
    draws: int | None = None


def claims_laws(study: Study) -> list[str]:
    """Return the laws that claims are tested on, each once."""
    claims = part_of(study, "claims", study.tables.claims)
    laws = [claims.law, *(claims.ood_laws or []), claims.clip_law, claims.clip_downstream_law]
    return list(dict.fromkeys(filter(None, laws)))


def claims_experiments(study: Study) -> list[str]:
    """Return the experiments whose metrics claims are tested on, each once."""
    few_real = study.figures.limited_real.experiments if study.figures.limited_real else []
    return list(dict.fromkeys([*experiments_of_laws(study, claims_laws(study)), *few_real]))


def claims_sources(study: Study) -> list[str]:
    """Return the sources whose classes are scored, each once."""
    curves = expand_curves(part_of(study, "claims", study.tables.claims).curves, study.sources)
    return list(dict.fromkeys(source for source, _ in curves))


def claims_settings(study: Study) -> ClaimsSettings:
    """Return the settings of table `claims`."""
    claims = part_of(study, "claims", study.tables.claims)
    real = real_sources(study)[0]
    clip_real = claims.clip_real or real
    curves = {
        name: _curves(study, getattr(claims, name) or [], claims.architecture)
        for name in ("curves", "guidance", "recipes", "generators")
    }
    clip_curves = claims.clip_curves or []
    curves["clip_curves"] = _curves(study, clip_curves, claims.clip_architecture or "")
    few_real = limited_settings(study) if study.figures.limited_real else None
    if few_real:
        mixtures = [replace(mixture, style=None) for mixture in few_real.mixtures]
        few_real = replace(few_real, mixtures=mixtures)
    sources = {curve.source for group in curves.values() for curve in group} | {real, clip_real}
    # Draws that overlap are no independent repetitions: then sizes are the unit, as without draws.
    draws = {1 if row.draws_overlap else row.draws for row in map(study.sources.get, sources)}
    return ClaimsSettings(
        law=claims.law,
        architecture=claims.architecture,
        ood_laws=claims.ood_laws or [],
        clip_law=claims.clip_law or "",
        clip_downstream_law=claims.clip_downstream_law,
        clip_architecture=claims.clip_architecture or "",
        clip_mixture=claims.clip_mixture or "",
        min_difference=claims.min_difference,
        **curves,
        real=real,
        clip_real=clip_real,
        laws={law: law_settings(study, law) for law in claims_laws(study)},
        clip_pairs=_clip_pairs(study, claims, clip_real) if claims.clip_law else [],
        few_real=few_real,
        draws=max(draws) if len(draws) == 1 and draws != {1} else None,
    )


def _clip_pairs(study: Study, claims, clip_real: str) -> list[tuple[int, int]]:
    """Return `ClaimsSettings.clip_pairs`."""
    runs = [
        run
        for run in training_runs(study, study.laws[claims.clip_law].experiments)
        if run.architecture == claims.clip_architecture
    ]
    real_sizes = {run.size for run in runs if run.source == clip_real}
    clip_pairs = []
    for size in sorted({run.size for run in runs if run.source == claims.clip_mixture}):
        parts = resolve_mixture(study.sources, claims.clip_mixture, None, size)
        count = sum(part.images for part in parts if part.source == clip_real)
        if count in real_sizes:
            clip_pairs.append((size, count))
    return clip_pairs


def _curves(study: Study, curves: list, architecture: str) -> list[Curve]:
    """Return curves with labels but without styles, which a table does not need."""
    return [replace(curve, style=None) for curve in labelled(study, curves, [architecture])]
