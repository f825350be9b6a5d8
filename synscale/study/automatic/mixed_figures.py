"""Keys of automatic figures of mixtures, of repeated images and of selected images."""

from synscale.study.automatic.contents import Contents
from synscale.study.models import expand_curves
from synscale.study.models.two_kinds import TwoKinds, two_kinds


def selection(study: Contents) -> dict | None:
    """Return the selected curves of the main law whose curves of all images are in it."""
    for law in study.laws_of(clip=False)[:1]:
        architecture = study.architectures(law)[0]
        fitted = {
            row["source"]: row.get("guidance", [None]) for row in study.curves(law, architecture)
        }
        curves = [
            {"source": name}
            for name, row in study.sources.items()
            if row.kind == "selected"
            and name in fitted
            and row.guidance in fitted.get(row.source, [])
        ]
        return {"law": law, "architecture": architecture, "curves": curves} if curves else None
    return None


def repetition(study: Contents) -> dict | None:
    """Return the first curve on which architectures with factors of iterations are trained."""
    rows = study.classifiers.architectures
    plain = {
        name: row.model_dump(exclude={"label", "iterations_factor"}) for name, row in rows.items()
    }
    first = next((name for name, row in rows.items() if row.iterations_factor), None)
    same = [name for name in rows if first and plain[name] == plain[first]]
    curves = {
        name: expand_curves(row.curves, study.sources)
        for name, row in study.experiments.items()
        if {*same} & {*row.architectures}
    }
    used = [name for name in curves if first in study.experiments[name].architectures]
    if len(same) < 2 or not used:
        return None
    curve = curves[used[0]][0]
    return {
        "experiments": [name for name in curves if curve in curves[name]],
        "architectures": same,
        "evaluation": study.evaluation,
        "source": curve[0],
        "guidance": curve[1],
    }


def joint_law(study: Contents) -> dict | None:
    """Return the two sources that most mixtures of classifiers have, and these mixtures."""
    trained = {
        name: expand_curves(row.curves, study.sources)
        for name, row in study.experiments.items()
        if row.architectures[0] in study.classifiers.architectures
    }
    used = {source for curves in trained.values() for source, _ in curves}
    groups: dict[TwoKinds, list[str]] = {}
    for name in study.sources:
        pair = two_kinds(study.sources, name) if name in used else None
        if pair and study.is_synthetic(pair.synthetic):
            groups.setdefault(pair, []).append(name)
    if not groups:
        return None
    pair, mixtures = max(groups.items(), key=lambda item: len(item[1]))
    first = next(name for name, curves in trained.items() if (mixtures[0], None) in curves)
    architecture = study.experiments[first].architectures[0]
    fitted = {name for law in study.laws.values() for name in law.experiments}
    experiments = [
        name
        for name, curves in trained.items()
        if architecture in study.experiments[name].architectures
        and set(curves)
        & set(pair.curves(mixtures) if name in fitted else pair.curves(mixtures)[2:])
    ]
    keys = {"experiments": experiments, "architecture": architecture, "mixtures": mixtures}
    return keys | {"evaluation": study.evaluation}
