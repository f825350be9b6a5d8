"""What must hold across the parts of a study. Each check takes the parts that it needs by name and
returns a line for each fault: key, value, what is wrong, how to mend it. A check whose parts could
not be read is left out.
"""

import difflib

from synscale.study import class_table
from synscale.study.models import names_class, pairs, parts_of
from synscale.study.models.data import evaluations
from synscale.study.models.parts import images_in_draw


def short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown(key: str, name: str, known, what: str) -> list[str]:
    if name in known:
        return []
    close = difflib.get_close_matches(name, known, n=1)
    mend = (
        f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
    )
    return [f"{key} = {name!r}: no such {what}; {mend}"]


def curve_faults(key, curves, sources) -> list[str]:
    faults = []
    for i, curve in enumerate(curves):
        faults += unknown(f"{key}.{i}.source", curve.source, sources, "source")
        source = sources.get(curve.source)
        if source is None or curve.guidance == "all":
            continue
        if source.kind in ("real", "pairs"):
            faults.append(
                f"{key}.{i}.guidance = {curve.guidance}: real images have no guidance scale; remove the key"
            )
            continue
        for scale in curve.guidance:
            if scale not in source.images:
                faults.append(
                    f"{key}.{i}.guidance = {scale}: {curve.source!r} has no images at it; add it to sources.{curve.source}.images"
                )
    return faults


def class_table_exists(classes):
    return class_table.faults("classes", classes, class_table.NEEDED + class_table.TEXTS)


def recipes_have_their_words(recipes, classes):
    """An empty cell of the class table would be a prompt that ends in a comma."""
    faults = []
    if class_table_exists(classes):
        return []
    for name, recipe in recipes.items():
        used = {
            "description": ["description"],
            "hypernyms": ["hypernyms"],
            "alt_texts": class_table.TEXTS,
        }.get(recipe.kind, [])
        for column in used:
            empty = [
                row["class_id"] for row in class_table.rows(classes) if not row[column].strip()
            ]
            if empty:
                told = f"recipes.{name}.kind = {recipe.kind!r}: {classes} has no {column} of {len(empty)} classes ({', '.join(empty[:5])})"
                faults.append(f"{told}: add it, or leave the recipe out")
    return faults


def data_splits_are_apart(data):
    if data.kind != "sklearn_digits":
        return []
    owner, faults = {}, []
    training = {
        "generator_training": data.generator_training,
        "classifier_training": data.classifier_training,
    }
    sets = training | {
        f"evaluation.{name}": getattr(chosen, "forms", [])
        for name, chosen in data.evaluation.items()
    }
    for name, forms in sets.items():
        if not forms and name in training:
            faults.append(f"data.{name} = []: empty; name at least one form")
        for form in forms:
            if owner.get(form, name) != name:
                faults.append(
                    f"data.{name} = {forms}: form {form} is in data.{owner[form]} too; an image may be in one split only"
                )
            if name in training:  # evaluation sets may share forms: one may be made of another
                owner.setdefault(form, name)
    for name in data.evaluation:
        if name in training:
            faults.append(
                f"data.evaluation.{name}: the name of a training split; rename the evaluation set"
            )
    return faults


def recipes_have_their_text(recipes):
    faults = []
    for name, recipe in ((n, r) for n, r in recipes.items() if hasattr(r, "patterns")):
        if (recipe.kind == "sentences") != bool(recipe.patterns):
            faults.append(
                f"recipes.{name}.patterns = {short(recipe.patterns)}: kind 'sentences' needs patterns, and no other kind takes them"
            )
        for i, pattern in enumerate(recipe.patterns):
            if pattern.count("{name}") != 1 or pattern.replace("{name}", "").count("{"):
                faults.append(
                    f"recipes.{name}.patterns.{i} = {short(pattern)}: must hold {{name}} once and no other brace"
                )
    return faults


def sources_use_known_recipes(sources, recipes):
    named = [
        (name, source.recipe) for name, source in sources.items() if source.kind == "synthetic"
    ]
    return [
        fault
        for name, recipe in named
        for fault in unknown(f"sources.{name}.recipe", recipe, recipes, "recipe")
    ]


def sources_use_known_generators(sources, generators):
    named = [
        (name, source.generator) for name, source in sources.items() if source.kind == "synthetic"
    ]
    return [
        fault
        for name, generator in named
        for fault in unknown(f"sources.{name}.generator", generator, generators, "generator")
    ]


def sources_differ(sources):
    faults, seen = [], {}
    for name, source in sources.items():
        if source.kind == "mixture":
            continue
        identity = (
            (source.generator, source.recipe)
            if source.kind == "synthetic"
            else (source.kind, source.data)
        )
        if identity in seen:
            faults.append(
                f"sources.{name} = {' x '.join(filter(None, identity))}: the same as sources.{seen[identity]}; put their guidance scales into one"
            )
        seen.setdefault(identity, name)
    return faults


def classifiers_are_told_the_class(experiments, sources, recipes, classifiers):
    faults = []
    for name, experiment in experiments.items():
        for source, _ in (
            pairs(experiment.curves, sources)
            if set(experiment.architectures) & set(classifiers.architectures)
            else []
        ):
            made_of = (
                [part.source for part in sources[source].parts]
                if sources[source].kind == "mixture"
                else [source]
            )
            told = all(
                names_class(sources[part], recipes)
                for part in made_of
                if part in sources and getattr(sources[part], "recipe", None) in recipes
            )
            if not told:
                mend = "alt texts need not name the class, so no classifier can learn from them; drop it here"
                faults.append(f"experiments.{name}.curves = {source!r}: {mend}")
    return faults


def images_of(source) -> list[tuple]:
    """(guidance scale, number of images) of what a source makes; a mixture makes none."""
    if source.kind == "mixture":
        return []
    return list(source.images.items()) if source.kind == "synthetic" else [(None, source.images)]


def as_they_come(source, data) -> bool:
    """Real images in files: how they are spread over the classes, if they have any, is theirs."""
    return data.kind == "files" and source is not None and source.kind in ("real", "pairs")


def mixtures_are_made_of_what_exists(sources, classes, data):
    n = class_table.count(classes)
    faults = []
    for name, mixture in ((n, s) for n, s in sources.items() if s.kind == "mixture"):
        for i, part in enumerate(mixture.parts):
            key = f"sources.{name}.parts.{i}"
            faults += unknown(f"{key}.source", part.source, sources, "source")
            source = sources.get(part.source)
            if source and source.kind == "mixture":
                faults.append(
                    f"{key}.source = {part.source!r}: a mixture itself; name the sources that it is made of"
                )
            elif source and part.guidance not in dict(images_of(source)):
                known = (
                    ", ".join(f"{scale:g}" for scale, _ in images_of(source) if scale is not None)
                    or "none: remove the key"
                )
                faults.append(
                    f"{key}.guidance = {part.guidance}: {part.source!r} has no images at it; its guidance scales: {known}"
                )
            if part.images and part.images % n and not as_they_come(source, data):
                faults.append(
                    f"{key}.images = {part.images}: not a multiple of the {n} classes; use {max(n, part.images - part.images % n)}"
                )
        if all(part.images is not None for part in mixture.parts):
            faults.append(
                f"sources.{name}.parts: each has a number of images, so the mixture cannot grow; leave it out of one"
            )
    return faults


def images_balance(sources, classes, data):
    n = class_table.count(classes)
    faults = []
    for name, source in sources.items():
        classes_of, draws = 1 if as_they_come(source, data) else n, getattr(source, "draws", 1)
        unit = classes_of * draws
        told = " times ".join(
            [f"the {classes_of} classes"] * (classes_of > 1) + [f"the {draws} draws"] * (draws > 1)
        )
        wrong = [
            (f".{scale}" if scale else "", count)
            for scale, count in images_of(source)
            if count % unit
        ]
        faults += [
            f"sources.{name}.images{key} = {count}: not a multiple of {told}; use {max(unit, count - count % unit)}"
            for key, count in wrong
        ]
    return faults


def experiments_use_what_exists(experiments, sources, classifiers, clip, classes, data):
    n = class_table.count(classes)
    recipes = {name: ("classifiers", classifiers) for name in classifiers.architectures}
    recipes |= {name: ("clip", clip) for name in (clip.architectures if clip else [])}
    faults = []
    for name, experiment in experiments.items():
        key = f"experiments.{name}"
        for architecture in experiment.architectures:
            faults += unknown(f"{key}.architectures", architecture, recipes, "architecture")
        for label in ("sizes", "seeds"):
            values = getattr(experiment, label)
            if values != sorted(set(values)):
                faults.append(
                    f"{key}.{label} = {values}: must grow and hold nothing twice; use {sorted(set(values))}"
                )
        for size in experiment.sizes:
            if size % n and not all(
                as_they_come(sources.get(curve.source), data) for curve in experiment.curves
            ):
                faults.append(
                    f"{key}.sizes = {size}: not nested: no prefix of {size} images is balanced over {n} classes; use {max(n, size - size % n)}"
                )
            for section, recipe in dict(
                recipes[a] for a in experiment.architectures if a in recipes
            ).items():
                if size not in recipe.iterations:
                    faults.append(
                        f"{key}.sizes = {size}: no training iterations for it; add {size} to {section}.iterations"
                    )
        wrong = curve_faults(f"{key}.curves", experiment.curves, sources)
        faults += wrong or _too_few_images(key, experiment, sources, n, data)
    return faults


def _too_few_images(key, experiment, sources, classes, data) -> list[str]:
    faults, largest = [], experiment.sizes[-1]
    for source, scale in pairs(experiment.curves, sources):
        for part in parts_of(sources, source, scale, largest):
            own = sources.get(part["source"])
            most = images_in_draw(own, part["guidance"]) if own and own.kind != "mixture" else 0
            place = f"sources.{part['source']}.images" + (
                "" if part["guidance"] is None else f".{part['guidance']}"
            )
            place += f" in each of its {own.draws} draws" if getattr(own, "draws", 1) > 1 else ""
            if part["images"] > most:
                mend = "raise that, drop the size, or give the curve an experiment of its own"
                faults.append(f"{key}.sizes = {largest}: more than the {most} of {place}; {mend}")
        if sources[source].kind == "mixture":
            for size in experiment.sizes:
                own = parts_of(sources, source, scale, size)
                uneven = any(
                    part["images"] % classes and not as_they_come(sources.get(part["source"]), data)
                    for part in own
                )
                if uneven or sum(part["images"] for part in own) != size:
                    faults.append(
                        f"{key}.sizes = {size}: the parts of sources.{source} cannot be balanced over {classes} classes at it; drop the size"
                    )
    return faults


def scores_have_their_reference(scores, experiments, sources, data, classes, recipes):
    faults = unknown("scores.evaluation", scores.evaluation, data.evaluation, "evaluation set")
    n = class_table.count(classes)
    if scores.images < 2 * n:
        faults.append(
            f"scores.images = {scores.images}: diversity needs two images of each of the {n} classes at least; use {2 * n} or more"
        )
    for name, source in sources.items():
        for scale, count in (
            source.images.items()
            if source.kind == "synthetic" and names_class(source, recipes)
            else []
        ):
            if count < scores.images:
                faults.append(
                    f"scores.images = {scores.images}: more than the {count} of sources.{name}.images.{scale}; lower the one or raise the other"
                )
    run = scores.reference
    if run.kind == "pretrained":
        return faults
    for experiment in experiments.values():
        trained = (run.source, None) in pairs(
            experiment.curves, sources
        ) and run.architecture in experiment.architectures
        if trained and run.size in experiment.sizes and run.seed in experiment.seeds:
            return faults
    return [
        *faults,
        f"scores.reference = {run.model_dump()}: no experiment trains it on real images; name a run that one does",
    ]


def laws_use_what_exists(laws, experiments, sources, data, classifiers, clip):
    faults = []
    for name, law in laws.items():
        for experiment in law.experiments:
            faults += unknown(f"laws.{name}.experiments", experiment, experiments, "experiment")
        own = [experiments[e] for e in law.experiments if e in experiments]
        of_clips = {
            clip is not None and architecture in clip.architectures
            for experiment in own
            for architecture in experiment.architectures
        }
        if len(of_clips) > 1:
            faults.append(
                f"laws.{name}.experiments = {law.experiments}: of classifiers and of CLIP models; give each a law of its own"
            )
        known = [
            *evaluations(data, clip=True),
            *(clip.tasks if clip and of_clips == {True} else []),
        ]
        for evaluation in law.evaluation:
            faults += unknown(f"laws.{name}.evaluation", evaluation, known, "evaluation set")
        faults += _too_few_sizes(name, law, own, sources)
    return faults


def _too_few_sizes(name, law, experiments, sources) -> list[str]:
    """Each curve's sizes, of whichever of the experiments, make a law."""
    sizes: dict[tuple, set[int]] = {}
    for experiment in experiments:
        for source, guidance in pairs(experiment.curves, sources):
            for architecture in experiment.architectures:
                sizes.setdefault((source, guidance, architecture), set()).update(experiment.sizes)
    faults = {}
    for (source, guidance, architecture), own in sizes.items():
        inside = [size for size in own if law.sizes[0] <= size <= law.sizes[1]]
        if len(inside) < 3:
            curve = (
                source + ("" if guidance is None else f" at {guidance:g}") + f" on {architecture}"
            )
            told = (
                f"laws.{name}.sizes = {list(law.sizes)}: holds {len(inside)} sizes of {sorted(own)}"
            )
            faults.setdefault(told, f"{told} ({curve}); a law needs 3 at least")
    return list(faults.values())


def patches_divide_the_image(classifiers, image_size):
    seen = classifiers.image_size or image_size
    key = "classifiers.image_size" if classifiers.image_size else "image_size"
    faults = (
        [f"{key} = {seen}: more than the {image_size} that images are kept at (image_size)"]
        if seen > image_size
        else []
    )
    return faults + [
        f"classifiers.architectures.{name}.patch_size = {a.patch_size}: does not divide {key} = {seen}"
        for name, a in classifiers.architectures.items()
        if seen % a.patch_size
    ]


def heads_share_the_width(classifiers):
    return [
        f"classifiers.architectures.{name}.width = {a.width}: not a multiple of heads = {a.heads}"
        for name, a in classifiers.architectures.items()
        if a.width % a.heads
    ]


CHECKS = [
    heads_share_the_width,
    class_table_exists,
    recipes_have_their_words,
    data_splits_are_apart,
    recipes_have_their_text,
    sources_use_known_recipes,
    sources_use_known_generators,
    sources_differ,
    classifiers_are_told_the_class,
    mixtures_are_made_of_what_exists,
    images_balance,
    experiments_use_what_exists,
    scores_have_their_reference,
    laws_use_what_exists,
    patches_divide_the_image,
]
