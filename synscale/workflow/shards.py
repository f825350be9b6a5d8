"""Shards of images, and the settings of the jobs that make them: real data, prompts, generators,
synthetic images.
"""

from pathlib import Path

from synscale.study.models import Study, names_class
from synscale.workflow import targets

LISTED = 200  # shards
# Version of the code that samples released models. Increase it if the code generates other images
# from the same settings, so that no source mixes old and new ones. 2: `sampler` keeps the
# settings of the model's scheduler, and batches follow the lengths of prompts. 3: schedulers of
# float16 and bfloat16 models compute in float32, and aMUSEd draws its noise on the GPU.
PIPELINE_SAMPLING = 3


def _prefix(scale: float) -> str:
    return f"g{scale:g}-".replace(".", "_")


def images_per_shard(study: Study, source: str) -> int:
    return getattr(study.sources[source], "images_per_shard", None) or study.images_per_shard


def last_shards(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Name of the last shard of each series that holds the first `images` image indices (all by
    default) of a source, at one guidance scale or at all.

    A shard holds its range of indices at every scale, or (the study's `guidance_per_shard`) at one,
    which its name then tells: shards of one scale are a series of their own.
    """
    row = study.sources[source]
    counts = (
        {None: row.images}
        if is_real(row)
        else {scale: n for scale, n in row.images.items() if guidance in (None, scale)}
    )
    apart = study.guidance_per_shard == "one" and not is_real(row)
    most = counts if apart else {None: max(counts.values())}
    size = images_per_shard(study, source)
    return [
        f"{_prefix(scale) if apart else ''}{-(-min(images or count, count) // size) - 1:05d}"
        for scale, count in most.items()
    ]


def shards_until(last: str) -> list[str]:
    """Names of the shards of a series, from its first to `last`."""
    return [f"{last[:-5]}{number:05d}" for number in range(int(last[-5:]) + 1)]


def shards(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Names of the shards that `last_shards` names the last of."""
    return [
        shard
        for last in last_shards(study, source, images, guidance)
        for shard in shards_until(last)
    ]


def _ranges(study: Study, source: str, shard: str) -> dict[float, list[int]]:
    """The half-open range of image indices that a shard holds at each guidance scale."""
    size = images_per_shard(study, source)
    start = int(shard[-5:]) * size
    held = {
        scale: n
        for scale, n in study.sources[source].images.items()
        if study.guidance_per_shard == "all" or shard.startswith(_prefix(scale))
    }
    return {
        scale: [start, min(start + size, count)] for scale, count in held.items() if count > start
    }


def is_real(source) -> bool:
    """Whether the images of a row of the study's sources come from its data, with classes (`real`)
    or with texts of their own (`pairs`).
    """
    return source.kind in ("real", "pairs")


def split_of(source) -> str:
    """Training split of the study's data that a source of real images is made of."""
    return source.data or "classifier_training"


def _folder(study_name: str, study: Study, source: str) -> str:
    row = study.sources[source]
    return f"results/{study_name}/" + (
        f"data/{split_of(row)}" if is_real(row) else f"images/{source}"
    )


def image_files(
    study_name: str,
    study: Study,
    source: str,
    images: int | None = None,
    guidance: float | None = None,
) -> list[str]:
    """Tar files of the first images of a source at one guidance scale or at all, in order; the
    manifest of each stands beside it as .parquet.
    """
    folder = _folder(study_name, study, source)
    return [f"{folder}/{shard}.tar" for shard in shards(study, source, images, guidance)]


def list_files(
    study_name: str,
    study: Study,
    source: str,
    images: int | None = None,
    guidance: float | None = None,
) -> list[str]:
    """Lists of the shards that hold the first images of a source, as `last_shards` has them."""
    return [
        f"results/{study_name}/shard_index/{source}/{last}.csv"
        for last in last_shards(study, source, images, guidance)
    ]


def list_before(study_name: str, source: str, last: str) -> list[str]:
    """The list that a list of the shards up to `last` goes on from, if any: each has `LISTED` rows
    of its own at most.

    So no shard stands in the inputs of more than a few jobs, and no job has thousands of inputs:
    both would cost Snakemake's planning dear.
    """
    full = int(last[-5:]) // LISTED * LISTED
    return (
        [f"results/{study_name}/shard_index/{source}/{last[:-5]}{full - 1:05d}.csv"] if full else []
    )


def listed_files(study_name: str, study: Study, source: str, last: str) -> list[str]:
    """Tar files of a source's shards up to `last` that are not in the list before."""
    folder = _folder(study_name, study, source)
    return [
        f"{folder}/{shard}.tar" for shard in shards_until(last)[int(last[-5:]) // LISTED * LISTED :]
    ]


def evaluation_file(study_name: str, name: str) -> str:
    """Tar of an evaluation set, which is one shard."""
    return f"results/{study_name}/data/{name}/00000.tar"


def real_sources(study: Study) -> list[str]:
    """The source of real images: one, for the checks let no second one pass."""
    return [name for name, source in study.sources.items() if source.kind == "real"]


def synthetic_sources(
    study: Study, generators: list[str] | None = None, recipes: list[str] | None = None
) -> list[str]:
    """Those whose images show a named class."""
    return [
        name
        for name, source in study.sources.items()
        if source.kind == "synthetic"
        and names_class(source, study.recipes)
        and (generators is None or source.generator in generators)
        and (recipes is None or source.recipe in recipes)
    ]


def is_pairs(study: Study, split: str) -> bool:
    """Whether a training split has texts of its own and no classes."""
    return any(source.kind == "pairs" and source.data == split for source in study.sources.values())


def wanted(study: Study, split: str) -> int:
    """How many images of a training split the study uses."""
    return max(
        (
            source.images
            for source in study.sources.values()
            if is_real(source) and split_of(source) == split
        ),
        default=0,
    )


def classes_file(study: Study, split: str) -> str | None:
    """CSV of the classes of a split: the study's, or an evaluation set's own. Pairs have none, so
    that no shard of them hangs on it.
    """
    if is_pairs(study, split):
        return None
    return getattr(study.data.evaluation.get(split), "classes", None) or study.classes


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


def index_files(study_name: str, study: Study, split: str) -> list[str]:
    """Index that the shards of a split are ranges of, where it is a data set in files."""
    return (
        [f"results/{study_name}/data/{split}/index.parquet"] if study.data.kind == "files" else []
    )


def _range(study: Study, split: str, shard: str | int) -> list[int]:
    """Half-open range of images of a training split that a shard holds."""
    size = next(
        images_per_shard(study, name)
        for name, row in study.sources.items()
        if is_real(row) and split_of(row) == split
    )
    start = int(shard) * size  # the checks let no two sources of a split differ
    return [start, min(wanted(study, split), start + size)]


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
        settings["balanced"], settings["range"] = wanted(study, split), _range(study, split, shard)
    return settings


def prompt_settings(study: Study, recipe: str) -> dict:
    return {"recipe": recipe} | study.recipes[recipe].model_dump()


def model_settings(study: Study, recipe: str) -> dict:
    return study.recipes[recipe].model_dump(include={"model", "revision"})


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


def prompts_file(study_name: str, study: Study, source: str, shard: str) -> str:
    """What a shard's images are told to show: a recipe's pool of texts, or the manifest of real
    pairs, whose texts are taken one by one.
    """
    recipe = study.sources[source].recipe
    if study.recipes[recipe].kind == "pair_texts":
        return f"results/{study_name}/data/{split_of(study.sources[study.recipes[recipe].source])}/{shard[-5:]}.parquet"
    return f"results/{study_name}/prompts/{recipe}.parquet"


def pipeline_folder(study_name: str, study: Study, source: str) -> str:
    """Folder of the pipeline that a source is made with: trained by the workflow, or fetched."""
    generator = targets.synthetic(study, source).generator
    return f"results/{study_name}/{'models' if is_pretrained(study, source) else 'generators'}/{generator}"


def is_pretrained(study: Study, source: str) -> bool:
    return study.generators[study.sources[source].generator].kind == "pretrained"


def generation_settings(study: Study, source: str, shard: str) -> dict:
    """`guidance` maps each guidance scale to the half-open range of image indices that this shard
    makes at it.

    `stored`: where images are not kept as they come, their size, channels, format and quality.
    """
    row = study.sources[source]
    ranges = {f"{scale:g}": held for scale, held in _ranges(study, source, shard).items()}
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


def _training_data(study: Study) -> list[dict]:
    """What prompts are taken from and generators are trained on."""
    if study.data.kind == "files":
        return [index_settings(study, split) for split in study.data.training]
    return [
        data_settings(study, split, 0)["set"]
        for split in ("classifier_training", "generator_training")
    ]


def list_settings(study: Study, source: str, last: str) -> dict:
    """What decides over the images of a list's own shards: settings of its first and last shard,
    those between being like them; and of what they are made from.
    """
    own, row = (
        [Path(tar).stem for tar in listed_files("", study, source, last)],
        study.sources[source],
    )
    found = {"shards": len(own), "data": _training_data(study)}
    if is_real(row):
        return found | {
            "ends": [data_settings(study, split_of(row), shard) for shard in (own[0], own[-1])]
        }
    weights = (fetch_settings if is_pretrained(study, source) else generator_settings)(
        study, row.generator
    )
    texts = study.recipes[row.recipe]
    pairs = list_settings(study, texts.source, last[-5:]) if texts.kind == "pair_texts" else None
    ends = [generation_settings(study, source, shard) for shard in (own[0], own[-1])]
    return found | {
        "ends": ends,
        "weights": weights,
        "prompts": prompt_settings(study, row.recipe),
        "pairs": pairs,
        "classes": study.classes,
    }
