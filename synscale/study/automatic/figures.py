"""Keys of each automatic figure and table, and what a study needs for it."""

from collections.abc import Callable
from dataclasses import dataclass

from synscale.study.automatic import mixed_figures
from synscale.study.automatic.contents import Contents
from synscale.study.models import expand_curves, images_of_each_part
from synscale.study.models.data import classified

EXAMPLES = 10  # images of each class in figure `per_class`


@dataclass(frozen=True)
class Automatic:
    """Figure or table that can follow from the experiments of a study.

    Parameters
    ----------
    keys : callable
        Returns its keys, or None if the study lacks what it needs.
    needs : str
        What it needs, for messages and for docs/reference/figures.md.
    """

    keys: Callable[[Contents], dict | None]
    needs: str


def _samples(study: Contents) -> dict | None:
    recipes: dict[str, list[str]] = {}
    for name, row in study.sources.items():
        if study.is_synthetic(name):
            recipes.setdefault(row.generator, []).append(row.recipe)
    generator = max(recipes, key=lambda name: len(recipes[name]), default=None)
    if generator is None:
        return None
    return {"generator": generator, "recipes": recipes[generator], "columns": 5}


def _plane(study: Contents) -> dict | None:
    used = [row.generator for name, row in study.sources.items() if study.is_synthetic(name)]
    return {"generators": list(dict.fromkeys(used))} if used else None


def _sweep(study: Contents) -> dict | None:
    sweep = study.sweep()
    return sweep and sweep | {"evaluation": study.evaluation}


def _title(names: list[str]) -> str:
    return names[0].replace("_", " ") if len(names) == 1 else f"mean of {len(names)}"


def _law_panel(study: Contents, law: str, architecture: str, title: str) -> dict:
    curves = study.curves(law, architecture)
    return {"title": title, "law": law, "architectures": architecture, "curves": curves}


def _supervised(study: Contents) -> dict | None:
    laws = study.laws_of(clip=False)[:1]
    rows = study.classifiers.architectures
    panels = []
    for law in laws:
        started = _started_panel(study, law)
        compared = started["architectures"][1:] if started else []
        names = [name for name in study.architectures(law) if name not in compared]
        panels += [_law_panel(study, law, name, rows[name].label) for name in names]
        panels += [started] if started else []
    return {"panels": panels} if panels else None


def _started_panel(study: Contents, law: str) -> dict | None:
    """Return a panel of the first architecture and of those that start from weights."""
    rows = study.classifiers.architectures
    names = study.architectures(law)
    compared = [names[0], *(name for name in names[1:] if rows[name].start)]
    curves = [
        curve
        for curve in study.curves(law, names[0])
        if all(curve in study.curves(law, name) for name in compared)
    ]
    if len(compared) == 1 or not curves:
        return None
    panel = {"title": "weights to start from", "law": law}
    return panel | {"architectures": compared, "curves": curves}


def _ood(study: Contents) -> dict | None:
    laws = study.laws_of(clip=False)[1:]
    panels = [
        _law_panel(study, law, study.architectures(law)[0], _title(study.laws[law].evaluation))
        for law in laws
    ]
    return {"panels": panels} if panels else None


def _clip_scaling(study: Contents) -> dict | None:
    panels = [
        _law_panel(study, law, study.architectures(law)[0], _title(study.laws[law].evaluation))
        for law in study.laws_of(clip=True)
    ]
    return {"panels": panels} if panels else None


def _beyond(study: Contents) -> dict | None:
    panels = []
    for law in study.laws_of(clip=False)[:1]:
        architecture = study.architectures(law)[0]
        for curve in study.curves(law, architecture, synthetic=True):
            panel = {"title": curve["source"].replace("_", " "), "law": law}
            panels.append(panel | {"architectures": architecture, "curves": [curve]})
    return {"panels": panels} if panels else None


def _main_law(study: Contents) -> dict | None:
    """Return the main law, its first architecture and its synthetic curves."""
    for law in study.laws_of(clip=False)[:1]:
        architecture = study.architectures(law)[0]
        curves = study.curves(law, architecture, synthetic=True)
        return {"law": law, "architecture": architecture, "curves": curves} if curves else None
    return None


def _per_class(study: Contents) -> dict | None:
    main = _main_law(study)
    return main and main | {"easy_top1": 0.9, "poor_k": 0.1, "examples": EXAMPLES}


def _limited_real(study: Contents) -> dict | None:
    mixtures = {
        name: row
        for name, row in study.sources.items()
        if row.kind == "mixture"
        and row.parts[0].images is not None
        and study.sources[row.parts[0].source].kind == "real"
    }
    trained = {
        name: [source for source, _ in expand_curves(row.curves, study.sources)]
        for name, row in study.experiments.items()
        if row.architectures[0] in study.classifiers.architectures
    }
    real = {row.parts[0].source for row in mixtures.values()}
    fitted = {name for law in study.laws.values() for name in law.experiments}
    experiments = [
        name
        for name, used in trained.items()
        if set(used) & {*mixtures} or (name in fitted and set(used) & real)
    ]
    shown = [name for name in mixtures if any(name in used for used in trained.values())]
    if not shown:
        return None
    with_mixture = next(name for name, used in trained.items() if shown[0] in used)
    architecture = study.experiments[with_mixture].architectures[0]
    names = [e for e in experiments if architecture in study.experiments[e].architectures]
    keys = {"experiments": names, "architecture": architecture, "evaluation": study.evaluation}
    return keys | {"mixtures": shown}


def _clip_transfer(study: Contents) -> dict | None:
    for law in study.laws_of(clip=True)[:1]:
        architecture = study.architectures(law)[0]
        curves = study.curves(law, architecture)
        experiments = study.laws[law].experiments
        if not _common_sizes(study, experiments, architecture):
            return None
        names = [*study.data.evaluation, *study.clip.tasks]
        evaluations = {name: name.replace("_", " ") for name in names}
        keys = {"experiments": experiments, "architecture": architecture}
        return keys | {"evaluations": evaluations, "curves": curves}
    return None


def _common_sizes(study: Contents, experiments: list[str], architecture: str) -> set[int]:
    """Return the numbers of images of each part that every curve of some experiments has."""
    numbers: dict[tuple, set[int]] = {}
    for name in experiments:
        row = study.experiments[name]
        if architecture in row.architectures:
            for curve in expand_curves(row.curves, study.sources):
                each = {images_of_each_part(study.sources, *curve, size) for size in row.sizes}
                numbers.setdefault(curve, set()).update(n for n in each if n is not None)
    return set.intersection(*numbers.values()) if numbers else set()


def _teaser(study: Contents) -> dict | None:
    panels = []
    for title, clip in (("Supervised", False), ("CLIP", True)):
        laws = study.laws_of(clip)
        if laws:
            architecture = study.architectures(laws[0])[0]
            names = {law: _title(study.laws[law].evaluation) for law in laws}
            first, *others = (study.curves(law, architecture) for law in laws)
            curves = [curve for curve in first if all(curve in other for other in others)]
            panel = {"title": title, "architecture": architecture, "laws": names}
            panels.append(panel | {"curves": curves})
    return {"panels": panels} if panels else None


def _training_curves(study: Contents) -> dict | None:
    names = [name for law in study.laws.values() for name in law.experiments]
    return {"experiments": list(dict.fromkeys(names)) or list(study.experiments)}


SYNTHETIC = "a synthetic source whose prompts name the class"
SWEEP = "an experiment of classifiers with two or more synthetic curves"
MAIN_LAW = "a law of classifiers with a synthetic curve"
FIGURES = {
    "samples": Automatic(_samples, SYNTHETIC),
    "recognizability_diversity": Automatic(_plane, SYNTHETIC),
    "configuration_sweep": Automatic(_sweep, SWEEP),
    "scores": Automatic(_sweep, SWEEP),
    "supervised_scaling": Automatic(_supervised, "a law of classifiers"),
    "beyond_the_law": Automatic(_beyond, MAIN_LAW),
    "per_class": Automatic(_per_class, MAIN_LAW),
    "ood_scaling": Automatic(_ood, "a second law of classifiers"),
    "limited_real": Automatic(
        _limited_real, "an experiment on a mixture that begins with a number of real images"
    ),
    "joint_law": Automatic(
        mixed_figures.joint_law,
        "classifiers trained on mixtures of one real and one synthetic source",
    ),
    "repetition": Automatic(
        mixed_figures.repetition, "classifiers that differ in iterations_factor only"
    ),
    "selection": Automatic(
        mixed_figures.selection,
        "a law of classifiers with curves of selected images and of all images",
    ),
    "clip_scaling": Automatic(_clip_scaling, "a law of CLIP models"),
    "clip_transfer": Automatic(
        _clip_transfer, "a law of CLIP models whose curves have a number of images in common"
    ),
    "teaser": Automatic(_teaser, "a law"),
    "exchange_rate": Automatic(_main_law, MAIN_LAW),
    "training_curves": Automatic(_training_curves, "an experiment"),
}


def _configurations(study: Contents) -> dict | None:
    sweep = study.sweep()
    return sweep and sweep | {"evaluations": study.evaluation}


def _clip_table(study: Contents) -> dict | None:
    return study.clip and {"evaluations": [*study.data.evaluation, *study.clip.tasks]}


def _ood_table(study: Contents) -> dict | None:
    others = classified(study.data)[1:]
    return {"evaluations": others} if others else None


def _prompts(study: Contents) -> dict | None:
    return {"each": 2} if study.recipes else None


def _supervised_table(study: Contents) -> dict | None:
    return {"evaluations": study.evaluation}


def _without_keys(study: Contents) -> dict | None:
    return {}


TABLES = {
    "prompts": Automatic(_prompts, "a recipe"),
    "configurations": Automatic(_configurations, SWEEP),
    "supervised": Automatic(_supervised_table, "classifiers"),
    "ood": Automatic(_ood_table, "a second evaluation set with the study's classes"),
    "clip": Automatic(_clip_table, "the section clip"),
    "hyperparameters": Automatic(_without_keys, "nothing more"),
    "laws": Automatic(_without_keys, "nothing more"),
}
