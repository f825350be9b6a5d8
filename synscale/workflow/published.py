"""Published results of a study: files that no job of this machine has created.

`python -m scripts.bundle open` puts them in place. Images and models behind them are missing. As
long as such a file is unchanged and the study asks for the same result, no rule creates it: it is a
given file, like an image of a data set. Otherwise a new training, which needs images, would make
every training on the same images run again.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from synscale.runtime.archive import sha256
from synscale.study.models import Study
from synscale.workflow.paths import reference_run
from synscale.workflow.rule_values import check_values
from synscale.workflow.runs import group_of, training_inputs
from synscale.workflow.settings import as_json
from synscale.workflow.settings.data import data_settings, training_data
from synscale.workflow.settings.evaluation import (
    clip_evaluation_settings,
    clip_tables,
    evaluation_settings,
    score_settings,
)
from synscale.workflow.settings.feature_scores import feature_run, feature_score_settings
from synscale.workflow.settings.finetuning import weights_settings
from synscale.workflow.settings.prompts import prompt_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
from synscale.workflow.shards import last_shards, real_sources
from synscale.workflow.targets import NotInStudy

FOLDERS = ("generators", "lora")  # kinds of results that are a folder
_EXCERPTS: set[str] = set()


def record_file(name: str) -> str:
    """Return the record of the published results of a study, by its name."""
    return f"results/{name}/published/manifest.json"


def excerpt(study: str, tar: str) -> str:
    """Return where the images of a shard are that the figures of a study show.

    Parameters
    ----------
    study : str
    tar : str
        Path of the shard.
    """
    return f"results/{study}/published/shards/{tar.removeprefix('results/')}"


def without_excerpt(result: str) -> str:
    """Return the shard of an excerpt; any other result as it is."""
    return re.sub("/[^/]+/published/shards/", "/", result)


def use_excerpts(results: Iterable[str]) -> None:
    """Let figures read these excerpts of shards in place of the shards."""
    _EXCERPTS.clear()
    _EXCERPTS.update(results)


def shown_shards(study: Study, tars: Iterable[str]) -> list[str]:
    """Return the shards that a figure reads, or their published excerpts.

    Parameters
    ----------
    study : Study
    tars : iterable of str
        Paths of shards.
    """
    names = [(excerpt(study.name, tar), tar) for tar in tars]
    return [name if name in _EXCERPTS else tar for name, tar in names]


# -- settings behind a result ----------------------------------------------------------------------


@cache
def _images(study: Study, source: str, last: str) -> str:
    return shard_index_settings(study, source, last).digest()


@cache
def _evaluation_sets(study: Study) -> list[str]:
    return [data_settings(study, name, 0).digest() for name in study.data.evaluation]


def _classifiers(study: Study, source: str, group: str) -> list[str]:
    return [classifier_settings(study, source, group).digest(), *_trained_on(study, source, group)]


def _clip_models(study: Study, source: str, group: str) -> list[str]:
    return [clip_settings(study, source, group).digest(), *_trained_on(study, source, group)]


def _trained_on(study: Study, source: str, group: str) -> list[str]:
    inputs = training_inputs(study, source, group).items()
    images = [_images(study, name, last) for name, lasts in inputs for last in lasts]
    return [*images, *_evaluation_sets(study)]


def _metrics(study: Study, source: str, group: str) -> list[str]:
    evaluation = evaluation_settings(study, source, group).digest()
    return [evaluation, *_classifiers(study, source, group)]


def _clip_metrics(study: Study, source: str, group: str) -> list[str]:
    evaluation = clip_evaluation_settings(study, source, group).digest()
    return [evaluation, *_clip_models(study, source, group)]


def _scores(study: Study, source: str) -> list[str]:
    settings = [score_settings(study, source).digest()]
    settings += [data_settings(study, study.scores.evaluation, 0).digest()]
    if (run := reference_run(study)) is not None:
        settings += _classifiers(study, run.source, group_of(study, run))
    if study.sources[source].kind == "real":
        return settings  # the scores of the evaluation set
    lasts = last_shards(study, source, study.scores.images)
    return settings + [_images(study, source, last) for last in lasts]


def _feature_scores(study: Study, feature: str, source: str) -> list[str]:
    settings = [feature_score_settings(study, source, feature).digest(), *_scores(study, source)]
    if (run := feature_run(study, feature)) is not None and feature == "clip":
        settings += _clip_models(study, run.source, group_of(study, run))
    return [*settings, as_json(training_data(study))]


def _prompts(study: Study, recipe: str) -> list[str]:
    real = [(name, last) for name in real_sources(study) for last in last_shards(study, name)]
    images = [_images(study, name, last) for name, last in real]
    return [prompt_settings(study, recipe).digest(), *images]


def _generated(study: Study, source: str, shard: str) -> list[str]:
    return [_images(study, source, shard)]


def _data(study: Study, split: str, shard: str) -> list[str]:
    return [data_settings(study, split, shard).digest()]


def _generators(study: Study, generator: str) -> list[str]:
    return [weights_settings(study, generator).digest(), as_json(training_data(study))]


# Folder of results -> rule, its wildcards in the path, and what its result depends on.
GROUP, SHARD = ("source", "group"), ("source", "shard")
KINDS: dict[str, tuple[str, tuple[str, ...], Callable[..., list[str]]]] = {
    "metrics": ("evaluate", GROUP, _metrics),
    "histories": ("train_classifiers", GROUP, _classifiers),
    "clip_metrics": ("evaluate_clip", GROUP, _clip_metrics),
    "clip_histories": ("train_clip", GROUP, _clip_models),
    "scores": ("score", ("source",), _scores),
    "feature_scores": ("score_features", ("feature", "source"), _feature_scores),
    "prompts": ("write_prompts", ("recipe",), _prompts),
    "images": ("generate", SHARD, _generated),
    "data": ("prepare_data", ("split", "shard"), _data),
    "generators": ("train_generator", ("generator",), _generators),
    "generator_histories": ("train_generator", ("generator",), _generators),
    "lora": ("finetune_generator", ("generator",), _generators),
    "lora_histories": ("finetune_generator", ("generator",), _generators),
}


def result_of(path: str) -> str:
    """Return the result that a file is part of: the file, or a folder such as a generator."""
    parts = PurePosixPath(path).parts
    return "/".join(parts[:4]) if len(parts) > 4 and parts[2] in FOLDERS else path


def settings_behind(studies: dict[str, Study], result: str) -> str | None:
    """Return a digest of all settings that a result depends on, those of jobs before it included.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    result : str
        Path of a result.

    Returns
    -------
    str or None
        None if a study does not ask for the result, or if it is of another kind: a law, which is
        fitted in seconds.
    """
    _, name, kind, *parts = PurePosixPath(without_excerpt(result)).parts
    if name not in studies or kind not in KINDS:
        return None
    study = studies[name]
    rule, wildcards, settings = KINDS[kind]
    stem = re.sub(r"\.(parquet|csv|json|tar)$", "", "/".join(parts)).split("/")
    if len(stem) != len(wildcards):
        return None
    values = dict(zip(wildcards, stem, strict=True))
    try:
        check_values(rule, study, values)
    except NotInStudy:
        return None
    texts = [*settings(study, **values), *_tables(study)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


@cache
def _tables(study: Study) -> list[str]:
    """Return the checksums of the class tables, which no digest of settings covers."""
    return [sha256(Path(path).read_bytes()) for path in class_tables(study)]


def class_tables(study: Study) -> list[str]:
    """Return the tables of classes and texts that results depend on."""
    return [study.classes, *clip_tables(study)]


# -- results that no rule creates ------------------------------------------------------------------


def current_results(studies: dict[str, Study]) -> list[str]:
    """Return the published results that are unchanged and that the studies ask for as they are.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    """
    return [result for name in studies for result in _current(name, studies)]


def _current(name: str, studies: dict[str, Study]) -> Iterator[str]:
    path = Path(record_file(name))
    if not path.is_file():
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    files: dict[str, list[str]] = {}
    for file in record["files"]:
        files.setdefault(result_of(file), []).append(file)
    for result, settings in record["settings_behind"].items():
        is_unchanged = all(is_same(file, record["files"][file]) for file in files[result])
        if is_unchanged and settings_behind(studies, result) == settings:
            yield result


def is_same(file: str, checksum: str) -> bool:
    """Return whether a file exists and has a checksum.

    Parameters
    ----------
    file : str
    checksum : str
        Its sha256, in hexadecimal digits.
    """
    path = Path(file)
    return path.is_file() and sha256(path.read_bytes()) == checksum


def pattern(studies: Iterable[str], results: Iterable[str]) -> str:
    """Return the pattern of the wildcard `study`, which excludes results from every rule.

    Parameters
    ----------
    studies : iterable of str
        Names of the studies.
    results : iterable of str
        Paths in results/.
    """
    by_folder: dict[str, list[str]] = {}
    for result in results:
        path = PurePosixPath(result)
        by_folder.setdefault(str(path.parent.relative_to("results")), []).append(path.name)
    excluded = "|".join(
        f"{re.escape(folder)}/({'|'.join(map(re.escape, names))})"
        for folder, names in by_folder.items()
    )
    names = f"({'|'.join(studies)})"
    return f"(?!({excluded})$){names}" if excluded else names
