"""Values of every wildcard of every rule, given a study; `requested.check` uses them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from synscale.study.models import Study
from synscale.study.models.base import HubModel
from synscale.workflow import prompt_inputs
from synscale.workflow.runs import group_of, training_recipe, training_runs
from synscale.workflow.settings.author_checkpoints import author_checkpoint_table_settings
from synscale.workflow.settings.evaluation import reference_settings
from synscale.workflow.settings.feature_scores import feature_names
from synscale.workflow.settings.figures import names_of
from synscale.workflow.settings.generation import checker_settings
from synscale.workflow.shards import (
    images_needed,
    is_in_files,
    shard_names,
    shards_of_split,
    study_of_images,
)
from synscale.workflow.targets import NotInStudy, generator_folder, suggestion

Values = dict[str, str]  # wildcard -> value


@dataclass(frozen=True)
class Wildcard:
    """A wildcard of a rule.

    name: as in the path; what: noun phrase for messages; known: its values, given the study and
    the values of the wildcards before it.
    """

    name: str
    what: str
    known: Callable[[Study, Values], Iterable[str]]


@cache
def _shards(study: Study, source: str) -> tuple[str, ...]:
    return tuple(shard_names(study, source))


@cache
def _groups(study: Study) -> dict[tuple[str, bool], list[str]]:
    """(source, whether of CLIP models) -> names of groups."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for run in training_runs(study):
        is_clip = training_recipe(study, run.architecture) is not study.classifiers
        names = groups.setdefault((run.source, is_clip), [])
        if (group := group_of(study, run)) not in names:
            names.append(group)
    return groups


def _sources_of_kinds(study: Study, *kinds: str) -> list[str]:
    return [name for name, source in study.sources.items() if source.kind in kinds]


def _recipes_of_kinds(study: Study, *kinds: str) -> list[str]:
    return [name for name, recipe in study.recipes.items() if recipe.kind in kinds]


def _synthetic_sources(study: Study, values: Values) -> list[str]:
    names = _sources_of_kinds(study, "synthetic")
    return [name for name in names if study_of_images(study, name) == study.name]


def _indexed_sources(study: Study, values: Values) -> list[str]:
    """Return the sources that have shards; a mixture uses those of others."""
    return _sources_of_kinds(study, "real", "pairs", "synthetic", "images", "selected")


def _selected_sources(study: Study, values: Values) -> list[str]:
    return _sources_of_kinds(study, "selected")


def _scored_sources(study: Study, values: Values) -> list[str]:
    """Return the sources whose images have classes."""
    without_classes = _recipes_of_kinds(study, "pair_texts")
    return [
        name
        for name in _sources_of_kinds(study, "real", "synthetic", "images", "selected")
        if getattr(study.sources[name], "recipe", None) not in without_classes
    ]


def _compared_sources(study: Study, values: Values) -> list[str]:
    """Return the scored sources other than real images."""
    names = _scored_sources(study, values)
    return [name for name in names if study.sources[name].kind != "real"]


def _feature_spaces(study: Study, values: Values) -> list[str]:
    return feature_names(study)


def _downloaded_features(study: Study, values: Values) -> list[str]:
    names = feature_names(study)
    return [n for n in names if isinstance(study.scores.feature_spaces[n], HubModel)]


def _classifier_sources(study: Study, values: Values) -> list[str]:
    return [source for source, is_clip in _groups(study) if not is_clip]


def _clip_sources(study: Study, values: Values) -> list[str]:
    return [source for source, is_clip in _groups(study) if is_clip]


def _classifier_groups(study: Study, values: Values) -> list[str]:
    return _groups(study).get((values["source"], False), [])


def _clip_groups(study: Study, values: Values) -> list[str]:
    return _groups(study).get((values["source"], True), [])


def _source_shards(study: Study, values: Values) -> Iterable[str]:
    return _shards(study, values["source"])


def _captioned_shards(study: Study, values: Values) -> list[str]:
    return [Path(tar).stem for tar in prompt_inputs.captioned_tars(study)]


def _splits(study: Study, values: Values) -> list[str]:
    elsewhere = _sources_of_kinds(study, "images")
    if study.data.kind == "files":
        return [*study.data.training, *study.data.evaluation, *elsewhere]
    training = ["generator_training", "classifier_training"]
    return [*training, *study.data.evaluation, *elsewhere]


def _splits_in_files(study: Study, values: Values) -> list[str]:
    return [split for split in _splits(study, values) if is_in_files(study, split)]


def _split_shards(study: Study, values: Values) -> Iterable[str]:
    """Return the shards of a split: one of an evaluation set and of generators' digits."""
    split = values["split"]
    if split in study.data.evaluation or split == "generator_training":
        return ["00000"]
    return shards_of_split(study, split, images_needed(study, split))


def _model_recipes(study: Study, values: Values) -> list[str]:
    return _recipes_of_kinds(study, "word_to_sentence", "image_captions")


def _sentence_recipes(study: Study, values: Values) -> list[str]:
    return _recipes_of_kinds(study, "word_to_sentence")


def _caption_recipes(study: Study, values: Values) -> list[str]:
    return _recipes_of_kinds(study, "image_captions")


def _prompt_recipes(study: Study, values: Values) -> list[str]:
    return [name for name, recipe in study.recipes.items() if recipe.kind != "pair_texts"]


def _generators_in(folder: str, study: Study, values: Values) -> list[str]:
    rows = study.generators.items()
    return [name for name, row in rows if generator_folder(row) == folder]


def _generator(purpose: str, folder: str) -> Wildcard:
    return Wildcard("generator", f"generator {purpose}", partial(_generators_in, folder))


def _released_starts(study: Study, values: Values) -> list[str]:
    rows = study.classifiers.architectures
    return [name for name, row in rows.items() if row.pretrained]


def _laws(study: Study, values: Values) -> Iterable[str]:
    return study.laws


def _checkpoints(study: Study, values: Values) -> Iterable[str]:
    return study.author_checkpoints


def _figures(study: Study, values: Values) -> list[str]:
    return names_of(study.figures)


def _tables(study: Study, values: Values) -> list[str]:
    return names_of(study.tables)


def _planned(study: Study, values: Values) -> list[str]:
    return ["all", *names_of(study.figures), *names_of(study.tables)]


SHARD = Wildcard("shard", "shard", _source_shards)
SPLIT = Wildcard("split", "data split", _splits)
SPLIT_SHARD = Wildcard("shard", "shard", _split_shards)
SYNTHETIC = Wildcard("source", "synthetic source", _synthetic_sources)
INDEXED = Wildcard("source", "source of images", _indexed_sources)
CHECKPOINT = Wildcard("checkpoint", "author checkpoint", _checkpoints)
CAPTIONS = Wildcard("recipe", "recipe of captions by a model", _caption_recipes)
CAPTIONED_SHARD = Wildcard("shard", "shard of real images", _captioned_shards)
CLASSIFIERS = (
    Wildcard("source", "source that classifiers are trained on", _classifier_sources),
    Wildcard("group", "group of classifiers", _classifier_groups),
)
CLIP_MODELS = (
    Wildcard("source", "source that CLIP models are trained on", _clip_sources),
    Wildcard("group", "group of CLIP models", _clip_groups),
)

RELEASED_START = Wildcard(
    "architecture", "architecture that starts from released weights", _released_starts
)

RULES: dict[str, tuple[Wildcard, ...]] = {
    "index_data": (Wildcard("split", "data set in files", _splits_in_files),),
    "prepare_data": (SPLIT, SPLIT_SHARD),
    "fetch_model": (Wildcard("recipe", "recipe with a model", _model_recipes),),
    "write_sentences": (Wildcard("recipe", "recipe of sentences", _sentence_recipes),),
    "caption_images": (CAPTIONS, CAPTIONED_SHARD),
    "write_prompts": (Wildcard("recipe", "recipe with prompts", _prompt_recipes),),
    "train_generator": (_generator("to train", "generators"),),
    "finetune_generator": (_generator("to fine-tune", "lora"),),
    "fetch_generator": (_generator("to download", "models"),),
    "generate": (SYNTHETIC, SHARD),
    "flag_images": (SYNTHETIC, SHARD),
    "select_images": (Wildcard("source", "selected source", _selected_sources), SHARD),
    "index_shards": (INDEXED, SHARD),
    "fetch_start": (RELEASED_START,),
    "train_classifiers": CLASSIFIERS,
    "evaluate": CLASSIFIERS,
    "train_clip": CLIP_MODELS,
    "evaluate_clip": CLIP_MODELS,
    "score": (Wildcard("source", "source to score", _scored_sources),),
    "score_features": (
        Wildcard("feature", "feature space", _feature_spaces),
        Wildcard("source", "source to compare", _compared_sources),
    ),
    "fetch_feature_model": (
        Wildcard("feature", "feature space to download", _downloaded_features),
    ),
    "fit_laws": (Wildcard("law", "law", _laws),),
    "convert_author_checkpoint": (CHECKPOINT,),
    "evaluate_author_checkpoint": (CHECKPOINT,),
    "plot_scaling": (Wildcard("scaling", "figure", _figures),),
    "tabulate_metrics": (Wildcard("table", "table", _tables),),
    "plan": (Wildcard("name", "figure or table to plan", _planned),),
}
# Rules of one result, and what the study must define for it.
NEEDS: dict[str, Callable[[Study], object]] = {
    "fetch_reference": reference_settings,
    "fetch_safety_checker": checker_settings,
    "flag_images": checker_settings,
    "tabulate_author_checkpoints": author_checkpoint_table_settings,
}


def check_values(rule: str, study: Study, values: Values) -> None:
    """Raise NotInStudy if a rule cannot create a file with these wildcards.

    Parameters
    ----------
    rule : str
        Name of the rule.
    study : Study
    values : dict of str to str
        Value of each wildcard except `study`.
    """
    where = f"studies/{study.name}.yaml"
    for wildcard in RULES.get(rule, ()):
        value = values[wildcard.name]
        known = list(wildcard.known(study, values))
        if value not in known:
            of_source = wildcard.name in ("group", "shard") and "source" in values
            of = f" of {values['source']!r}" if of_source else ""
            fix = suggestion(value, known)
            raise NotInStudy(f"{where}: no {wildcard.what} {value!r}{of}; {fix}")
    if rule in NEEDS:
        NEEDS[rule](study)
    elif rule not in RULES:
        _check_defined(rule, where, study)


def _check_defined(rule: str, where: str, study: Study) -> None:
    """Raise NotInStudy if a rule draws a figure or table that the study does not have."""
    for prefix, part in {"plot_": "figures", "tabulate_": "tables"}.items():
        name = rule.removeprefix(prefix)
        known = names_of(getattr(study, part))
        if name != rule and name not in known:
            fix = f"add {part}.{name} to it; {suggestion(name, known)}"
            raise NotInStudy(f"{where}: no {part[:-1]} {name!r}; {fix}")
