"""What must hold for data sets in files and for what is made of them, beside what checks.py looks
at. Its contract is the same.

Whether the data are there is told later, when a job is about to read them (datasets/guard.py): a
study may be planned on any machine.
"""

from pathlib import Path

import yaml

from synscale.study import class_table
from synscale.study.checks.sources import short, unknown
from synscale.study.models import expand_curves
from synscale.study.models.data import unmasked


def sources_have_their_data(sources, data):
    faults, users = [], {}
    for name, source in sources.items():
        if source.kind not in ("real", "pairs"):
            continue
        key = f"sources.{name}"
        if data.kind != "files":
            if source.kind == "pairs":
                faults.append(
                    f"{key}.kind = 'pairs': the digits have no pairs; use data.kind 'files'"
                )
            elif source.data not in (None, "classifier_training"):
                faults.append(
                    f"{key}.data = {source.data!r}: of the digits real images are of classifier_training; remove the key"
                )
        elif source.data is None:
            faults.append(
                f"{key}.data: missing; name a training split of data.training: {', '.join(data.training)}"
            )
        else:
            faults += unknown(f"{key}.data", source.data, data.training, "training split")
            users.setdefault(source.data, {})[source.kind] = name
    for split, own in users.items():
        if len(own) == 2:
            faults.append(
                f"sources.{own['real']}.data = {split!r}: the data of sources.{own['pairs']} too, which has texts and no classes; use another split"
            )
    return faults


def evaluation_sets_are_sound(data):
    if data.kind != "files":
        return []
    faults = []
    for name, chosen in data.evaluation.items():
        key = f"data.evaluation.{name}"
        if name in data.training:
            faults.append(f"{key}: the name of a training split too; rename one")
        if any(name == unmasked(other) for other in data.evaluation):
            faults.append(
                f"{key}: metrics of another set would have this name, where all classes are answers; rename it"
            )
        if chosen.classes is not None:
            faults += class_table.faults(f"{key}.classes", chosen.classes)
        if chosen.templates is not None:
            faults += [
                f"{key}.templates = {chosen.templates!r}: {fault}"
                for fault in _template_faults(Path(chosen.templates), chosen.dataset)
            ]
    for name, chosen in data.training.items():
        if chosen.skip is not None and not Path(chosen.skip).is_file():
            faults.append(
                f"data.training.{name}.skip = {chosen.skip!r}: no such file; the path starts where snakemake does"
            )
    return faults


def _template_faults(path: Path, dataset: str) -> list[str]:
    if not path.is_file():
        return ["no such file; give a YAML file, data set -> list of texts with {name} in them"]
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(known, dict) or not known.get(dataset):
        return [f"no templates of data set {dataset!r} in it; add them"]
    return [
        f"{dataset}.{i} = {short(text)}: must hold {{name}} once"
        for i, text in enumerate(known[dataset])
        if str(text).count("{name}") != 1
    ]


def texts_have_their_images(recipes, sources, data):
    faults = []
    for name, recipe in recipes.items():
        key = f"recipes.{name}"
        if recipe.kind in ("captions", "alt_texts") and data.kind == "files":
            faults.append(
                f"{key}.kind = {recipe.kind!r}: real images of classes in files have no captions; use kind image_captions or pair_texts"
            )
        if recipe.kind != "pair_texts":
            continue
        faults += unknown(f"{key}.source", recipe.source, sources, "source")
        if recipe.source not in sources:
            continue
        own = sources[recipe.source]
        if own.kind != "pairs":
            faults.append(
                f"{key}.source = {recipe.source!r}: a source of kind {own.kind!r}; name one of kind 'pairs'"
            )
            continue
        for other, source in sources.items():
            most = (
                max(source.images.values())
                if source.kind == "synthetic" and source.recipe == name
                else 0
            )
            if most > own.images:
                faults.append(
                    f"sources.{other}.images = {most}: more than the {own.images} texts of sources.{recipe.source}.images; lower the one or raise the other"
                )
    return faults


def real_images_are_for_models_that_can_learn_from_them(
    experiments, sources, data, classifiers, clip
):
    """Pairs have no classes, real images of classes in files no texts."""
    if data.kind != "files":
        return []
    faults = []
    for name, experiment in experiments.items():
        used = {source for source, _ in expand_curves(experiment.curves, sources)}
        used |= {
            part.source
            for source in used
            if sources[source].kind == "mixture"
            for part in sources[source].parts
        }
        kinds = {sources[source].kind: source for source in used if source in sources}
        if "pairs" in kinds and set(experiment.architectures) & set(classifiers.architectures):
            faults.append(
                f"experiments.{name}.curves = {kinds['pairs']!r}: pairs have no classes, so no classifier can learn from them; drop it here"
            )
        if "real" in kinds and clip and set(experiment.architectures) & set(clip.architectures):
            faults.append(
                f"experiments.{name}.curves = {kinds['real']!r}: images of classes have no texts, so CLIP cannot learn from them; use pairs"
            )
    return faults


def own_classes_are_for_clip(laws, experiments, data, classifiers, scores):
    """A classifier knows the study's classes alone."""
    own = [name for name, chosen in data.evaluation.items() if getattr(chosen, "classes", None)]
    mend = "has classes of its own, which a classifier does not know; name a set of the study's classes"
    faults = [f"scores.evaluation = {scores.evaluation!r}: {mend}"] * (scores.evaluation in own)
    for name, law in laws.items():
        architectures = {
            architecture
            for e in law.experiments
            if e in experiments
            for architecture in experiments[e].architectures
        }
        if architectures & set(classifiers.architectures):
            faults += [
                f"laws.{name}.evaluation = {evaluation!r}: {mend}"
                for evaluation in law.evaluation
                if evaluation in own
            ]
    return faults


CHECKS = [
    sources_have_their_data,
    evaluation_sets_are_sound,
    texts_have_their_images,
    real_images_are_for_models_that_can_learn_from_them,
    own_classes_are_for_clip,
]
