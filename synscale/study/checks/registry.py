"""Every check across the sections of a study, apart from those of figures and tables."""

from synscale.study.checks import (
    clip,
    data,
    experiments,
    finetuning,
    generators,
    recipes,
    scores,
    selection,
    sources,
    starts,
    training_sets,
)

MODULES = (
    *(sources, selection, starts, experiments, scores, clip),
    *(data, training_sets, generators, finetuning, recipes),
)
CHECKS = [check for module in MODULES for check in module.CHECKS]
