"""Blocks of images, and the settings of the jobs that make them: real data, prompts, generators,
synthetic images.
"""

from pathlib import Path

from synscale.study.models import Study, names_class
from synscale.workflow import targets

LISTED = 200  # blocks
# Version of the code that samples released models. Increase it if the code generates other images
# from the same settings, so that no source mixes old and new ones. 2: `sampler` keeps the
# settings of the model's scheduler, and batches follow the lengths of prompts. 3: schedulers of
# float16 and bfloat16 models compute in float32, and aMUSEd draws its noise on the GPU.
PIPELINE_SAMPLING = 3


def _prefix(scale: float) -> str:
    return f"g{scale:g}-".replace(".", "_")


def images_per_block(study: Study, source: str) -> int:
    return getattr(study.sources[source], "images_per_block", None) or study.images_per_block


def last_blocks(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Name of the last block of each series that holds the first `images` image indices (all by
    default) of a source, at one guidance scale or at all.

    A block holds its range of indices at every scale, or (the study's `scales_per_block`) at one,
    which its name then tells: blocks of one scale are a series of their own.
    """
    row = study.sources[source]
    counts = (
        {None: row.images}
        if is_real(row)
        else {scale: n for scale, n in row.images.items() if guidance in (None, scale)}
    )
    apart = study.scales_per_block == "one" and not is_real(row)
    most = counts if apart else {None: max(counts.values())}
    size = images_per_block(study, source)
    return [
        f"{_prefix(scale) if apart else ''}{-(-min(images or count, count) // size) - 1:05d}"
        for scale, count in most.items()
    ]


def blocks_until(last: str) -> list[str]:
    """Names of the blocks of a series, from its first to `last`."""
    return [f"{last[:-5]}{number:05d}" for number in range(int(last[-5:]) + 1)]


def blocks(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Names of the blocks that `last_blocks` names the last of."""
    return [
        block
        for last in last_blocks(study, source, images, guidance)
        for block in blocks_until(last)
    ]


def _ranges(study: Study, source: str, block: str) -> dict[float, list[int]]:
    """The half-open range of image indices that a block holds at each guidance scale."""
    size = images_per_block(study, source)
    start = int(block[-5:]) * size
    held = {
        scale: n
        for scale, n in study.sources[source].images.items()
        if study.scales_per_block == "all" or block.startswith(_prefix(scale))
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
    return [f"{folder}/{block}.tar" for block in blocks(study, source, images, guidance)]


def list_files(
    study_name: str,
    study: Study,
    source: str,
    images: int | None = None,
    guidance: float | None = None,
) -> list[str]:
    """Lists of the blocks that hold the first images of a source, as `last_blocks` has them."""
    return [
        f"results/{study_name}/blocks/{source}/{last}.csv"
        for last in last_blocks(study, source, images, guidance)
    ]


def list_before(study_name: str, source: str, last: str) -> list[str]:
    """The list that a list of the blocks up to `last` goes on from, if any: each has `LISTED` rows
    of its own at most.

    So no block stands in the inputs of more than a few jobs, and no job has thousands of inputs:
    both would cost Snakemake's planning dear.
    """
    full = int(last[-5:]) // LISTED * LISTED
    return [f"results/{study_name}/blocks/{source}/{last[:-5]}{full - 1:05d}.csv"] if full else []


def listed_files(study_name: str, study: Study, source: str, last: str) -> list[str]:
    """Tar files of a source's blocks up to `last` that are not in the list before."""
    folder = _folder(study_name, study, source)
    return [
        f"{folder}/{block}.tar" for block in blocks_until(last)[int(last[-5:]) // LISTED * LISTED :]
    ]


def evaluation_file(study_name: str, name: str) -> str:
    """Tar of an evaluation set, which is one block."""
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
    that no block of them hangs on it.
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
    """Index that the blocks of a split are ranges of, where it is a data set in files."""
    return (
        [f"results/{study_name}/data/{split}/index.parquet"] if study.data.kind == "files" else []
    )


def _range(study: Study, split: str, block: str | int) -> list[int]:
    """Half-open range of images of a training split that a block holds."""
    size = next(
        images_per_block(study, name)
        for name, row in study.sources.items()
        if is_real(row) and split_of(row) == split
    )
    start = int(block) * size  # the checks let no two sources of a split differ
    return [start, min(wanted(study, split), start + size)]


def _file_settings(study: Study, split: str, block: str | int) -> dict:
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
        found["range"] = _range(study, split, block)
    # Images to evaluate on lose nothing more, whatever the study stores others as.
    return found | {
        "stored": stored
        | {
            "storage": study.storage.model_dump()
            if found["set"]["training"]
            else {"format": "png", "quality": None}
        }
    }


def data_settings(study: Study, split: str, block: str | int) -> dict:
    """`set`: what the split is made of. `range`: the half-open range of images that this block
    holds; None takes all in their order.

    Of digits: `balanced`: how many images, balanced over the classes in every prefix, the split
    must hold; `trained_on`: forms that the model behind an adversarial set learns from. Of files:
    `stored`: as `pictures.Stored` takes it.
    """
    if study.data.kind == "files":
        return _file_settings(study, split, block)
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
        settings["balanced"], settings["range"] = wanted(study, split), _range(study, split, block)
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


def prompts_file(study_name: str, study: Study, source: str, block: str) -> str:
    """What a block's images are told to show: a recipe's pool of texts, or the manifest of real
    pairs, whose texts are taken one by one.
    """
    recipe = study.sources[source].recipe
    if study.recipes[recipe].kind == "pair_texts":
        return f"results/{study_name}/data/{split_of(study.sources[study.recipes[recipe].source])}/{block[-5:]}.parquet"
    return f"results/{study_name}/prompts/{recipe}.parquet"


def pipeline_folder(study_name: str, study: Study, source: str) -> str:
    """Folder of the pipeline that a source is made with: trained by the workflow, or fetched."""
    generator = targets.synthetic(study, source).generator
    return f"results/{study_name}/{'models' if is_pretrained(study, source) else 'generators'}/{generator}"


def is_pretrained(study: Study, source: str) -> bool:
    return study.generators[study.sources[source].generator].kind == "pretrained"


def generation_settings(study: Study, source: str, block: str) -> dict:
    """`guidance` maps each guidance scale to the half-open range of image indices that this block
    makes at it.

    `stored`: where images are not kept as they come, their size, channels, format and quality.
    """
    row = study.sources[source]
    ranges = {f"{scale:g}": held for scale, held in _ranges(study, source, block).items()}
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
    """What decides over the images of a list's own blocks: settings of its first and last block,
    those between being like them; and of what they are made from.
    """
    own, row = (
        [Path(tar).stem for tar in listed_files("", study, source, last)],
        study.sources[source],
    )
    found = {"blocks": len(own), "data": _training_data(study)}
    if is_real(row):
        return found | {
            "ends": [data_settings(study, split_of(row), block) for block in (own[0], own[-1])]
        }
    weights = (fetch_settings if is_pretrained(study, source) else generator_settings)(
        study, row.generator
    )
    texts = study.recipes[row.recipe]
    pairs = list_settings(study, texts.source, last[-5:]) if texts.kind == "pair_texts" else None
    ends = [generation_settings(study, source, block) for block in (own[0], own[-1])]
    return found | {
        "ends": ends,
        "weights": weights,
        "prompts": prompt_settings(study, row.recipe),
        "pairs": pairs,
        "classes": study.classes,
    }
