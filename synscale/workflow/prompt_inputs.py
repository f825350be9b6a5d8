"""Files that prompts are written from. Some belong to the user and are looked for on disk."""

from pathlib import Path

from synscale.prompts import text_files
from synscale.runtime.file_names import is_clutter
from synscale.study.models import Study
from synscale.workflow.paths import image_files, shard_index_files
from synscale.workflow.shards import real_sources
from synscale.workflow.targets import NotInStudy, suggestion


def local_model(study: Study, recipe: str) -> list[str]:
    """Return the weights and settings of a language model in a folder of the user.

    A model of the hub has none: its revision identifies it.
    """
    settings = study.recipes[recipe]
    if not hasattr(settings, "model"):
        where = f"studies/{study.name}.yaml: recipes.{recipe}"
        raise NotInStudy(f"{where}: uses no model (kind {settings.kind!r}); use another recipe")
    if not settings.is_folder:
        return []
    files = [path for path in sorted(Path(settings.model).iterdir()) if not is_clutter(path.name)]
    return [str(path) for path in files if path.suffix in (".safetensors", ".json")]


def captioned_tars(study: Study) -> list[str]:
    """Return the shards of the real training images."""
    return [tar for source in real_sources(study) for tar in image_files(study, source)]


def captioned_shard(study: Study, shard: str) -> str:
    """Return one shard of the real training images. Raise NotInStudy if there is no such shard."""
    tars = {Path(tar).stem: tar for tar in captioned_tars(study)}
    if shard not in tars:
        where = f"studies/{study.name}.yaml"
        raise NotInStudy(f"{where}: no shard {shard!r} of real images; {suggestion(shard, tars)}")
    return tars[shard]


def known_texts(study: Study, recipe: str) -> list[str]:
    """Return the files, other than the class table, that the prompts of a recipe come from.

    Parameters
    ----------
    study : Study
    recipe : str
        Name of the recipe.

    Raises
    ------
    NotInStudy
        If the recipe uses the texts of image-text pairs one by one and has no pool of prompts.
    """
    settings = study.recipes[recipe]
    match settings.kind:
        case "word_to_sentence":
            return [f"results/{study.name}/sentences/{recipe}.parquet"]
        case "image_captions":
            names = [Path(tar).stem for tar in captioned_tars(study)]
            return [f"results/{study.name}/captions/{recipe}/{name}.parquet" for name in names]
        case "texts":
            return text_files.files(settings)
        case "captions" | "alt_texts":
            sources = real_sources(study)
            return [path for source in sources for path in shard_index_files(study, source)]
        case "pair_texts":
            raise NotInStudy(
                f"studies/{study.name}.yaml: recipes.{recipe}: has no prompts file (its texts are "
                f"those of the pairs of {settings.source}); request the images of its sources"
            )
    return []
