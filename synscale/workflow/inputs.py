"""Input files of the rules that prepare data, generate images, train and evaluate.

Each function takes the wildcards of its rule; `figure_inputs` has those of figures and tables.
"""

import shlex

from synscale.study.models import Study
from synscale.study.models.data import classified
from synscale.workflow import paths, prompt_inputs, shards
from synscale.workflow.settings.evaluation import clip_tables
from synscale.workflow.studies import from_wildcards, study_input


@study_input
def class_table(study: Study, wildcards) -> str:
    """Return the table of the study's classes."""
    return study.classes


@study_input
def split_classes(study: Study, wildcards) -> str | list[str]:
    """Return the table of the classes of a split; none for image-text pairs."""
    return shards.classes_file(study, wildcards.split) or []


@study_input
def skipped_images(study: Study, wildcards) -> str | list[str]:
    """Return the list of the images of a data set that are left out, if there is one."""
    return shards.skipped_file(study, wildcards.split) or []


data_index = from_wildcards(paths.data_index, "split")
local_model = from_wildcards(prompt_inputs.local_model, "recipe")
captioned_shard = from_wildcards(prompt_inputs.captioned_shard, "shard")
known_texts = from_wildcards(prompt_inputs.known_texts, "recipe")
pipeline = from_wildcards(paths.pipeline_folder, "source")
prompts = from_wildcards(paths.prompts_file, "source", "shard")
previous_index = from_wildcards(paths.index_before, "source", "shard")
shards_to_index = from_wildcards(paths.indexed_tars, "source", "shard")
training_indexes = from_wildcards(paths.training_indexes, "source", "group")


@study_input
def evaluation_tars(study: Study, wildcards) -> list[str]:
    """Return every evaluation set."""
    return [paths.evaluation_file(study, name) for name in study.data.evaluation]


@study_input
def classified_tars(study: Study, wildcards) -> list[str]:
    """Return the evaluation sets that have the study's classes, as classifiers need them."""
    return [paths.evaluation_file(study, name) for name in classified(study.data)]


clip_class_tables = from_wildcards(clip_tables)
reference = from_wildcards(paths.reference_folder)


@study_input
def real_tars(study: Study, wildcards) -> list[str]:
    """Return the evaluation set that images are compared with."""
    return [paths.evaluation_file(study, study.scores.evaluation)]


@study_input
def scored_tars(study: Study, wildcards) -> list[str]:
    """Return the first images of a source; for real images an evaluation set."""
    if study.sources[wildcards.source].kind == "real":
        return [paths.evaluation_file(study, study.scores.evaluation)]
    return paths.image_files(study, wildcards.source, study.scores.images)


@study_input
def checkpoint(study: Study, wildcards) -> str:
    """Return the file of a checkpoint of the paper's authors."""
    return study.author_checkpoints[wildcards.checkpoint].file


@study_input
def checkpoint_tars(study: Study, wildcards) -> list[str]:
    """Return the evaluation sets of a checkpoint of the paper's authors."""
    is_clip = study.author_checkpoints[wildcards.checkpoint].kind == "clip"
    names = study.data.evaluation if is_clip else classified(study.data)
    return [paths.evaluation_file(study, name) for name in names]


@study_input
def checkpoint_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of every checkpoint of the paper's authors."""
    return [
        f"results/{study.name}/author_checkpoint_metrics/{name}.parquet"
        for name in study.author_checkpoints
    ]


def as_options(wildcards, input) -> str:
    """Return the named inputs of a figure or table, except its code, as options of its script.

    An example is `--metrics a.parquet b.parquet --laws c.json`. As Snakemake hands over `input`,
    this decides over no rerun.
    """
    options = []
    for name, files in input.items():
        if name != "code":
            names = [files] if isinstance(files, str) else files
            options.append(f"--{name} {shlex.join(names)}")
    return " ".join(options)
