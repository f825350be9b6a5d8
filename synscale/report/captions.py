"""What the captions of the report say of a study: what is measured on, at which sizes, with how
many seeds.

Called by the captions themselves (report/*.rst), when the report is made: nothing here costs a run
anything.
"""

import json
import re
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

from synscale.study import csv_tables
from synscale.study.checks import figures
from synscale.study.models import CurveSelection, Study, expand_curves
from synscale.study.models.base import StrictModel
from synscale.study.models.figures import ExchangeFigure
from synscale.study.models.sources import Source
from synscale.workflow.runs import training_runs
from synscale.workflow.settings import digest
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.shards import is_real, real_sources

# How the keys end that name a law, an evaluation set or an experiment: `law`, `ood_laws`, ...
LAWS, SETS, EXPERIMENTS = (
    ("law", "laws"),
    ("evaluation", "evaluations"),
    ("experiment", "experiments"),
)

# How names are written that are more than words.
NAMES = {"clip": "CLIP", "ood": "OOD", "imagenet": "ImageNet", "laion": "LAION"}
NAMES |= {
    "stable diffusion": "Stable Diffusion",
    "deepfloyd if": "DeepFloyd IF",
    "amused": "aMUSEd",
}


class OutdatedError(ValueError):
    """Results that are not those of the study as it stands."""


class Facts(dict):
    """`about` by (study, figure or table, or None), for captions: they see the config and nothing
    else of the workflow.

    Found when a caption asks, so that no job pays for it; and it stays empty, so that Snakemake can
    take the digest of a config that holds it.
    """

    def __init__(self, studies: dict[str, Study]):
        super().__init__()
        self.studies = studies

    def __missing__(self, key: tuple[str, str | None]) -> SimpleNamespace:
        study, name = key
        return about(study, self.studies[study], name)


@cache
def paper_items() -> dict[str, dict[str, str]]:
    return {
        row["name"]: row for row in csv_tables.rows("data/paper_items.csv", "name", "paper_item")
    }


def label(kind: str, name: str) -> str:
    """How the report lists a figure or table; with its number in the paper where that is known."""
    number = paper_items()[name]["paper_item"]
    return f"{kind}: {words(name)}" + (f" ({number} of the paper)" if number else "")


def whole(study: Study) -> dict:
    """Every setting of a study: what its provenance is planned with."""
    return study.model_dump(mode="json")


def plain(text: str) -> str:
    """Text that reStructuredText leaves as it is, on one line: no markup, no directive, no link."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(text.split()))


def words(name: str) -> str:
    """A name of the study as a reader's words."""
    return re.sub(
        rf"\b({'|'.join(NAMES)})\b", lambda found: NAMES[found[0]], name.replace("_", " ")
    )


def series(texts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def span(numbers) -> str:
    """`40 to 4,096`, or the one number."""
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))


def counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def shown_sizes(
    study: Study, part: StrictModel, sizes: dict[tuple, set[int]]
) -> dict[tuple, set[int]]:
    """Return the sizes of those curves (law, source, guidance scale, architecture) that a figure or
    table shows.

    A part that names no curves shows all of its architecture.
    """
    found = set()
    real = [CurveSelection(source=name) for name in real_sources(study)]
    for _, own in figures.nested_models("", part):
        fields = {field: getattr(own, field) for field in type(own).model_fields}
        curves = [
            curve
            for value in fields.values()
            if isinstance(value, list)
            for curve in value
            if isinstance(curve, CurveSelection)
        ]
        if isinstance(own, ExchangeFigure):
            curves = [*real, *curves]
        laws = [fields["law"]] if "law" in fields else list(fields.get("laws") or [None])
        architectures = (
            [fields["architecture"]]
            if "architecture" in fields
            else fields.get("architectures", [])
        )
        found |= {
            (law, *pair, architecture)
            for law, pair, architecture in product(
                laws, expand_curves(curves, study.sources), architectures
            )
        }
    if found:
        return {curve: own for curve, own in sizes.items() if curve in found}
    architecture = getattr(part, "architecture", None)
    return {curve: own for curve, own in sizes.items() if architecture in (None, curve[-1])}


def trained_sizes(
    study: Study, laws: list[str], experiments: list[str], limited: bool = False
) -> dict[tuple, set[int]]:
    """Return the sizes of each curve (law, source, guidance scale, architecture), law None where
    `experiments` are given without a law.

    Parameters
    ----------
    study : Study
    laws, experiments : list of str
        The experiments of these laws, or else these experiments.
    limited : bool
        Whether to leave out the sizes that the law is not fitted to.
    """
    found: dict[tuple, set[int]] = {}
    for law in laws or [None]:
        low, high = study.laws[law].sizes if law and limited else (0, float("inf"))
        for run in training_runs(study, study.laws[law].experiments if law else experiments):
            if low <= run.size <= high:
                found.setdefault((law, run.source, run.guidance, run.architecture), set()).add(
                    run.size
                )
    return found


def kind_of(source: Source) -> str:
    """Return `real`, `synthetic` or the label of a mixture."""
    return (
        f'mixture "{source.label}"'
        if source.kind == "mixture"
        else "real"
        if is_real(source)
        else "synthetic"
    )


def names_of_curve(study: Study, curve: tuple) -> list[str]:
    """Return the names of a curve (law, source, guidance scale, architecture), from the shortest to
    the longest.
    """
    law, source, guidance, architecture = curve
    at_guidance = words(source) + ("" if guidance is None else f" at guidance {guidance:g}")
    complete = f"{at_guidance}, {words(architecture)}"
    return [
        kind_of(study.sources[source]),
        words(source),
        at_guidance,
        complete,
        f"{complete}, law {law}",
    ]


def by_curve(study: Study, sizes: dict[tuple, set[int]], unit: str) -> str:
    """Write the sizes of curves: `5 sizes, 30 to 480 images (real) and 6 sizes, 30 to 960 images
    (synthetic)`.

    Curves are named as far as their sizes differ.

    Parameters
    ----------
    study : Study
    sizes : dict
        (law, source, guidance scale, architecture) -> sizes.
    unit : str
        What sizes count, such as `images`.
    """
    groups: dict[tuple, list[tuple]] = {}
    for curve, own in sizes.items():
        groups.setdefault(tuple(sorted(own)), []).append(curve)
    texts = [f"{counted(len(own), 'size')}, {span(own)} {unit}" for own in groups]
    if len(groups) == 1:
        return texts[0]
    for level in range(5):
        names = [
            list(dict.fromkeys(names_of_curve(study, curve)[level] for curve in own))
            for own in groups.values()
        ]
        if sum(map(len, names)) == len({name for own in names for name in own}):
            break
    longest = max(names, key=len)
    names = [["all others"] if own is longest and len(own) > 3 else own for own in names]
    return series(
        [
            f"{text} ({series([plain(name) for name in own])})"
            for text, own in zip(texts, names, strict=True)
        ]
    )


def named(part: dict | list, keys: tuple[str, ...]) -> Iterator[str]:
    """Every name under a key with one of these endings, anywhere in a part of a study."""
    for key, value in part.items() if isinstance(part, dict) else ((None, item) for item in part):
        if key and key.endswith(keys) and value is not None:
            yield from [value] if isinstance(value, str) else value
        elif isinstance(value, (dict, list)):
            yield from named(value, keys)


def images(folder: str, name: str) -> str:
    """` (655 images)` where the set is made."""
    from pyarrow.parquet import read_metadata  # not while Snakemake plans

    manifest = Path(f"results/{folder}/data/{name}/00000.parquet")
    return f" ({counted(read_metadata(manifest).num_rows, 'image')})" if manifest.is_file() else ""


def measured_on(folder: str, study: Study, names: list[str]) -> str:
    """Evaluation sets with their numbers of images, then CLIP tasks by the set whose images they
    use.
    """
    tasks = {
        name: study.clip.tasks[name].evaluation
        for name in names
        if study.clip and name in study.clip.tasks
    }
    sets = [words(name) + images(folder, name) for name in names if name not in tasks]
    for own in dict.fromkeys(tasks.values()):
        sets.append(
            f"{series([words(name) for name in tasks if tasks[name] == own])} as tasks on {words(own)}{images(folder, own)}"
        )
    return series(sets) if not tasks else "; ".join(sets)


def check_current(folder: str, study: Study) -> None:
    """Stop where the study has been edited since its results were made: captions would tell of
    other sizes and seeds than are shown.
    """
    record = Path(f"provenance/{folder}.json")
    if record.is_file() and json.loads(record.read_text(encoding="utf-8"))["settings"] != digest(
        whole(study)
    ):
        raise OutdatedError(
            f"studies/{folder}.yaml: edited since its results were made: run snakemake, then snakemake --report"
        )


def about(folder: str, study: Study, name: str | None = None) -> SimpleNamespace:
    """Facts for the caption of one figure or table, or of the study (no name). What a caption asks
    for and is not there is an error.

    on: the sets that it measures on; sizes(unit), seeds: of the training runs behind it; fitted:
    the sizes that each curve's law is fitted to; part: its own settings.
    """
    check_current(folder, study)
    facts = SimpleNamespace(title=plain(study.title), scores=study.scores, words=words, plain=plain)
    facts.judged_on = measured_on(folder, study, [study.scores.evaluation])
    if name is None:
        facts.on = measured_on(folder, study, list(study.data.evaluation))
        facts.redrawn = series(
            [words(source) for source, row in study.sources.items() if getattr(row, "draws", 1) > 1]
        )
        return facts
    facts.part = figure_settings.part_of(study, name)
    part = facts.part.model_dump()
    laws = list(dict.fromkeys(named(part, LAWS)))
    own = list(dict.fromkeys(named(part, EXPERIMENTS)))
    laws = laws or ([] if own else list(study.laws))
    sets = [*named(part, SETS)] or [found for law in laws for found in study.laws[law].evaluation]
    experiments = [
        study.experiments[name] for name in own or figure_settings.experiments_of_laws(study, laws)
    ]
    seeds = {len(experiment.seeds) for experiment in experiments}
    trained = shown_sizes(study, facts.part, trained_sizes(study, laws, own))
    fitted = shown_sizes(study, facts.part, trained_sizes(study, laws, own, limited=True))
    facts.on = measured_on(folder, study, list(dict.fromkeys(sets)))
    facts.sizes = partial(by_curve, study, trained)
    facts.seeds = f"{span(seeds)} {'seed' if seeds == {1} else 'seeds'}"
    facts.largest = f"{max(size for sizes in trained.values() for size in sizes):,}"
    facts.fitted = by_curve(study, fitted, "images")
    return facts
