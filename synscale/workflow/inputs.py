"""Input files of the rules that prepare data, generate images, train and evaluate.

Each function takes the wildcards of its rule; `figure_inputs` has those of figures and tables.
"""

import shlex

from synscale.study.models import Study
from synscale.study.models.data import classified
from synscale.workflow import paths, prompt_inputs, shards, targets
from synscale.workflow.settings.evaluation import clip_tables
from synscale.workflow.settings.feature_scores import feature_folder, remembered_images
from synscale.workflow.studies import study_input


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


@study_input
def training_index(study: Study, wildcards) -> list[str]:
    """Return the index of the training set that an evaluation set is held out of, if any."""
    split = shards.held_out_of(study, wildcards.split)
    return paths.data_index(study, split) if split else []


@study_input
def data_index(study: Study, wildcards) -> list[str]:
    """Return the index of a data set in files."""
    return paths.data_index(study, wildcards.split)


@study_input
def shifted_images(study: Study, wildcards) -> list[str]:
    """Return the set that the images of a shifted evaluation set are taken from."""
    return paths.shifted_images(study, wildcards.split)


@study_input
def shift_training(study: Study, wildcards) -> list[str]:
    """Return the shards that the model behind a set of misread images is trained on."""
    return paths.shift_training(study, wildcards.split)


@study_input
def local_model(study: Study, wildcards) -> list[str]:
    """Return the files of a language model in a folder of the user."""
    return prompt_inputs.local_model(study, wildcards.recipe)


@study_input
def captioned_shard(study: Study, wildcards) -> str:
    """Return the shard of real images that a job describes."""
    return prompt_inputs.captioned_shard(study, wildcards.shard)


@study_input
def known_texts(study: Study, wildcards) -> list[str]:
    """Return the files, other than the class table, that prompts are written from."""
    return prompt_inputs.known_texts(study, wildcards.recipe)


@study_input
def pipeline(study: Study, wildcards) -> list[str]:
    """Return the folder of the pipeline that generates a source, and that of its LoRA weights."""
    return paths.pipeline_folders(study, wildcards.source)


@study_input
def generator_images(study: Study, wildcards) -> list[str]:
    """Return the shards that a generator is trained on."""
    targets.generator(study, wildcards.generator, "generators")
    return paths.generator_images(study, wildcards.generator)


@study_input
def base_pipeline(study: Study, wildcards) -> str:
    """Return the folder of the pipeline that a generator is fine-tuned from."""
    return paths.base_folder(study, wildcards.generator)


@study_input
def tuning_images(study: Study, wildcards) -> list[str]:
    """Return the shards of real images that a generator is fine-tuned on."""
    return paths.tuning_images(study, wildcards.generator)


@study_input
def prompts(study: Study, wildcards) -> str:
    """Return the prompts of a shard."""
    return paths.prompts_file(study, wildcards.source, wildcards.shard)


@study_input
def unselected_tar(study: Study, wildcards) -> str:
    """Return the shard that images are selected from."""
    return paths.unselected_tar(study, wildcards.source, wildcards.shard)


@study_input
def selecting_model(study: Study, wildcards) -> str:
    """Return the folder of the model that selects images."""
    return paths.selecting_model(study, wildcards.source)


@study_input
def previous_index(study: Study, wildcards) -> list[str]:
    """Return the index that an index of shards continues."""
    return paths.index_before(study, wildcards.source, wildcards.shard)


@study_input
def shards_to_index(study: Study, wildcards) -> list[str]:
    """Return the shards that are rows of an index, but of no earlier one."""
    return paths.indexed_tars(study, wildcards.source, wildcards.shard)


@study_input
def training_indexes(study: Study, wildcards) -> list[str]:
    """Return the indexes of the shards that a group of runs trains on."""
    return paths.training_indexes(study, wildcards.source, wildcards.group)


@study_input
def start(study: Study, wildcards) -> list[str]:
    """Return the folder of the weights that a group of classifiers starts from, if any."""
    return paths.start_folder(study, wildcards.source, wildcards.group)


@study_input
def evaluation_tars(study: Study, wildcards) -> list[str]:
    """Return every evaluation set."""
    return [paths.evaluation_file(study, name) for name in study.data.evaluation]


@study_input
def classified_tars(study: Study, wildcards) -> list[str]:
    """Return the evaluation sets that have the study's classes, as classifiers need them."""
    return [paths.evaluation_file(study, name) for name in classified(study.data)]


@study_input
def held_out(study: Study, wildcards) -> list[str]:
    """Return the set on which trainings record a loss: the first with the study's classes."""
    return [paths.evaluation_file(study, name) for name in classified(study.data)[:1]]


@study_input
def clip_class_tables(study: Study, wildcards) -> list[str]:
    """Return the tables of the evaluation sets that have other classes."""
    return clip_tables(study)


@study_input
def reference(study: Study, wildcards) -> str:
    """Return the folder of the classifier that scores images."""
    return paths.reference_folder(study)


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
def feature_model(study: Study, wildcards) -> str:
    """Return the folder of the model of a feature space."""
    return feature_folder(study, wildcards.feature)


@study_input
def remembered_tars(study: Study, wildcards) -> list[str]:
    """Return the training images that generated images are compared with, if they are known."""
    return remembered_images(study, wildcards.source, wildcards.feature)


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
