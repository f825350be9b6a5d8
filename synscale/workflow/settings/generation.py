"""Settings of the jobs that train or fetch generators, generate images and flag them."""

from synscale.study.models import Study
from synscale.workflow import targets
from synscale.workflow.shards import guidance_ranges

# Version of the code that samples released models. Increase it if the code generates other images
# from the same settings, so that no source mixes old and new ones. 2: `sampler` keeps the
# settings of the model's scheduler, and batches follow the lengths of prompts. 3: schedulers of
# float16 and bfloat16 models compute in float32, and aMUSEd draws its noise on the GPU.
PIPELINE_SAMPLING = 3


def generator_settings(study: Study, generator: str) -> dict:
    """What a generator is trained with; how it is sampled afterwards is not part of it."""
    settings = targets.generator(study, generator, released=False).model_dump(
        exclude={"steps", "sampler", "temperature"}
    )
    patterns = [
        pattern
        for recipe in study.recipes.values()
        if recipe.kind == "sentences"
        for pattern in recipe.patterns
    ]
    return settings | {
        "image_size": study.image_size,
        "channels_in": study.channels,
        "patterns": patterns,
    }


FILES = {"model", "revision", "variant"}  # which weights of others


def fetch_settings(study: Study, generator: str) -> dict:
    """Which weights of others a generator has; how it is sampled is not part of it."""
    return targets.generator(study, generator, released=True).model_dump(
        include=dict.fromkeys(FILES, True) | {"upscaler": FILES}
    )


def checker_settings(study: Study) -> dict:
    """Which safety checker the study has. Raises NotInStudy where it has none."""
    if study.safety_checker is None:
        raise targets.NotInStudy(
            f"{study.title}: the study has no safety checker: add safety_checker, with model and revision, to its file"
        )
    return study.safety_checker.model_dump(include=FILES)


def flag_settings(study: Study, source: str) -> dict:
    """Whose images are flagged, and how."""
    return {
        "source": source,
        "checker": checker_settings(study),
        "batch_size": study.safety_checker.batch_size,
    }


def generation_settings(study: Study, source: str, shard: str) -> dict:
    """`guidance` maps each guidance scale to the half-open range of image indices that this shard
    makes at it.

    `stored`: where images are not kept as they come, their size, channels, format and quality.
    """
    row = study.sources[source]
    ranges = {f"{scale:g}": held for scale, held in guidance_ranges(study, source, shard).items()}
    generator = study.generators[row.generator]
    pretrained = generator.kind == "pretrained"
    sampling = (
        generator.model_dump()
        if pretrained
        else generator.model_dump(include={"kind", "steps", "sampler", "temperature"})
    )
    settings = {
        "source": source,
        "generator": row.generator,
        "recipe": row.recipe,
        "guidance": ranges,
        "sampling": sampling,
    }
    if pretrained:
        settings["version"] = PIPELINE_SAMPLING
    if pretrained or study.storage.format != "png":
        settings["stored"] = {
            "image_size": study.image_size,
            "channels": study.channels,
        } | study.storage.model_dump()
    return settings
