"""The plan of a smaller study: what halving its steps, iterations or sizes would save."""

from synscale.planning.hardware import Hardware
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.summary import Job, costs, row
from synscale.study.models import Study
from synscale.study.models.sources import Source


def _half(counts: dict) -> dict:
    return {key: max(1, count // 2) for key, count in counts.items()}


def half_steps(study: Study) -> Study:
    """Halve the sampling steps of each generator."""
    generators = {
        name: generator.model_copy(update={"steps": max(1, generator.steps // 2)})
        for name, generator in study.generators.items()
        if generator.kind != "finetuned"  # it is sampled in the steps of its base
    }
    return study.model_copy(update={"generators": study.generators | generators})


def half_iterations(study: Study) -> Study:
    """Halve the training iterations of each classifier and CLIP model."""
    recipes = {"classifiers": study.classifiers, "clip": study.clip}
    halved = {
        name: recipe and recipe.model_copy(update={"iterations": _half(recipe.iterations)})
        for name, recipe in recipes.items()
    }
    return study.model_copy(update=halved)


def half_sizes(study: Study) -> Study:
    """Halve the largest size of each experiment, and the synthetic images of each source."""
    sources: dict[str, Source] = {
        name: source.model_copy(update={"images": _half(source.images)})
        for name, source in study.sources.items()
        if source.kind == "synthetic"
    }
    sources |= {
        name: source.model_copy(update={"images": max(1, source.images // 2)})
        for name, source in study.sources.items()
        if source.kind == "selected"
    }
    experiments = {}
    for name, experiment in study.experiments.items():
        sizes = [size for size in experiment.sizes if size <= max(experiment.sizes) // 2]
        if len(experiment.sizes) > 1:
            experiment = experiment.model_copy(update={"sizes": sizes})
        experiments[name] = experiment
    return study.model_copy(update={"sources": study.sources | sources, "experiments": experiments})


VARIANTS = {
    "half the sampling steps": half_steps,
    "half the training iterations": half_iterations,
    "half the largest size": half_sizes,
}


def table(
    jobs: list[Job], studies: dict[str, Study], hardware: Hardware, sizes: ImageSizes | None = None
) -> list[dict]:
    """Return the total of each variant, as if the same jobs were left to do, each a smaller one.

    Parameters
    ----------
    jobs : list of Job
    studies : dict of str to Study
    hardware : Hardware
    sizes : ImageSizes or None
        Sizes of existing images, for disk; None estimates all of them.
    """
    to_run = [job for job in jobs if job.to_run]
    rows = []
    for name, halve in VARIANTS.items():
        smaller = {key: halve(study) for key, study in studies.items()}
        by_key = costs(to_run, smaller, hardware, sizes)
        remaining = [job for job in to_run if by_key[job.key].work.units]
        rows.append(row(name, remaining, by_key, hardware) | {"partition": ""})
    return rows
