"""Settings of the jobs that write tables: what each table shows."""

from dataclasses import dataclass

from synscale.study.models import Study, expand_curves
from synscale.study.models.figures import Counterpart
from synscale.workflow.runs import Run, training_runs
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import Label, table_labels
from synscale.workflow.settings.feature_scores import score_columns
from synscale.workflow.settings.figures import experiments_of_laws, part_of
from synscale.workflow.settings.laws import (
    ExperimentSettings,
    LawSettings,
    experiment_settings,
    law_settings,
)


@dataclass(frozen=True)
class PromptsSettings(Settings):
    """Table `prompts`. each: number of texts of each recipe."""

    each: int
    recipes: list[str]


@dataclass(frozen=True)
class ConfigurationsSettings(Settings):
    """Table `configurations`: every configuration of one experiment."""

    architecture: str
    evaluations: list[str]
    experiments: list[ExperimentSettings]
    labels: list[Label]
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvaluationTableSettings(Settings):
    """Tables `supervised`, `ood` and `clip`."""

    evaluations: list[str]
    labels: list[Label]


@dataclass(frozen=True)
class HyperparametersSettings(Settings):
    """Table `hyperparameters`. parts: part -> name -> key -> value, nested as it is printed."""

    parts: dict[str, dict[str, dict]]


@dataclass(frozen=True)
class LawsTableSettings(Settings):
    """Table `laws`. runs: all trainings that the laws are fitted to."""

    laws: dict[str, LawSettings]
    labels: list[Label]
    runs: list[Run]


@dataclass(frozen=True)
class VersusSettings(Settings):
    """Table `versus_paper`.

    Attributes
    ----------
    counterparts : dict of str to Counterpart
        By the id of the published number.
    evaluations : dict of str to list of str
        Evaluation sets of each law.
    experiments : dict of str to list of ExperimentSettings
        Runs of each law with a top-1 or a cross-entropy that is compared.
    labels : list of Label
    """

    counterparts: dict[str, Counterpart]
    evaluations: dict[str, list[str]]
    experiments: dict[str, list[ExperimentSettings]]
    labels: list[Label]


def prompts_settings(study: Study) -> PromptsSettings:
    """Return the settings of table `prompts`: every recipe that does not use the texts of pairs."""
    recipes = [name for name, recipe in study.recipes.items() if recipe.kind != "pair_texts"]
    return PromptsSettings(part_of(study, "prompts", study.tables.prompts).each, recipes)


def configurations_settings(study: Study) -> ConfigurationsSettings:
    """Return the settings of table `configurations`."""
    table = part_of(study, "configurations", study.tables.configurations)
    curves = set(expand_curves(study.experiments[table.experiment].curves, study.sources))
    return ConfigurationsSettings(
        table.architecture,
        table.evaluations,
        experiment_settings(study, [table.experiment]),
        [label for label in table_labels(study) if (label.source, label.guidance) in curves],
        score_columns(study),
    )


def table_settings(study: Study, name: str) -> EvaluationTableSettings:
    """Return the settings of a table of metrics."""
    table = part_of(study, name, getattr(study.tables, name, None))
    return EvaluationTableSettings(table.evaluations, table_labels(study))


def laws_settings(study: Study) -> LawsTableSettings:
    """Return the settings of table `laws`."""
    part_of(study, "laws", study.tables.laws)
    laws = {law: law_settings(study, law) for law in study.laws}
    runs = training_runs(study, experiments_of_laws(study, list(study.laws)))
    return LawsTableSettings(laws, table_labels(study), runs)


def versus_settings(study: Study) -> VersusSettings:
    """Return the settings of table `versus_paper`."""
    experiments = {
        law: experiment_settings(study, study.laws[law].experiments) for law in level_laws(study)
    }
    evaluations = {law: study.laws[law].evaluation for law in versus_laws(study)}
    counterparts = part_of(study, "versus_paper", study.tables.versus_paper).counterparts
    return VersusSettings(counterparts, evaluations, experiments, table_labels(study))


def versus_laws(study: Study) -> list[str]:
    """Return the laws of the numbers that are compared with published ones, each once."""
    counterparts = part_of(study, "versus_paper", study.tables.versus_paper).counterparts.values()
    return list(dict.fromkeys(counterpart.law for counterpart in counterparts))


def level_laws(study: Study) -> list[str]:
    """Return the laws whose runs are compared with a published top-1 or cross-entropy."""
    counterparts = part_of(study, "versus_paper", study.tables.versus_paper).counterparts.values()
    return list(
        dict.fromkeys(
            counterpart.law for counterpart in counterparts if counterpart.size is not None
        )
    )


def hyperparameters_settings(study: Study) -> HyperparametersSettings:
    """Return the settings of table `hyperparameters`: all that generates, trains or scores."""
    part_of(study, "hyperparameters", study.tables.hyperparameters)
    parts = {"data": _dump(study.data.evaluation)}
    if study.data.kind == "files":
        parts["data"] |= _dump(study.data.training)
    else:
        for name in ("generator_training", "classifier_training"):
            parts["data"][name] = {"forms": getattr(study.data, name)}
    images = {
        "side": study.image_size,
        "channels": study.channels,
        "images in a shard": study.images_per_shard,
    }
    if study.storage.format != "png":
        images |= study.storage.model_dump()
    parts["images"] = {"all": images}
    parts["generators"] = _dump(study.generators)
    for name, recipe in (("classifiers", study.classifiers), ("clip", study.clip)):
        if recipe is not None:
            parts |= _training_parts(name, recipe)
    if study.clip:
        parts["clip: tasks"] = {
            name: task.model_dump(include={"evaluation", "templates"}) | {"texts": _texts(task)}
            for name, task in study.clip.tasks.items()
        }
    parts["scores"] = {"all": study.scores.model_dump()}
    return HyperparametersSettings(parts)


def _dump(models: dict) -> dict[str, dict]:
    return {name: model.model_dump() for name, model in models.items()}


def _training_parts(name: str, recipe) -> dict[str, dict[str, dict]]:
    """Return the parts of a training recipe. Epochs follow from iterations and batch size."""
    by_size = {
        f"{size} images": {
            "iterations": count,
            "epochs": round(count * recipe.batch_size / size, 1),
        }
        for size, count in recipe.iterations.items()
    }
    training = recipe.model_dump(exclude={"architectures", "iterations", "tasks", "runs_per_job"})
    return {
        f"{name}: architectures": _dump(recipe.architectures),
        f"{name}: training": {"all": training},
        f"{name}: training by size": by_size,
    }


def _texts(task) -> list[str]:
    """Return the texts that CLIP selects from in a task, each with the classes it stands for."""
    texts = []
    for text, classes in (task.classes or task.captions).items():
        names = ", ".join(map(str, classes)) if isinstance(classes, list) else classes
        texts.append(text if text == names else f"{text}: {names}")
    return texts
