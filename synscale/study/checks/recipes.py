"""What must hold for prompt recipes that use a model or the user's own texts, beside what checks.py
looks at. Its contract is the same.
"""

from pathlib import Path

from synscale.prompts import text_files

TABLES = (".csv", ".parquet")


def captions_have_their_images(recipes, sources):
    real = any(source.kind == "real" for source in sources.values())
    captions = (
        []
        if real
        else [name for name, recipe in recipes.items() if recipe.kind == "image_captions"]
    )
    return [
        f"recipes.{name}.kind = 'image_captions': captions are of real training images; add a source of kind 'real'"
        for name in captions
    ]


def own_texts_are_there(recipes):
    faults = []
    for name, recipe in recipes.items():
        if recipe.kind != "texts":
            continue
        key = f"recipes.{name}"
        if (recipe.file is None) == (recipe.dataset is None):
            faults.append(f"{key}: give either file, a csv or parquet, or dataset, a folder")
        elif recipe.file is not None and not Path(recipe.file).is_file():
            faults.append(
                f"{key}.file = {recipe.file!r}: no such file; the path starts where snakemake does"
            )
        elif recipe.file is not None and Path(recipe.file).suffix not in TABLES:
            faults.append(
                f"{key}.file = {recipe.file!r}: its name must end in one of {', '.join(TABLES)}"
            )
        elif recipe.dataset is not None and not Path(recipe.dataset).is_dir():
            faults.append(
                f"{key}.dataset = {recipe.dataset!r}: no such folder; the path starts where snakemake does"
            )
        elif recipe.dataset is not None:
            faults += _folder_faults(key, recipe)
        if recipe.file is not None and recipe.split is not None:
            faults.append(f"{key}.split = {recipe.split!r}: a file has no splits; remove the key")
        if {"class_id", "name"} <= recipe.columns.keys():
            faults.append(
                f"{key}.columns = {recipe.columns}: class_id and name both tell the class; remove one"
            )
    return faults


def _folder_faults(key, recipe) -> list[str]:
    try:
        text_files.files(recipe)
    except text_files.TextFilesError as error:
        named = (
            f"{key}.split = {recipe.split!r}"
            if recipe.split is not None
            else f"{key}.dataset = {recipe.dataset!r}"
        )
        return [f"{named}: {str(error).removeprefix(f'{recipe.dataset}: ')}"]
    return []


def shards_of_pairs_agree(sources, recipes, images_per_shard):
    """A shard of synthetic images has the texts of the same shard of real pairs; sources of one
    split share its shards.
    """
    size = {
        name: getattr(source, "images_per_shard", None) or images_per_shard
        for name, source in sources.items()
    }
    shared = {}
    for name, source in sources.items():
        if source.kind in ("real", "pairs"):
            shared.setdefault(source.data, []).append(name)
    same = [(other, own[0]) for own in shared.values() for other in own[1:]]
    for name, source in sources.items():
        recipe = recipes.get(source.recipe) if source.kind == "synthetic" else None
        if recipe and recipe.kind == "pair_texts" and recipe.source in sources:
            same.append((name, recipe.source))
    return [
        f"sources.{name}.images_per_shard = {size[name]}: must be the {size[other]} of sources.{other}, whose shards it shares"
        for name, other in same
        if size[name] != size[other]
    ]


CHECKS = [captions_have_their_images, own_texts_are_there, shards_of_pairs_agree]
