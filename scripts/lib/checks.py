"""What must hold across the parts of a study. Each check takes the parts that it needs by name and returns a line for each fault:
key, value, what is wrong, how to mend it. A check whose parts could not be read is left out."""

import csv
import difflib
from pathlib import Path

from scripts.lib.study import Curves, pairs


def short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(key: str, name: str, known, what: str) -> list[str]:
    if name in known:
        return []
    close = difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
    return [f"{key} = {name!r}: no such {what}; {mend}"]


def _curve_faults(key, curves, sources) -> list[str]:
    faults = []
    for i, curve in enumerate(curves if curves != "all" else []):
        faults += _unknown(f"{key}.{i}.source", curve.source, sources, "source")
        source = sources.get(curve.source)
        if source is None or curve.guidance == "all":
            continue
        if source.kind == "real":
            faults.append(f"{key}.{i}.guidance = {curve.guidance}: real images have no guidance scale; remove the key")
            continue
        for scale in curve.guidance:
            if scale not in source.images:
                faults.append(f"{key}.{i}.guidance = {scale}: {curve.source!r} has no images at it; add it to sources.{curve.source}.images")
    return faults


def class_table_exists(classes):
    path = Path(classes)
    if not path.is_file():
        return [f"classes = {classes!r}: no such file; give a CSV with class_id, name, description, hypernyms"]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or set(rows[0]) != {"class_id", "name", "description", "hypernyms"}:
        return [f"classes = {classes!r}: columns are {sorted(rows[0]) if rows else 'none'}; they must be class_id, name, description, hypernyms"]
    if [row["class_id"] for row in rows] != [str(i) for i in range(len(rows))]:
        return [f"classes = {classes!r}: class_id must count 0, 1, 2, ... in the order of the rows"]
    return []


def class_count(classes) -> int:
    with Path(classes).open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def data_splits_are_apart(data):
    owner, faults = {}, []
    sets = {"generator_training": data.generator_training, "classifier_training": data.classifier_training}
    sets |= {f"evaluation.{name}": forms for name, forms in data.evaluation.items()}
    for name, forms in sets.items():
        if not forms:
            faults.append(f"data.{name} = []: empty; name at least one form")
        for form in forms:
            if form in owner and not (name.startswith("evaluation.") and owner[form].startswith("evaluation.") and name != owner[form]):
                faults.append(f"data.{name} = {forms}: form {form} is in data.{owner[form]} too; an image may be in one split only")
            owner.setdefault(form, name)
    for name in data.evaluation:
        if name in ("generator_training", "classifier_training"):
            faults.append(f"data.evaluation.{name}: the name of a training split; rename the evaluation set")
    return faults


def recipes_have_their_text(recipes):
    faults = []
    for name, recipe in recipes.items():
        if (recipe.kind == "sentences") != bool(recipe.patterns):
            faults.append(f"recipes.{name}.patterns = {short(recipe.patterns)}: kind 'sentences' needs patterns, and no other kind takes them")
        for i, pattern in enumerate(recipe.patterns):
            if pattern.count("{name}") != 1 or pattern.replace("{name}", "").count("{"):
                faults.append(f"recipes.{name}.patterns.{i} = {short(pattern)}: must hold {{name}} once and no other brace")
    return faults


def sources_use_known_recipes(sources, recipes):
    named = [(name, source.recipe) for name, source in sources.items() if source.kind == "synthetic"]
    return [fault for name, recipe in named for fault in _unknown(f"sources.{name}.recipe", recipe, recipes, "recipe")]


def sources_use_known_generators(sources, generators):
    named = [(name, source.generator) for name, source in sources.items() if source.kind == "synthetic"]
    return [fault for name, generator in named for fault in _unknown(f"sources.{name}.generator", generator, generators, "generator")]


def sources_differ(sources):
    faults, seen = [], {}
    for name, source in sources.items():
        identity = (source.generator, source.recipe) if source.kind == "synthetic" else ("real",)
        if identity in seen:
            faults.append(f"sources.{name} = {' x '.join(identity)}: the same as sources.{seen[identity]}; put their guidance scales into one")
        seen.setdefault(identity, name)
    return faults


def images_balance(sources, classes):
    n = class_count(classes) if Path(classes).is_file() else 1
    counts = [
        (f"sources.{name}.images" + (f".{scale}" if scale else ""), count)
        for name, source in sources.items()
        for scale, count in (source.images.items() if source.kind == "synthetic" else [(None, source.images)])
    ]
    return [f"{key} = {count}: not a multiple of the {n} classes; use {max(n, count - count % n)}" for key, count in counts if count % n]


def experiments_use_what_exists(experiments, sources, classifiers, classes):
    n = class_count(classes) if Path(classes).is_file() else 1
    faults = []
    for name, experiment in experiments.items():
        key = f"experiments.{name}"
        for architecture in experiment.architectures:
            faults += _unknown(f"{key}.architectures", architecture, classifiers.architectures, "architecture")
        for label in ("sizes", "seeds"):
            values = getattr(experiment, label)
            if values != sorted(set(values)):
                faults.append(f"{key}.{label} = {values}: must grow and hold nothing twice; use {sorted(set(values))}")
        for size in experiment.sizes:
            if size % n:
                faults.append(f"{key}.sizes = {size}: not nested: no prefix of {size} images is balanced over {n} classes; use {max(n, size - size % n)}")
            if size not in classifiers.iterations:
                faults.append(f"{key}.sizes = {size}: no training iterations for it; add {size} to classifiers.iterations")
        faults += _curve_faults(f"{key}.curves", experiment.curves, sources)
        for source, scale in pairs(experiment.curves, sources):
            made = sources[source].images
            key_of_images, most = ("images", made) if scale is None else (f"images.{scale}", made.get(scale, experiment.sizes[-1]))
            if experiment.sizes[-1] > most:
                faults.append(
                    f"{key}.sizes = {experiment.sizes[-1]}: more than the {most} of sources.{source}.{key_of_images}; "
                    "raise that, drop the size, or give the curve an experiment of its own"
                )
    return faults


def scores_have_their_reference(scores, experiments, sources, data):
    faults = _unknown("scores.evaluation", scores.evaluation, data.evaluation, "evaluation set")
    for name, source in sources.items():
        for scale, count in source.images.items() if source.kind == "synthetic" else []:
            if count < scores.images:
                faults.append(f"scores.images = {scores.images}: more than the {count} of sources.{name}.images.{scale}; lower the one or raise the other")
    run = scores.reference
    for experiment in experiments.values():
        trained = (run.source, None) in pairs(experiment.curves, sources) and run.architecture in experiment.architectures
        if trained and run.size in experiment.sizes and run.seed in experiment.seeds:
            return faults
    return [*faults, f"scores.reference = {run.model_dump()}: no experiment trains it on real images; name a run that one does"]


def laws_use_what_exists(laws, experiments, data):
    faults = []
    for name, law in laws.items():
        for experiment in law.experiments:
            faults += _unknown(f"laws.{name}.experiments", experiment, experiments, "experiment")
        faults += _unknown(f"laws.{name}.evaluation", law.evaluation, data.evaluation, "evaluation set")
        for experiment in [experiments[e] for e in law.experiments if e in experiments]:
            inside = [s for s in experiment.sizes if law.sizes[0] <= s <= law.sizes[1]]
            if len(inside) < 3:
                faults.append(f"laws.{name}.sizes = {list(law.sizes)}: holds {len(inside)} sizes of {experiment.sizes}; a law needs 3 at least")
    return faults


def figures_of_images_use_what_exists(figures, sources, generators, recipes):
    faults = _unknown("figures.samples.generator", figures.samples.generator, generators, "generator")
    made = {(source.generator, source.recipe) for source in sources.values() if source.kind == "synthetic"}
    for name in figures.samples.recipes:
        unknown = _unknown("figures.samples.recipes", name, recipes, "recipe")
        if not unknown and figures.samples.generator in generators and (figures.samples.generator, name) not in made:
            unknown = [f"figures.samples.recipes = {name!r}: no source makes it with generator {figures.samples.generator!r}; add one to sources"]
        faults += unknown
    for name in figures.recognizability_diversity.generators:
        faults += _unknown("figures.recognizability_diversity.generators", name, generators, "generator")
    return faults


def sweep_uses_what_is_trained(figures, tables, experiments, data):
    sweep = figures.configuration_sweep
    faults = _unknown("figures.configuration_sweep.experiment", sweep.experiment, experiments, "experiment")
    faults += _unknown("figures.configuration_sweep.evaluation", sweep.evaluation, data.evaluation, "evaluation set")
    faults += _unknown("tables.supervised.evaluation", tables.supervised.evaluation, data.evaluation, "evaluation set")
    if not faults:
        trained = experiments[sweep.experiment].architectures
        faults += _unknown("figures.configuration_sweep.architecture", sweep.architecture, trained, f"architecture in experiments.{sweep.experiment}")
    return faults


def figures_of_laws_draw_what_is_fitted(figures, laws, experiments, sources):
    scaling, exchange, beyond = figures.supervised_scaling, figures.exchange_rate, figures.beyond_the_law
    drawn = []
    for name, figure in (("supervised_scaling", scaling), ("beyond_the_law", beyond)):
        drawn += [(f"figures.{name}.law", figure.law, f"figures.{name}.panels.{i}", p.curves, p.architectures) for i, p in enumerate(figure.panels)]
    real = [Curves(source=name) for name, source in sources.items() if source.kind == "real"]
    drawn.append(("figures.exchange_rate.law", exchange.law, "figures.exchange_rate", [*real, *exchange.curves], [exchange.architecture]))
    faults = []
    for law_key, name, key, curves, architectures in drawn:
        unknown = _unknown(law_key, name, laws, "law") + _curve_faults(f"{key}.curves", curves, sources)
        faults += [fault for fault in unknown if fault not in faults]
        if unknown:
            continue
        own = [experiments[e] for e in laws[name].experiments if e in experiments]
        fitted = {(*pair, architecture) for e in own for pair in pairs(e.curves, sources) for architecture in e.architectures}
        for source, scale in pairs(curves, sources):
            where = source if scale is None else f"{source} at guidance {scale:g}"
            missing = [architecture for architecture in architectures if (source, scale, architecture) not in fitted]
            faults += [f"{key} = {where} on {a}: not in the experiments of laws.{name}; add it to one of them or drop it here" for a in missing]
    return faults


def patches_divide_the_image(classifiers, image_size):
    return [
        f"classifiers.architectures.{name}.patch_size = {a.patch_size}: does not divide image_size = {image_size}"
        for name, a in classifiers.architectures.items()
        if image_size % a.patch_size
    ]


CHECKS = [
    class_table_exists,
    data_splits_are_apart,
    recipes_have_their_text,
    sources_use_known_recipes,
    sources_use_known_generators,
    sources_differ,
    images_balance,
    experiments_use_what_exists,
    scores_have_their_reference,
    laws_use_what_exists,
    figures_of_images_use_what_exists,
    sweep_uses_what_is_trained,
    figures_of_laws_draw_what_is_fitted,
    patches_divide_the_image,
]
