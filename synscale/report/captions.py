"""Facts for the captions of the report: evaluation sets, sizes and seeds of a figure or table.

The captions (report/*.rst) ask for them when the report is written, so they cost no run anything.
"""

import json
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

from synscale.report import front_page
from synscale.report.caption_sizes import (
    by_curve,
    epochs,
    real_images_spent_text,
    shown_sizes,
    trained_sizes,
)
from synscale.report.imbalance import class_imbalance
from synscale.report.names import counted, display_name, escape_rst, join_words, span
from synscale.report.score_names import SCORES, score_name
from synscale.report.selections import selections
from synscale.report.starts import starts
from synscale.study import csv_tables
from synscale.study.models import Study
from synscale.workflow.settings.feature_scores import score_columns
from synscale.workflow.settings.figures import experiments_of_laws, part_of
from synscale.workflow.settings.provenance import provenance_settings

# Endings of the keys that name a law, an evaluation set or an experiment: `law`, `ood_laws`, ...
LAWS = ("law", "laws")
SETS = ("evaluation", "evaluations")
EXPERIMENTS = ("experiment", "experiments")


class OutdatedError(ValueError):
    """Results of an earlier version of the study."""


class CaptionFacts(dict):
    """`about` by (study, figure or table, or None), for captions, which see only the config.

    Found when a caption asks, so that no job pays for it; and it stays empty, so that Snakemake can
    take the digest of a config that has it.
    """

    def __init__(self, studies: dict[str, Study]):
        super().__init__()
        self.studies = studies

    def __missing__(self, key: tuple[str, str | None]) -> SimpleNamespace:
        study, name = key
        return about(study, self.studies[study], name)


@cache
def paper_items() -> dict[str, dict[str, str]]:
    """Return the rows of data/paper_items.csv by figure or table."""
    rows = csv_tables.rows("data/paper_items.csv", "name", "paper_item")
    return {row["name"]: row for row in rows}


def label(kind: str, name: str) -> str:
    """Return how the report lists a figure or table, with its number in the paper if known.

    Parameters
    ----------
    kind : str
        `figures` or `tables`.
    name : str
        Name of the figure or table.
    """
    number = paper_items()[name]["paper_item"]
    return f"{kind}: {display_name(name)}" + (f" ({number} of the paper)" if number else "")


def named(part: dict | list, keys: tuple[str, ...]) -> Iterator[str]:
    """Yield every name under a key with one of these endings, anywhere in a part of a study.

    Parameters
    ----------
    part : dict or list
        Part of a study.
    keys : tuple of str
        Endings of keys.
    """
    for key, value in part.items() if isinstance(part, dict) else ((None, item) for item in part):
        if key and key.endswith(keys) and value is not None:
            yield from [value] if isinstance(value, str) else value
        elif isinstance(value, (dict, list)):
            yield from named(value, keys)


def _images(folder: str, name: str) -> str:
    """Return ` (655 images)` if the evaluation set exists."""
    from pyarrow.parquet import read_metadata  # not while Snakemake plans

    manifest = Path(f"results/{folder}/data/{name}/00000.parquet")
    return f" ({counted(read_metadata(manifest).num_rows, 'image')})" if manifest.is_file() else ""


def measured_on(folder: str, study: Study, names: list[str]) -> str:
    """Return evaluation sets with their numbers of images, then CLIP tasks by evaluation set.

    Parameters
    ----------
    folder : str
        Folder of the study's results.
    study : Study
    names : list of str
        Evaluation sets and CLIP tasks.
    """
    all_tasks = study.clip.tasks if study.clip else {}
    tasks = {name: all_tasks[name].evaluation for name in names if name in all_tasks}
    sets = [display_name(name) + _images(folder, name) for name in names if name not in tasks]
    for evaluation in dict.fromkeys(tasks.values()):
        of_set = join_words([display_name(name) for name in tasks if tasks[name] == evaluation])
        name = display_name(evaluation)
        sets.append(f"{of_set} as tasks on {name}{_images(folder, evaluation)}")
    return "; ".join(sets) if tasks else join_words(sets)


def check_current(folder: str, study: Study) -> None:
    """Raise OutdatedError if the study has been edited since its results were written.

    Parameters
    ----------
    folder : str
        Folder of the study's results.
    study : Study

    Raises
    ------
    OutdatedError
        If the study has been edited since its results were written. Captions would state other
        sizes and seeds than are shown.
    """
    record = Path(f"provenance/{folder}.json")
    if not record.is_file():
        return
    digest = json.loads(record.read_text(encoding="utf-8"))["settings"]
    if digest != provenance_settings(study).digest():
        raise OutdatedError(
            f"studies/{folder}.yaml: edited since its results were written; "
            "run snakemake, then snakemake --report"
        )


def about(folder: str, study: Study, name: str | None = None) -> SimpleNamespace:
    """Return the facts for the caption of a figure or table, or of the study (no name).

    Parameters
    ----------
    folder : str
        Name of the study.
    study : Study
    name : str, optional

    Returns
    -------
    SimpleNamespace
        on: evaluation sets. sizes(unit), seeds: of the training runs behind it. fitted: the sizes
        that each curve's law is fitted to. epochs: of each size. starts: weights that architectures
        start from. part: its key in the study.
    """
    check_current(folder, study)
    facts = SimpleNamespace(
        title=escape_rst(study.title),
        scores=study.scores,
        measures=join_words([score_name(column) for column in score_columns(study)]),
        score_tests=len(SCORES) + len(score_columns(study)),
        display_name=display_name,
        escape_rst=escape_rst,
        scored_on=measured_on(folder, study, [study.scores.evaluation]),
    )
    if name is None:
        facts.on = measured_on(folder, study, list(study.data.evaluation))
        redrawn = [source for source, row in study.sources.items() if getattr(row, "draws", 1) > 1]
        facts.redrawn = join_words([display_name(source) for source in redrawn])
        facts.main_figure = partial(front_page.main_figure, folder, study)
        facts.claims = partial(front_page.claims, folder, study)
        return facts
    figure = getattr(study.figures, name, None)
    facts.part = part_of(study, name, figure or getattr(study.tables, name, None))
    part = facts.part.model_dump()
    laws = list(dict.fromkeys(named(part, LAWS)))
    experiments = list(dict.fromkeys(named(part, EXPERIMENTS)))
    laws = laws or ([] if experiments else list(study.laws))
    sets = list(named(part, SETS)) or [name for law in laws for name in study.laws[law].evaluation]
    trained_in = experiments or experiments_of_laws(study, laws)
    seeds = {len(study.experiments[experiment].seeds) for experiment in trained_in}
    trained = shown_sizes(study, facts.part, trained_sizes(study, laws, experiments))
    fitted = shown_sizes(study, facts.part, trained_sizes(study, laws, experiments, fitted=True))
    facts.on = measured_on(folder, study, list(dict.fromkeys(sets)))
    facts.sizes = partial(by_curve, study, trained)
    facts.seeds = f"{span(seeds)} {'seed' if seeds == {1} else 'seeds'}"
    facts.largest = f"{max(size for sizes in trained.values() for size in sizes):,}"
    facts.epochs = epochs(study, trained)
    facts.starts = starts(study, [architecture for *_, architecture in trained])
    facts.imbalance = class_imbalance(study, trained)
    facts.fitted = by_curve(study, fitted, "images")
    facts.selections = selections(study, part)
    facts.spent = real_images_spent_text(study, trained)
    return facts
