"""Paths of files in results/: image shards, their index, prompts, generators, metrics, models."""

from synscale.study.models import Study
from synscale.study.models.data import MisreadImages
from synscale.workflow import targets
from synscale.workflow.runs import (
    Run,
    as_run,
    group_of,
    group_runs,
    training_inputs,
    training_recipe,
    training_runs,
)
from synscale.workflow.shards import (
    SHARDS_PER_INDEX,
    images_of_shift,
    is_in_files,
    is_prepared,
    last_shards,
    shard_names,
    shards_of_generator,
    shards_of_split,
    shards_until,
    shift_of,
    split_of,
    split_of_generator,
    study_of_images,
)


def _images_folder(study: Study, source: str) -> str:
    if is_prepared(study.sources[source]):
        return f"results/{study.name}/data/{split_of(study, source)}"
    folder = "selected" if study.sources[source].kind == "selected" else "images"
    return f"results/{study_of_images(study, source)}/{folder}/{source}"


def image_files(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Return the tars of the first images of a source, in order.

    The manifest of each tar is next to it, as .parquet.

    Parameters
    ----------
    study : Study
    source : str
    images : int or None
        Number of images; None is all of them.
    guidance : float or None
        One guidance scale; None is all of them.
    """
    folder = _images_folder(study, source)
    return [f"{folder}/{shard}.tar" for shard in shard_names(study, source, images, guidance)]


def unselected_shard(study: Study, source: str, shard: str) -> str:
    """Return the name of the shard of generated images that a selected one is selected from.

    Parameters
    ----------
    study : Study
    source : str
        Source of kind selected.
    shard : str
    """
    row = targets.selected(study, source)
    [first] = last_shards(study, row.source, 1, row.guidance)
    return first[:-5] + shard


def unselected_tar(study: Study, source: str, shard: str) -> str:
    """Return the tar of `unselected_shard`, with the same parameters."""
    folder = _images_folder(study, targets.selected(study, source).source)
    return f"{folder}/{unselected_shard(study, source, shard)}.tar"


def shard_index_files(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Return the indexes of the shards of `image_files`. Parameters as of `image_files`."""
    return [
        f"results/{study.name}/shard_index/{source}/{last}.csv"
        for last in last_shards(study, source, images, guidance)
    ]


def index_before(study: Study, source: str, last: str) -> list[str]:
    """Return the index that the index of the shards up to `last` continues, if there is one.

    An index adds at most `SHARDS_PER_INDEX` rows to it. So no shard is an input of more than a
    few jobs, and no job has thousands of inputs: Snakemake would plan both slowly.

    Parameters
    ----------
    study : Study
    source : str
    last : str
        Name of the last shard.
    """
    full = int(last[-5:]) // SHARDS_PER_INDEX * SHARDS_PER_INDEX
    if not full:
        return []
    return [f"results/{study.name}/shard_index/{source}/{last[:-5]}{full - 1:05d}.csv"]


def indexed_tars(study: Study, source: str, last: str) -> list[str]:
    """Return the tars of the shards up to `last` that are not in the index before.

    Parameters
    ----------
    study : Study
    source : str
    last : str
        Name of the last shard.
    """
    folder = _images_folder(study, source)
    first = int(last[-5:]) // SHARDS_PER_INDEX * SHARDS_PER_INDEX
    return [f"{folder}/{shard}.tar" for shard in shards_until(last)[first:]]


def evaluation_file(study: Study, name: str) -> str:
    """Return the tar of an evaluation set, which is one shard."""
    return f"results/{study.name}/data/{name}/00000.tar"


def data_index(study: Study, split: str) -> list[str]:
    """Return the index of a split if it is a data set in files: its shards are ranges of rows."""
    if not is_in_files(study, split):
        return []
    return [f"results/{study.name}/data/{split}/index.parquet"]


def shifted_images(study: Study, split: str) -> list[str]:
    """Return the tar of the set that the images of a shifted evaluation set are taken from."""
    shift = shift_of(study, split)
    return [evaluation_file(study, shift.of)] if shift else []


def shift_training(study: Study, split: str) -> list[str]:
    """Return the tars that the model behind a set of misread images is trained on."""
    shift = shift_of(study, split)
    if not isinstance(shift, MisreadImages):
        return []
    shards = shards_of_split(study, shift.trained_on, images_of_shift(study, split))
    return [f"results/{study.name}/data/{shift.trained_on}/{shard}.tar" for shard in shards]


def prompts_file(study: Study, source: str, shard: str) -> str:
    """Return the file with the prompts of a shard.

    It is the pool of texts of a recipe, or the manifest of real pairs, whose texts are used one by
    one.
    """
    results = f"results/{study_of_images(study, source)}"
    recipe = study.sources[source].recipe
    if study.recipes[recipe].kind == "pair_texts":
        split = split_of(study, study.recipes[recipe].source)
        return f"{results}/data/{split}/{shard[-5:]}.parquet"
    return f"{results}/prompts/{recipe}.parquet"


def generator_images(study: Study, generator: str) -> list[str]:
    """Return the tars that a generator is trained on."""
    folder = f"results/{study.name}/data/{split_of_generator(study, generator)}"
    return [f"{folder}/{shard}.tar" for shard in shards_of_generator(study, generator)]


def _generator_folder(study: Study, generator: str, results: str) -> str:
    folder = targets.generator_folder(study.generators[generator])
    return f"results/{results}/{folder}/{generator}"


def pipeline_folder(study: Study, source: str) -> str:
    """Return the folder of the pipeline of a source: trained by the workflow, or fetched.

    The pipeline of a fine-tuned generator is that of its base.
    """
    row = study.generators[targets.synthetic(study, source).generator]
    name = row.base if row.kind == "finetuned" else study.sources[source].generator
    return _generator_folder(study, name, study_of_images(study, source))


def pipeline_folders(study: Study, source: str) -> list[str]:
    """Return the folder of the pipeline of a source, then that of its LoRA weights.

    Only fine-tuned generators have the second one.
    """
    folders = [pipeline_folder(study, source)]
    name = study.sources[source].generator
    if study.generators[name].kind == "finetuned":
        folders.append(_generator_folder(study, name, study_of_images(study, source)))
    return folders


def base_folder(study: Study, generator: str) -> str:
    """Return the folder of the pipeline that a generator is fine-tuned from."""
    base = targets.generator(study, generator, "lora").base
    return _generator_folder(study, base, study.name)


def tuning_images(study: Study, generator: str) -> list[str]:
    """Return the tars that a generator is fine-tuned on."""
    data = targets.generator(study, generator, "lora").data
    return image_files(study, data.source, data.images)


def training_indexes(study: Study, source: str, group: str) -> list[str]:
    """Return the indexes of the shards that a group trains on, source after source."""
    return [
        f"results/{study.name}/shard_index/{name}/{last}.csv"
        for name, lasts in training_inputs(study, source, group).items()
        for last in lasts
    ]


def start_folder(study: Study, source: str, group: str) -> list[str]:
    """Return the folder of the weights that the classifiers of a group start from, if any.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.
    """
    runs = group_runs(study, source, group)
    row = study.classifiers.architectures[runs[0].architecture] if runs else None
    if row is None or row.start is None:
        return []
    if row.start_run is None:
        return [f"results/{study.name}/starts/{runs[0].architecture}"]
    run = as_run(row.start_run)
    return [f"results/{study.name}/classifiers/{run.source}/{group_of(study, run)}"]


def _job_files(study: Study, experiments: list[str] | None, kind: str, suffix: str) -> list[str]:
    """Return a file of each job that trains, or evaluates, runs of these experiments."""
    files: dict[str, None] = {}
    for run in training_runs(study, experiments):
        is_classifier = training_recipe(study, run.architecture) is study.classifiers
        folder = kind if is_classifier else f"clip_{kind}"
        files[f"results/{study.name}/{folder}/{run.source}/{group_of(study, run)}.{suffix}"] = None
    return list(files)


def metric_files(study: Study, experiments: list[str] | None = None) -> list[str]:
    """Return the metrics of every run of these experiments; None is all experiments."""
    return _job_files(study, experiments, "metrics", "parquet")


def history_files(study: Study, experiments: list[str]) -> list[str]:
    """Return the histories of every training of these experiments."""
    return _job_files(study, experiments, "histories", "csv")


def reference_run(study: Study) -> Run | None:
    """Return the run whose classifier is the reference of the scores; None if it is downloaded."""
    run = study.scores.reference
    if run.kind == "pretrained":
        return None
    return Run(run.source, None, run.architecture, run.size, run.seed)


def selecting_run(study: Study, source: str) -> Run | None:
    """Return the run whose model selects the images of a source; None if it is downloaded."""
    run = targets.selected(study, source).clip
    return (
        Run(run.source, None, run.architecture, run.size, run.seed) if run else reference_run(study)
    )


def selecting_model(study: Study, source: str) -> str:
    """Return the folder of the model that selects the images of a source."""
    run = selecting_run(study, source)
    if run is None or targets.selected(study, source).clip is None:
        return reference_folder(study)
    return f"results/{study.name}/clip/{run.source}/{group_of(study, run)}"


def reference_folder(study: Study) -> str:
    """Return the folder of the reference: that of its group of runs, or of a download."""
    run = reference_run(study)
    folder = f"classifiers/{run.source}/{group_of(study, run)}" if run else "reference"
    return f"results/{study.name}/{folder}"
