"""Settings of the jobs that read real images."""

from synscale.study.models import Study
from synscale.workflow.shards import images_needed, images_per_shard, is_pairs, is_real, split_of


def index_settings(study: Study, split: str) -> dict:
    """Which data set a split is, and how it is put into order; not how much of it the study uses,
    so that it may use more later.
    """
    training = split in study.data.training
    chosen = (study.data.training if training else study.data.evaluation)[split]
    return {
        "name": chosen.dataset,
        "pairs": is_pairs(study, split),
        "training": training,
        "skip": getattr(chosen, "skip", None),
    }


def _range(study: Study, split: str, shard: str | int) -> list[int]:
    """Half-open range of images of a training split that a shard holds."""
    size = next(
        images_per_shard(study, name)
        for name, row in study.sources.items()
        if is_real(row) and split_of(row) == split
    )
    start = int(shard) * size  # the checks let no two sources of a split differ
    return [start, min(images_needed(study, split), start + size)]


def _file_settings(study: Study, split: str, shard: str | int) -> dict:
    found = {
        "kind": "files",
        "set": {"kind": "files"} | index_settings(study, split),
        "range": None,
    }
    stored = {
        "size": study.image_size,
        "channels": study.channels,
        "evaluation": not found["set"]["training"],
    }
    if found["set"]["training"]:
        found["range"] = _range(study, split, shard)
    # Images to evaluate on lose nothing more, whatever the study stores others as.
    return found | {
        "stored": stored
        | {
            "storage": study.storage.model_dump()
            if found["set"]["training"]
            else {"format": "png", "quality": None}
        }
    }


def data_settings(study: Study, split: str, shard: str | int) -> dict:
    """`set`: what the split is made of. `range`: the half-open range of images that this shard
    holds; None takes all in their order.

    Of digits: `balanced`: how many images, balanced over the classes in every prefix, the split
    must hold; `trained_on`: forms that the model behind an adversarial set learns from. Of files:
    `stored`: as `pictures.Stored` takes it.
    """
    if study.data.kind == "files":
        return _file_settings(study, split, shard)
    settings = {"kind": study.data.kind, "balanced": None, "range": None}
    if split in study.data.evaluation:
        chosen = study.data.evaluation[split].model_dump()
        return settings | {
            "set": chosen,
            "trained_on": study.data.generator_training
            if chosen["kind"] == "adversarial"
            else None,
        }
    settings["set"] = {"kind": "writers", "forms": getattr(study.data, split)}
    if split == "classifier_training":
        settings["balanced"], settings["range"] = (
            images_needed(study, split),
            _range(study, split, shard),
        )
    return settings


def training_data(study: Study) -> list[dict]:
    """What prompts are taken from and generators are trained on."""
    if study.data.kind == "files":
        return [index_settings(study, split) for split in study.data.training]
    return [
        data_settings(study, split, 0)["set"]
        for split in ("classifier_training", "generator_training")
    ]
