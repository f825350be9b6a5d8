"""Values of every wildcard of every rule, given a study; `requested.check` uses them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from synscale.study.models import Study
from synscale.workflow import prompt_inputs
from synscale.workflow.runs import group_of, training_recipe, training_runs
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.settings.author_checkpoints import author_checkpoint_table_settings
from synscale.workflow.settings.evaluation import reference_settings
from synscale.workflow.settings.generation import checker_settings
from synscale.workflow.shards import is_real, shard_names, split_of
from synscale.workflow.targets import NotInStudy, suggestion

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


def _sources(*kinds: str):
    def of(study: Study, _: Values) -> list[str]:
        return [name for name, source in study.sources.items() if source.kind in kinds]

    return of


def _scored(study: Study, _: Values) -> list[str]:
    """Sources whose images have classes."""

    def has_classes(source) -> bool:
        if source.kind == "synthetic":
            return study.recipes[source.recipe].kind != "pair_texts"
        return source.kind == "real"

    return [name for name, source in study.sources.items() if has_classes(source)]


def _recipes(*kinds: str):
    def of(study: Study, _: Values) -> list[str]:
        return [name for name, recipe in study.recipes.items() if recipe.kind in kinds]

    return of


def _generators(downloaded: bool):
    def of(study: Study, _: Values) -> list[str]:
        found = study.generators.items()
        return [name for name, own in found if (own.kind == "pretrained") == downloaded]

    return of


@cache
def _shards(study: Study, source: str) -> tuple[str, ...]:
    return tuple(shard_names(study, source))


@cache
def _groups(study: Study) -> dict[tuple[str, bool], list[str]]:
    """(source, whether of CLIP models) -> names of groups."""
    found: dict[tuple[str, bool], list[str]] = {}
    for run in training_runs(study):
        clip = training_recipe(study, run.architecture) is not study.classifiers
        names = found.setdefault((run.source, clip), [])
        if (group := group_of(study, run)) not in names:
            names.append(group)
    return found


def _trained_sources(clip: bool):
    return lambda study, _: dict.fromkeys(own for own, kind in _groups(study) if kind == clip)


def _splits(study: Study, _: Values = None) -> list[str]:
    if study.data.kind == "files":
        return [*study.data.training, *study.data.evaluation]
    return ["generator_training", "classifier_training", *study.data.evaluation]


def _split_shards(study: Study, values: Values) -> Iterable[str]:
    """An evaluation set is one shard, as are the digits that generators learn from."""
    split = values["split"]
    if split in study.data.evaluation or split == "generator_training":
        return ["00000"]
    found: dict[str, None] = {}
    for name, source in study.sources.items():
        if is_real(source) and split_of(source) == split:
            found |= dict.fromkeys(_shards(study, name))
    return found


def _splits_in_files(study: Study, _: Values) -> list[str]:
    return _splits(study) if study.data.kind == "files" else []


def _with_prompts(study: Study, _: Values) -> list[str]:
    return [name for name, recipe in study.recipes.items() if recipe.kind != "pair_texts"]


def _planned(study: Study, _: Values) -> list[str]:
    return ["all", *_names(study, "figures"), *_names(study, "tables")]


def _captioned_shards(study: Study, _: Values) -> list[str]:
    return [Path(tar).stem for tar in prompt_inputs.captioned("", study, None)]


def _names(study: Study, part: str) -> list[str]:
    return figure_settings.names_of(getattr(study, part))


def _group_wildcards(clip: bool, noun: str) -> tuple[Wildcard, Wildcard]:
    def known(study: Study, values: Values) -> list[str]:
        return _groups(study).get((values["source"], clip), [])

    source = Wildcard("source", f"source that {noun} are trained on", _trained_sources(clip))
    return source, Wildcard("group", f"group of {noun}", known)


SOURCE_OF_SHARD = Wildcard("source", "synthetic source", _sources("synthetic"))
SHARD = Wildcard("shard", "shard", lambda study, values: _shards(study, values["source"]))
SPLIT_SHARD = Wildcard("shard", "shard", _split_shards)
CAPTIONED_SHARD = Wildcard("shard", "shard of real images", _captioned_shards)
LISTED = Wildcard("source", "source of images", _sources("real", "pairs", "synthetic"))
CHECKPOINT = Wildcard("checkpoint", "author checkpoint", lambda study, _: study.author_checkpoints)
CLASSIFIERS = _group_wildcards(False, "classifiers")
CLIPS = _group_wildcards(True, "CLIP models")
MODEL_RECIPES = ("word_to_sentence", "image_captions")
CAPTIONS = Wildcard("recipe", "recipe of captions by a model", _recipes("image_captions"))
SENTENCES = Wildcard("recipe", "recipe of sentences", _recipes("word_to_sentence"))
FIGURE = Wildcard("scaling", "figure", lambda study, _: _names(study, "figures"))
TABLE = Wildcard("table", "table", lambda study, _: _names(study, "tables"))

RULES: dict[str, tuple[Wildcard, ...]] = {
    "index_data": (Wildcard("split", "data set in files", _splits_in_files),),
    "prepare_data": (Wildcard("split", "data split", _splits), SPLIT_SHARD),
    "fetch_model": (Wildcard("recipe", "recipe with a model", _recipes(*MODEL_RECIPES)),),
    "write_sentences": (SENTENCES,),
    "caption_images": (CAPTIONS, CAPTIONED_SHARD),
    "write_prompts": (Wildcard("recipe", "recipe with prompts", _with_prompts),),
    "train_generator": (Wildcard("generator", "generator to train", _generators(False)),),
    "fetch_generator": (Wildcard("generator", "generator to download", _generators(True)),),
    "generate": (SOURCE_OF_SHARD, SHARD),
    "flag_images": (SOURCE_OF_SHARD, SHARD),
    "index_shards": (LISTED, SHARD),
    "train_classifiers": CLASSIFIERS,
    "evaluate": CLASSIFIERS,
    "train_clip": CLIPS,
    "evaluate_clip": CLIPS,
    "score": (Wildcard("source", "source to score", _scored),),
    "fit_laws": (Wildcard("law", "law", lambda study, _: study.laws),),
    "convert_author_checkpoint": (CHECKPOINT,),
    "evaluate_author_checkpoint": (CHECKPOINT,),
    "plot_scaling": (FIGURE,),
    "tabulate_metrics": (TABLE,),
    "plan": (Wildcard("name", "figure or table to plan", _planned),),
}
# Rules of one result, and what the study must define for it.
NEEDS: dict[str, Callable[[Study], object]] = {
    "fetch_reference": reference_settings,
    "fetch_safety_checker": checker_settings,
    "flag_images": checker_settings,
    "tabulate_author_checkpoints": author_checkpoint_table_settings,
}


def check_values(rule: str, study_name: str, study: Study, values: Values) -> None:
    """Raise NotInStudy if a rule cannot make a file with these wildcards.

    Parameters
    ----------
    rule : str
        Name of the rule.
    study_name : str
        Name of the study file, without suffix.
    study : Study
        The study.
    values : dict of str to str
        Value of each wildcard except `study`.
    """
    where = f"studies/{study_name}.yaml"
    for wildcard in RULES.get(rule, ()):
        value, known = values[wildcard.name], list(wildcard.known(study, values))
        if value not in known:
            of_source = wildcard.name in ("group", "shard") and "source" in values
            of = f" of {values['source']!r}" if of_source else ""
            fix = suggestion(value, known)
            raise NotInStudy(f"{where}: no {wildcard.what} {value!r}{of}; {fix}")
    if rule in NEEDS:
        NEEDS[rule](study)
    elif rule not in RULES:
        _check_shown(rule, where, study)


def _check_shown(rule: str, where: str, study: Study) -> None:
    """Raise NotInStudy if a rule draws a figure or table that the study does not have."""
    for prefix, part in {"plot_": "figures", "tabulate_": "tables"}.items():
        name, known = rule.removeprefix(prefix), _names(study, part)
        if name != rule and name not in known:
            fix = f"add {part}.{name} to it; {suggestion(name, known)}"
            raise NotInStudy(f"{where}: no {part[:-1]} {name!r}; {fix}")
