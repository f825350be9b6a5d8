"""The money that a plan has for the generation of one image."""

from synscale.planning.hardware import Hardware
from synscale.planning.summary import HOUR, cost
from synscale.study.models import Study
from synscale.workflow.shards import shard_names


def price_of_image(study: Study, source: str, guidance: float | None, machine: Hardware) -> float:
    """Return the price of a synthetic image, in the currency of the machine.

    That of the first shard at this guidance scale, over its images. Prompts, the training of a
    generator, and images that are thrown away are not in it.

    Parameters
    ----------
    study : Study
    source : str
    guidance : float or None
    machine : Hardware

    Raises
    ------
    PlanError
        If the machine has no speed for the generator.
    """
    shard = shard_names(study, source, 1, guidance)[0]
    job = cost(study, "generate", {"source": source, "shard": shard}, machine)
    price = machine.price_per_core_hour.value
    price += job.work.gpus * machine.price_per_gpu_hour.value
    return job.seconds / HOUR * price / job.work.images
