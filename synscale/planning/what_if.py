"""The same plan of a smaller study: what halving its steps or its sizes would save."""

from synscale.planning.hardware import Hardware
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.summary import Job, costs, row
from synscale.study.models import Study


def half_steps(study: Study) -> Study:
    """Half the sampling steps of each generator."""
    return study.model_copy(
        update={
            "generators": {
                name: g.model_copy(update={"steps": max(1, g.steps // 2)})
                for name, g in study.generators.items()
            }
        }
    )


def half_iterations(study: Study) -> Study:
    """Half the training iterations of each classifier and CLIP model."""
    halved = {}
    for name in ("classifiers", "clip"):
        part = getattr(study, name)
        halved[name] = part and part.model_copy(
            update={
                "iterations": {size: max(1, count // 2) for size, count in part.iterations.items()}
            }
        )
    return study.model_copy(update=halved)


def half_sizes(study: Study) -> Study:
    """Half the largest size of each experiment, and half the synthetic images of each source."""
    sources = {}
    for name, source in study.sources.items():
        made = source.kind == "synthetic"
        sources[name] = (
            source.model_copy(
                update={"images": {scale: max(1, n // 2) for scale, n in source.images.items()}}
            )
            if made
            else source
        )
    experiments = {
        name: e.model_copy(
            update={"sizes": [size for size in e.sizes if size <= max(e.sizes) // 2]}
        )
        if len(e.sizes) > 1
        else e
        for name, e in study.experiments.items()
    }
    return study.model_copy(update={"sources": sources, "experiments": experiments})


VARIANTS = {
    "half the sampling steps": half_steps,
    "half the training iterations": half_iterations,
    "half the largest size": half_sizes,
}


def table(
    jobs: list[Job],
    studies: dict[str, Study],
    hardware: Hardware,
    sizes: ImageSizes | None = None,
) -> list[dict]:
    """Plan each variant: the total, as if the same jobs were left to do, each a smaller one.

    Parameters
    ----------
    jobs : list of Job
    studies : dict of Study
    hardware : Hardware
    sizes : ImageSizes or None
        Sizes of existing images, for disk; None estimates all of them.

    Returns
    -------
    list of dict
        A row for each variant.
    """
    ahead, rows = [job for job in jobs if job.to_run], []
    for name, smaller in VARIANTS.items():
        found = costs(ahead, {key: smaller(s) for key, s in studies.items()}, hardware, sizes)
        own = [job for job in ahead if found[job.key].work.units]
        rows.append(row(name, own, found, hardware) | {"partition": ""})
    return rows
