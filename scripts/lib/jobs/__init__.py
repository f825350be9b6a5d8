"""What follows from a study: the files of each stage up to the laws, the runs, and the settings that each job is handed.

Pure functions of a Study, no file is read. Rules call them while Snakemake plans, so nothing here may import torch.
A script finds its settings in the study by the functions here; their digest is a `params` of the rule, so that a job runs again when
its own settings change, and only then.

sources.py   blocks of images, and the settings of the jobs that make them
training.py  training runs, and the batches of them that share a job
settings.py  what the jobs are handed that train, evaluate, score and fit
"""

from scripts.lib.jobs.released import conversion_settings, released_settings, released_table_settings
from scripts.lib.jobs.settings import (
    classifier_settings,
    clip_evaluation_settings,
    clip_settings,
    clip_tables,
    evaluation_settings,
    experiment_settings,
    law_settings,
    metric_files,
    reference_run,
    reference_settings,
    score_settings,
)
from scripts.lib.jobs.sources import (
    LISTED,
    blocks,
    checker_settings,
    classes_file,
    data_settings,
    evaluation_file,
    fetch_settings,
    flag_settings,
    generation_settings,
    generator_settings,
    image_files,
    images_per_block,
    index_files,
    index_settings,
    is_pretrained,
    list_before,
    list_files,
    listed_files,
    model_settings,
    pipeline_folder,
    prompt_settings,
    prompts_file,
    real_sources,
    synthetic_sources,
    wanted,
)
from scripts.lib.jobs.training import Run, batch_of, batch_runs, batches, digest, runs, trainer, training_lists

__all__ = [
    "LISTED",
    "Run",
    "batch_of",
    "batch_runs",
    "batches",
    "blocks",
    "checker_settings",
    "classes_file",
    "classifier_settings",
    "clip_evaluation_settings",
    "clip_settings",
    "clip_tables",
    "conversion_settings",
    "data_settings",
    "digest",
    "evaluation_file",
    "evaluation_settings",
    "experiment_settings",
    "fetch_settings",
    "flag_settings",
    "generation_settings",
    "generator_settings",
    "image_files",
    "images_per_block",
    "index_files",
    "index_settings",
    "is_pretrained",
    "law_settings",
    "list_before",
    "list_files",
    "listed_files",
    "metric_files",
    "model_settings",
    "pipeline_folder",
    "prompt_settings",
    "prompts_file",
    "real_sources",
    "reference_run",
    "reference_settings",
    "released_settings",
    "released_table_settings",
    "runs",
    "score_settings",
    "synthetic_sources",
    "trainer",
    "training_lists",
    "wanted",
]
