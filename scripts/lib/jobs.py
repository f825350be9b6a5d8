"""What follows from a study: the files of each stage, the runs, and the settings that each job is handed.

Pure functions of a Study, no file is read. Rules call them while Snakemake plans, so nothing here may import torch.
A script finds its settings in the study by the functions here; their digest is a `params` of the rule, so that a job runs again when
its own settings change, and only then.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from scripts.lib.study import Study, pairs


@dataclass(frozen=True)
class Run:
    """One classifier to train: `size` images of a source at a guidance scale (None for real images), an architecture, a seed."""

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
    if study.sources[source].kind == "real":
        return [0]
    most = images or max(study.sources[source].images.values())
    return list(range(-(-most // study.images_per_block)))


def image_files(study_name: str, study: Study, source: str, images: int | None = None) -> list[str]:
    """Tar files of a source, in order; the manifest of each stands beside it as .parquet."""
    if study.sources[source].kind == "real":
        return [f"results/{study_name}/data/classifier_training.tar"]
    return [f"results/{study_name}/images/{source}/{block:05d}.tar" for block in blocks(study, source, images)]


def data_settings(study: Study, split: str) -> dict:
    """`balanced`: how many images, balanced over the classes in every prefix, the split must hold; None takes all in their order."""
    if split == "classifier_training":
        wanted = max((source.images for source in study.sources.values() if source.kind == "real"), default=None)
        return {"kind": study.data.kind, "forms": study.data.classifier_training, "balanced": wanted}
    forms = study.data.generator_training if split == "generator_training" else study.data.evaluation[split]
    return {"kind": study.data.kind, "forms": forms, "balanced": None}


def prompt_settings(study: Study, recipe: str) -> dict:
    return {"recipe": recipe} | study.recipes[recipe].model_dump()


def generator_settings(study: Study, generator: str) -> dict:
    """What a generator is trained with; how it is sampled afterwards is not part of it."""
    settings = study.generators[generator].model_dump(exclude={"steps", "sampler", "temperature"})
    patterns = [pattern for recipe in study.recipes.values() for pattern in recipe.patterns]
    return settings | {"image_size": study.image_size, "channels_in": study.channels, "patterns": patterns}


def generation_settings(study: Study, source: str, block: str | int) -> dict:
    """`guidance` maps each guidance scale to the half-open range of image indices that this block makes at it."""
    row = study.sources[source]
    start = int(block) * study.images_per_block
    stop = start + study.images_per_block
    ranges = {f"{scale:g}": [start, min(stop, count)] for scale, count in row.images.items() if count > start}
    sampling = study.generators[row.generator].model_dump(include={"kind", "steps", "sampler", "temperature"})
    return {"source": source, "generator": row.generator, "recipe": row.recipe, "guidance": ranges, "sampling": sampling}


# -- classifiers -----------------------------------------------------------------------------------------------------------------


def runs(study: Study, experiments: list[str] | None = None) -> list[Run]:
    """Every training run of these experiments (all by default), each once."""
    found = {}
    for name in experiments or study.experiments:
        experiment = study.experiments[name]
        for source, guidance in pairs(experiment.curves, study.sources):
            for architecture in experiment.architectures:
                for size in experiment.sizes:
                    for seed in experiment.seeds:
                        found[Run(source, guidance, architecture, size, seed)] = None
    return list(found)


def batch_of(study: Study, run: Run) -> str:
    """Name of the batch, one job's worth, that a run is trained in."""
    return run.architecture if study.classifiers.runs_per_job == "all" else run.name


def batches(study: Study, experiments: list[str] | None = None) -> list[tuple[str, str]]:
    """(source, batch) of each training job that these experiments need, each once."""
    return list(dict.fromkeys((run.source, batch_of(study, run)) for run in runs(study, experiments)))


def classifier_settings(study: Study, source: str, batch: str) -> dict:
    mine = [run for run in runs(study) if run.source == source and batch_of(study, run) == batch]
    recipe = study.classifiers
    return {
        "runs": [asdict(run) | {"name": run.name, "iterations": recipe.iterations[run.size]} for run in mine],
        "architectures": {name: recipe.architectures[name].model_dump(exclude={"label"}) for name in sorted({r.architecture for r in mine})},
        "training": recipe.model_dump(exclude={"architectures", "iterations", "runs_per_job"}),
        "image_size": study.image_size,
        "channels": study.channels,
    }


def evaluation_settings(study: Study, source: str, batch: str) -> dict:
    trained = classifier_settings(study, source, batch)["runs"]
    return {"runs": [{k: v for k, v in run.items() if k != "iterations"} for run in trained], "evaluation": list(study.data.evaluation)}


def experiment_settings(study: Study, experiments: list[str]) -> list[dict]:
    chosen = [study.experiments[name] for name in experiments]
    return [{"curves": pairs(e.curves, study.sources), **e.model_dump(include={"architectures", "sizes", "seeds"})} for e in chosen]


def law_settings(study: Study, law: str) -> dict:
    chosen = study.laws[law]
    return {"experiments": experiment_settings(study, chosen.experiments), "evaluation": chosen.evaluation, "sizes": chosen.sizes}


def metric_files(study_name: str, study: Study, experiments: list[str] | None = None) -> list[str]:
    return [f"results/{study_name}/metrics/{source}/{batch}.parquet" for source, batch in batches(study, experiments)]


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
    return [
        name
        for name, source in study.sources.items()
        if source.kind == "synthetic" and (generators is None or source.generator in generators) and (recipes is None or source.recipe in recipes)
    ]


# -- figures and tables -------------------------------------------------------------------------------------------------------------


def labels(study: Study) -> list[dict]:
    """How each curve is named in a figure or table: source, guidance, generator, recipe, number of images."""
    rows = []
    for source, guidance in pairs("all", study.sources):
        row = study.sources[source]
        named = {"generator": row.generator, "recipe": row.recipe, "images": row.images[guidance]} if row.kind == "synthetic" else None
        rows.append({"source": source, "guidance": guidance} | (named or {"generator": "real", "recipe": "real", "images": row.images}))
    return rows


def samples_sources(study: Study) -> list[str]:
    figure = study.figures.samples
    return [synthetic_sources(study, [figure.generator], [recipe])[0] for recipe in figure.recipes]


def samples_settings(study: Study) -> dict:
    figure, shown = study.figures.samples, samples_sources(study)
    scales = sorted({scale for source in shown for scale in study.sources[source].images})
    return {"guidance": scales, "rows": figure.recipes, "columns": figure.columns}


def plane_sources(study: Study) -> list[str]:
    return real_sources(study) + synthetic_sources(study, study.figures.recognizability_diversity.generators)


def plane_settings(study: Study) -> dict:
    shown = plane_sources(study)
    own = [row for row in labels(study) if row["source"] in shown]
    recipes = list(dict.fromkeys(row["recipe"] for row in own if row["recipe"] != "real"))
    return {"generators": study.figures.recognizability_diversity.generators, "recipes": recipes, "labels": own}


def sweep_settings(study: Study) -> dict:
    figure = study.figures.configuration_sweep
    shown = set(pairs(study.experiments[figure.experiment].curves, study.sources))
    own = [row for row in labels(study) if (row["source"], row["guidance"]) in shown]
    names = {key: list(dict.fromkeys(row[key] for row in own if row[key] != "real")) for key in ("generator", "recipe")}
    return {
        "experiments": experiment_settings(study, [figure.experiment]),
        "architecture": figure.architecture,
        "evaluation": figure.evaluation,
        "generators": names["generator"],
        "recipes": names["recipe"],
        "labels": own,
    }


def sweep_sources(study: Study) -> list[str]:
    return list(dict.fromkeys(row["source"] for row in sweep_settings(study)["labels"]))


def labelled(study: Study, curves, architectures: list[str]) -> list[dict]:
    """Every curve on every architecture with a label: what differs among them, real images first under their own name."""
    found = [(*pair, architecture) for pair in pairs(curves, study.sources) for architecture in architectures]
    rows = [study.sources[source] for source, _, _ in found]
    synthetic = [row.kind == "synthetic" for row in rows]
    parts = [
        [row.generator if made else "" for row, made in zip(rows, synthetic, strict=True)],
        [row.recipe if made else "" for row, made in zip(rows, synthetic, strict=True)],
        ["" if scale is None else f"guidance {scale:g}" for _, scale, _ in found],
    ]
    differing = [part for part in parts if len({word for word, made in zip(part, synthetic, strict=True) if made}) > 1]
    several, mixed = len(set(architectures)) > 1, len(set(synthetic)) > 1
    named = []
    for i, (source, scale, architecture) in enumerate(found):
        words = [part[i] for part in differing if part[i]] or ([rows[i].kind] if mixed or not several else [])
        label = ", ".join(words + ([study.classifiers.architectures[architecture].label] if several else []))
        named.append({"source": source, "guidance": scale, "architecture": architecture, "label": label})
    return named


def scaling_settings(study: Study) -> dict:
    figure = study.figures.supervised_scaling
    panels = [{"title": panel.title, "curves": labelled(study, panel.curves, panel.architectures)} for panel in figure.panels]
    return law_settings(study, figure.law) | {"panels": panels}


def exchange_settings(study: Study) -> dict:
    figure = study.figures.exchange_rate
    curves = labelled(study, figure.curves, [figure.architecture])
    return law_settings(study, figure.law) | {"architecture": figure.architecture, "real": real_sources(study)[0], "curves": curves}


def beyond_settings(study: Study) -> dict:
    figure, curves = study.figures.beyond_the_law, []
    for panel in figure.panels:
        own = labelled(study, panel.curves, panel.architectures)
        curves += [curve | {"label": f"{panel.title}, {curve['label']}" if len(own) > 1 else panel.title} for curve in own]
    return law_settings(study, figure.law) | {"curves": curves}


def table_settings(study: Study) -> dict:
    return {"evaluation": study.tables.supervised.evaluation, "labels": labels(study)}
