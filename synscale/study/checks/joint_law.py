"""Checks of the joint law of real and synthetic images."""

from collections.abc import Iterator

from synscale.study.models.two_kinds import count_images, two_kinds

KEY = "figures.joint_law"
FEWEST = 7  # pairs of numbers; as many as synscale/analysis/laws/joint_points.py requires


def check_joint_law(figures, sources, experiments) -> Iterator[str]:
    """Check that mixtures of a joint law have the same two sources, and enough training sets."""
    figure = figures.joint_law
    if figure is None:
        return
    mixtures = [
        name
        for name in figure.mixtures
        if name in sources and sources[name].kind == "mixture"  # others: reported by check_names
    ]
    kinds = {name: two_kinds(sources, name) for name in mixtures}
    for name, pair in kinds.items():
        if pair is None:
            yield (
                f"{KEY}.mixtures = {name!r}: not a mixture of one real and one synthetic source "
                f"with equal weights; remove it here, or set the parts of sources.{name}"
            )
        elif pair != next(filter(None, kinds.values())):
            yield (
                f"{KEY}.mixtures = {name!r}: has other sources than {mixtures[0]!r}; remove one "
                "of them here"
            )
    pairs = set(kinds.values())
    if len(pairs) != 1 or None in pairs:
        return
    [pair] = pairs
    if figure.prices.synthetic == "auto" and sources[pair.synthetic].kind == "images":
        yield (
            f"{KEY}.prices.synthetic = 'auto': {pair.synthetic!r} was generated elsewhere, so the "
            "plan has no price for it; write a number"
        )
    rows = [experiments[name] for name in figure.experiments if name in experiments]
    numbers = count_images(sources, rows, figure.architecture, pair.curves(mixtures))
    trained = {(source, scale) for source, scale, _ in numbers}
    for source, scale in pair.curves(mixtures):
        if (source, scale) not in trained:
            where = source if scale is None else f"{source} at guidance {scale:g}"
            yield (
                f"{KEY}.experiments: none trains {figure.architecture} on {where}; add one that "
                "does"
            )
    count = len(set(numbers.values()))
    if count < FEWEST and len(trained) == len(pair.curves(mixtures)):
        yield (
            f"{KEY}: {count} different pairs of numbers of images (expected {FEWEST} or more); "
            "add sizes to its experiments, or remove the figure"
        )
