"""What follows from a study: the files of each stage up to the laws, the runs, and the settings that each job is handed.

Pure functions of a Study, no file is read. Rules call them while Snakemake plans, so nothing here may import torch.
A script finds its settings in the study by the functions here; their digest is a `params` of the rule, so that a job runs again when
its own settings change, and only then.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from scripts.lib.study import Study, names_class, pairs, parts_of


@dataclass(frozen=True)
class Run:
    """One model to train: `size` images of a source at a guidance scale (None for real images and mixtures), an architecture, a seed."""

    source: str
    guidance: float | None
    architecture: str
    size: int
    seed: int

    @property
    def name(self) -> str:
        guidance = "" if self.guidance is None else f"-g{self.guidance:g}"
        return f"{self.architecture}{guidance}-n{self.size}-seed{self.seed}"


def digest(settings: dict) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


# -- images ----------------------------------------------------------------------------------------------------------------------


def blocks(study: Study, source: str, images: int | None = None) -> list[int]:
    """Numbers of the blocks that hold the first `images` image indices (all by default) of a source."""
    most = images or max(study.sources[source].images.values())
    return list(range(-(-most // study.images_per_block)))


def image_files(study_name: str, study: Study, source: str, images: int | None = None) -> list[str]:
    """Tar files of a source, in order; the manifest of each stands beside it as .parquet."""
    if study.sources[source].kind == "real":
        return [f"results/{study_name}/data/classifier_training.tar"]
    return [f"results/{study_name}/images/{source}/{block:05d}.tar" for block in blocks(study, source, images)]


def training_inputs(study: Study, source: str, batch: str) -> dict[str, int]:
    """Sources whose images the runs of a batch need, and the number of images of each."""
    found = {}
    for run in batch_runs(study, source, batch):
        for part in parts_of(study.sources, run.source, run.guidance, run.size):
            found[part["source"]] = max(found.get(part["source"], 0), part["images"])
    return found


def training_files(study_name: str, study: Study, source: str, batch: str) -> list[str]:
    own = training_inputs(study, source, batch)
    return [tar for name, images in own.items() for tar in image_files(study_name, study, name, images)]


def data_settings(study: Study, split: str) -> dict:
    """`balanced`: how many images, balanced over the classes in every prefix, the split must hold; None takes all in their order.
    `trained_on`: forms that the model behind an adversarial set learns from."""
    settings = {"kind": study.data.kind, "balanced": None}
    if split in study.data.evaluation:
        chosen = study.data.evaluation[split].model_dump()
        return settings | {"set": chosen, "trained_on": study.data.generator_training if chosen["kind"] == "adversarial" else None}
    settings["set"] = {"kind": "writers", "forms": getattr(study.data, split)}
    if split == "classifier_training":
        settings["balanced"] = max((source.images for source in study.sources.values() if source.kind == "real"), default=None)
    return settings


def prompt_settings(study: Study, recipe: str) -> dict:
    return {"recipe": recipe} | study.recipes[recipe].model_dump()


def model_settings(study: Study, recipe: str) -> dict:
    return study.recipes[recipe].model_dump(include={"model", "revision"})


def generator_settings(study: Study, generator: str) -> dict:
    """What a generator is trained with; how it is sampled afterwards is not part of it."""
    settings = study.generators[generator].model_dump(exclude={"steps", "sampler", "temperature"})
    patterns = [pattern for recipe in study.recipes.values() if recipe.kind == "sentences" for pattern in recipe.patterns]
    return settings | {"image_size": study.image_size, "channels_in": study.channels, "patterns": patterns}


def fetch_settings(study: Study, generator: str) -> dict:
    """Which weights of others a generator has; how it is sampled is not part of it."""
    return study.generators[generator].model_dump(include={"model", "revision", "variant"})


def pipeline_folder(study_name: str, study: Study, source: str) -> str:
    """Folder of the pipeline that a source is made with: trained by the workflow, or fetched."""
    generator = study.sources[source].generator
    return f"results/{study_name}/{'models' if is_pretrained(study, source) else 'generators'}/{generator}"


def is_pretrained(study: Study, source: str) -> bool:
    return study.generators[study.sources[source].generator].kind == "pretrained"


def generation_settings(study: Study, source: str, block: str | int) -> dict:
    """`guidance` maps each guidance scale to the half-open range of image indices that this block makes at it.

    `stored`: where images are not kept as they come, their size, channels, format and quality.
    """
    row = study.sources[source]
    start = int(block) * study.images_per_block
    stop = start + study.images_per_block
    ranges = {f"{scale:g}": [start, min(stop, count)] for scale, count in row.images.items() if count > start}
    generator = study.generators[row.generator]
    pretrained = generator.kind == "pretrained"
    sampling = generator.model_dump() if pretrained else generator.model_dump(include={"kind", "steps", "sampler", "temperature"})
    settings = {"source": source, "generator": row.generator, "recipe": row.recipe, "guidance": ranges, "sampling": sampling}
    if pretrained or study.storage.format != "png":
        settings["stored"] = {"image_size": study.image_size, "channels": study.channels} | study.storage.model_dump()
    return settings


# -- models ----------------------------------------------------------------------------------------------------------------------


def trainer(study: Study, architecture: str):
    """The training recipe that an architecture belongs to: the study's `classifiers` or its `clips`."""
    return study.clips if study.clips and architecture in study.clips.architectures else study.classifiers


def runs(study: Study, experiments: list[str] | None = None) -> list[Run]:
    """Every training run of these experiments (all by default), each once."""
    found = {}
    for name in study.experiments if experiments is None else experiments:
        experiment = study.experiments[name]
        for source, guidance in pairs(experiment.curves, study.sources):
            for architecture in experiment.architectures:
                for size in experiment.sizes:
                    for seed in experiment.seeds:
                        found[Run(source, guidance, architecture, size, seed)] = None
    return list(found)


def batch_of(study: Study, run: Run) -> str:
    """Name of the batch, one job's worth, that a run is trained in."""
    return run.architecture if trainer(study, run.architecture).runs_per_job == "all" else run.name


def batch_runs(study: Study, source: str, batch: str) -> list[Run]:
    return [run for run in runs(study) if run.source == source and batch_of(study, run) == batch]


def batches(study: Study, experiments: list[str] | None = None) -> list[tuple[str, str]]:
    """(source, batch) of each training job that these experiments need, each once."""
    return list(dict.fromkeys((run.source, batch_of(study, run)) for run in runs(study, experiments)))


def _training_settings(study: Study, source: str, batch: str) -> dict:
    """`inputs`: whose tars the job is handed one after the other, and how many of each. `parts` of a run: what it trains on."""
    mine = batch_runs(study, source, batch)
    recipe = trainer(study, mine[0].architecture)
    files = {name: len(image_files("", study, name, images)) for name, images in training_inputs(study, source, batch).items()}
    return {
        "runs": [
            asdict(run) | {"name": run.name, "iterations": recipe.iterations[run.size], "parts": parts_of(study.sources, run.source, run.guidance, run.size)}
            for run in mine
        ],
        "inputs": files,
        "architectures": {name: recipe.architectures[name].model_dump(exclude={"label"}) for name in sorted({r.architecture for r in mine})},
        "image_size": study.image_size,
        "channels": study.channels,
    }


def _trained(study: Study, source: str, batch: str) -> list[dict]:
    return [asdict(run) | {"name": run.name} for run in batch_runs(study, source, batch)]


def classifier_settings(study: Study, source: str, batch: str) -> dict:
    training = study.classifiers.model_dump(exclude={"architectures", "iterations", "runs_per_job"})
    return _training_settings(study, source, batch) | {"training": training}


def evaluation_settings(study: Study, source: str, batch: str) -> dict:
    return {"runs": _trained(study, source, batch), "evaluation": list(study.data.evaluation)}


def clip_settings(study: Study, source: str, batch: str) -> dict:
    training = study.clips.model_dump(exclude={"architectures", "iterations", "runs_per_job", "templates", "tasks"})
    return _training_settings(study, source, batch) | {"training": training}


def clip_evaluation_settings(study: Study, source: str, batch: str) -> dict:
    chosen = study.clips.model_dump(include={"templates", "tasks"})
    return {"runs": _trained(study, source, batch), "evaluation": list(study.data.evaluation)} | chosen


def experiment_settings(study: Study, experiments: list[str]) -> list[dict]:
    chosen = [study.experiments[name] for name in experiments]
    return [{"curves": pairs(e.curves, study.sources), **e.model_dump(include={"architectures", "sizes", "seeds"})} for e in chosen]


def law_settings(study: Study, law: str) -> dict:
    chosen = study.laws[law]
    return {"experiments": experiment_settings(study, chosen.experiments), "evaluation": chosen.evaluation, "sizes": chosen.sizes}


def metric_files(study_name: str, study: Study, experiments: list[str] | None = None) -> list[str]:
    """Metrics of every run of these experiments: of classifiers in metrics/, of CLIP models in clip_metrics/."""
    found = {}
    for run in runs(study, experiments):
        folder = "metrics" if trainer(study, run.architecture) is study.classifiers else "clip_metrics"
        found[f"results/{study_name}/{folder}/{run.source}/{batch_of(study, run)}.parquet"] = None
    return list(found)


def reference_run(study: Study) -> Run:
    run = study.scores.reference
    return Run(run.source, None, run.architecture, run.size, run.seed)


def score_settings(study: Study, source: str) -> dict:
    row = study.sources[source]
    scales = list(row.images) if row.kind == "synthetic" else [None]
    return {"source": source, "guidance": scales, "images": study.scores.images if scales != [None] else None, "reference": reference_run(study).name}


def real_sources(study: Study) -> list[str]:
    """The source of real images: one, for the checks let no second one pass."""
    return [name for name, source in study.sources.items() if source.kind == "real"]


def synthetic_sources(study: Study, generators: list[str] | None = None, recipes: list[str] | None = None) -> list[str]:
    """Those whose images show a named class."""
    return [
        name
        for name, source in study.sources.items()
        if source.kind == "synthetic"
        and names_class(source, study.recipes)
        and (generators is None or source.generator in generators)
        and (recipes is None or source.recipe in recipes)
    ]
