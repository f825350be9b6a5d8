"""Checks of figure `repetition`."""

from collections.abc import Iterator

from synscale.study.models import expand_curves

KEY = "figures.repetition"
FEWEST = 5  # pairs of sizes and epochs; as many as synscale/analysis/laws/repetition.py requires


def check_repetition(figures, sources, experiments, classifiers, clip) -> Iterator[str]:
    """Check that the runs of the figure differ in images and epochs, and in nothing else."""
    figure = figures.repetition
    if figure is None:
        return
    known = [name for name in figure.architectures if name in classifiers.architectures]
    for name in figure.architectures:
        if clip and name in clip.architectures:  # check_names reports unknown ones
            yield (
                f"{KEY}.architectures = {name!r}: a CLIP model (expected a classifier); "
                "remove it here"
            )
    if len(known) < len(figure.architectures):
        return
    rows = [classifiers.architectures[name] for name in known]
    equal = [row.model_dump(exclude={"label", "iterations_factor"}) for row in rows]
    for name, row in zip(known, equal, strict=True):
        if keys := [key for key in equal[0] | row if equal[0].get(key) != row.get(key)]:
            yield (
                f"{KEY}.architectures = {name!r}: differs from {known[0]} in {', '.join(keys)} "
                "(expected only iterations_factor); correct it, or remove it here"
            )
    curve = figure.source, figure.guidance
    pairs = {
        (row.iterations_factor or 1, size)
        for name in figure.experiments
        if name in experiments
        for architecture, row in zip(known, rows, strict=True)
        if architecture in experiments[name].architectures
        and curve in expand_curves(experiments[name].curves, sources)
        for size in experiments[name].sizes
    }
    if len(pairs) < FEWEST or len({factor for factor, _ in pairs}) < 2:
        yield (
            f"{KEY}: {len(pairs)} pairs of sizes and factors of iterations on {figure.source} "
            f"(expected {FEWEST} or more, with two factors); add architectures or sizes to its "
            "experiments, or remove the figure"
        )
