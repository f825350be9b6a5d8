"""Files that prompts are made from, for the rules: unlike those of jobs/, some are the user's and
are looked for on disk.
"""

from pathlib import Path

from synscale.prompts import text_files
from synscale.runtime.file_names import is_clutter
from synscale.study.models import Study
from synscale.workflow.paths import image_files, shard_index_files
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.shards import real_sources


def local_model(study_name: str, study: Study, wildcards) -> list[str]:
    """What makes a model in a folder of the user another one when it changes; of the hub's, the
    revision tells.
    """
    recipe = study.recipes.get(wildcards.recipe)
    if not hasattr(recipe, "model"):
        raise figure_settings.NotInStudy(
            f"studies/{study_name}.yaml has no recipe {wildcards.recipe!r} that uses a model"
        )
    if not recipe.is_folder:
        return []
    files = [path for path in sorted(Path(recipe.model).iterdir()) if not is_clutter(path.name)]
    return [str(path) for path in files if path.suffix in (".safetensors", ".json")]


def captioned(study_name: str, study: Study, wildcards) -> list[str]:
    """Tars of the real training images."""
    return [tar for source in real_sources(study) for tar in image_files(study, source)]


def captioned_shard(study_name: str, study: Study, wildcards) -> list[str]:
    """The one of them whose shard a target names."""
    tars = {Path(tar).stem: tar for tar in captioned(study_name, study, wildcards)}
    if wildcards.shard not in tars:
        raise figure_settings.NotInStudy(
            f"studies/{study_name}.yaml: its real training images have no shard {wildcards.shard!r}, only {', '.join(tars) or 'none'}"
        )
    return [tars[wildcards.shard]]


def known(study_name: str, study: Study, wildcards) -> list[str]:
    """What is known of the classes beside the class table."""
    recipe = study.recipes[wildcards.recipe]
    match recipe.kind:
        case "word_to_sentence":
            return [f"results/{study_name}/sentences/{wildcards.recipe}.parquet"]
        case "image_captions":
            shards = [Path(tar).stem for tar in captioned(study_name, study, wildcards)]
            return [
                f"results/{study_name}/captions/{wildcards.recipe}/{shard}.parquet"
                for shard in shards
            ]
        case "texts":
            return text_files.files(recipe)
        case "captions" | "alt_texts":
            return [
                own for source in real_sources(study) for own in shard_index_files(study, source)
            ]
        case "pair_texts":
            told = f"studies/{study_name}.yaml: recipes.{wildcards.recipe} has no prompts of its own, for its texts are those of the pairs of {recipe.source}"
            raise figure_settings.NotInStudy(told)
    return []
