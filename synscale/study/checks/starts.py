"""Checks of the weights that classifiers start from."""

from collections.abc import Iterator

from synscale.study.checks.selection import is_selected
from synscale.study.models import expand_curves


def check_starts(classifiers, experiments, sources) -> Iterator[str]:
    """Check that a run of a start is trained, and that there is something to train."""
    for name, row in classifiers.architectures.items():
        key = f"classifiers.architectures.{name}"
        if row.train == "head" and row.start is None:
            yield f"{key}.train = 'head': all other weights would stay random; add start"
        if row.train == "head" and row.drop_path:
            yield (
                f"{key}.drop_path = {row.drop_path}: no effect on weights that are not trained "
                "(train: head); remove the key"
            )
        run = row.start_run
        rows = experiments.values()
        if run and not any(_trains(experiment, run, sources) for experiment in rows):
            yield (
                f"{key}.start = {run.model_dump(exclude={'kind'})}: no experiment trains it; name "
                "a run of an experiment, or add its experiment"
            )


def _trains(experiment, run, sources) -> bool:
    return (
        (run.source, run.guidance) in expand_curves(experiment.curves, sources)
        and run.architecture in experiment.architectures
        and run.size in experiment.sizes
        and run.seed in experiment.seeds
    )


def check_selecting_starts(classifiers, scores, sources) -> Iterator[str]:
    """Check that the reference does not start from images that it selects."""
    architecture = getattr(scores.reference, "architecture", None)
    by_reference = [
        name for name, row in sources.items() if row.kind == "selected" and row.by != "clip_score"
    ]
    while by_reference and architecture in classifiers.architectures:
        run = classifiers.architectures[architecture].start_run
        if run and is_selected(run.source, sources):
            yield (
                f"classifiers.architectures.{architecture}.start.source = {run.source!r}: selected "
                f"images, so the model that selects sources.{by_reference[0]} (scores.reference) "
                "would depend on a selection; name a model of other images"
            )
        architecture = run and run.architecture


CHECKS = [check_starts, check_selecting_starts]
