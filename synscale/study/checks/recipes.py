"""Checks of prompt recipes."""

from collections.abc import Iterator
from pathlib import Path

from synscale.prompts import text_files
from synscale.study import class_table
from synscale.study.checks.messages import RELATIVE, name_errors, shorten, template_errors

FORMATS = (".csv", ".parquet")
# Columns of the class table that a kind of recipe reads.
COLUMNS = {
    "description": ["description"],
    "hypernyms": ["hypernyms"],
    "alt_texts": class_table.TEXTS,
}


def check_class_texts(recipes, classes) -> Iterator[str]:
    """Check that no text of a class is empty, as its prompt would end in a comma."""
    if class_table.errors("classes", classes, class_table.REQUIRED + class_table.TEXTS):
        return
    rows = class_table.rows(classes)
    for name, recipe in recipes.items():
        for column in COLUMNS.get(recipe.kind, []):
            empty = [row["class_id"] for row in rows if not row[column].strip()]
            if empty:
                yield (
                    f"recipes.{name}.kind = {recipe.kind!r}: {classes} has no {column} of "
                    f"{len(empty)} classes ({', '.join(empty[:5])}); add it, or remove the recipe"
                )


def check_patterns(recipes) -> Iterator[str]:
    """Check that only kind `sentences` has patterns, each with the class name once."""
    for name, recipe in recipes.items():
        patterns = getattr(recipe, "patterns", [])
        key = f"recipes.{name}.patterns"
        if (recipe.kind == "sentences") != bool(patterns):
            fix = "remove them" if patterns else "add patterns"
            yield (
                f"{key} = {shorten(patterns)}: kind 'sentences' needs patterns and "
                f"other kinds have none; {fix}"
            )
        yield from template_errors(key, patterns)


def check_captions(recipes, sources) -> Iterator[str]:
    """Check that captions of real images need a source of real images."""
    if any(source.kind == "real" for source in sources.values()):
        return
    for name, recipe in recipes.items():
        if recipe.kind == "image_captions":
            yield (
                f"recipes.{name}.kind = 'image_captions': captions are of real training images; "
                "add a source of kind 'real'"
            )


def has_captions(sources, data) -> bool:
    """Whether the real images of classes have captions: digits, or files with measured ones.

    Parameters
    ----------
    sources : dict of str to Source
    data
        Section of the study.
    """
    real = [source for source in sources.values() if source.kind == "real"]
    if data.kind != "files":
        return True
    rows = [data.training[source.data] for source in real if source.data in data.training]
    return bool(rows) and all(row.captions for row in rows)


def check_real_texts(recipes, sources, data) -> Iterator[str]:
    """Check that recipes from texts of real pairs have such pairs, and enough of them."""
    for name, recipe in recipes.items():
        key = f"recipes.{name}"
        if recipe.kind in ("captions", "alt_texts") and not has_captions(sources, data):
            yield (
                f"{key}.kind = {recipe.kind!r}: the real images have no captions; use kind "
                "image_captions or pair_texts, or add captions: measured to their training set"
            )
        if recipe.kind != "pair_texts":
            continue
        yield from name_errors(f"{key}.source", recipe.source, sources, "source")
        pairs = sources.get(recipe.source)
        if pairs is None:
            continue
        if pairs.kind != "pairs":
            fix = "name one of kind 'pairs'"
            yield f"{key}.source = {recipe.source!r}: a source of kind {pairs.kind!r}; {fix}"
            continue
        for other, source in sources.items():
            if source.kind != "synthetic" or source.recipe != name:
                continue
            most = max(source.images.values())
            if most > pairs.images:
                yield (
                    f"sources.{other}.images = {most}: more than the {pairs.images} texts of "
                    f"sources.{recipe.source}.images; lower the one or raise the other"
                )


def check_user_prompts(recipes) -> Iterator[str]:
    """Check that files and folders of the user's prompts exist and have the named split."""
    for name, recipe in recipes.items():
        if recipe.kind != "texts":
            continue
        key = f"recipes.{name}"
        if (recipe.file is None) == (recipe.dataset is None):
            yield f"{key}: give either file, a csv or parquet, or dataset, a folder"
        elif recipe.dataset is None:
            where = f"{key}.file = {recipe.file!r}"
            if not Path(recipe.file).is_file():
                yield f"{where}: no such file; {RELATIVE}"
            elif Path(recipe.file).suffix not in FORMATS:
                yield f"{where}: its name must end in one of {', '.join(FORMATS)}"
        elif not Path(recipe.dataset).is_dir():
            yield f"{key}.dataset = {recipe.dataset!r}: no such folder; {RELATIVE}"
        else:
            yield from _folder_errors(key, recipe)
        if recipe.file is not None and recipe.split is not None:
            yield f"{key}.split = {recipe.split!r}: a file has no splits; remove the key"
        if {"class_id", "name"} <= recipe.columns.keys():
            yield (
                f"{key}.columns = {recipe.columns}: class_id and name both identify the class; "
                "remove one"
            )


def _folder_errors(key: str, recipe) -> list[str]:
    try:
        text_files.files(recipe)
    except text_files.TextFilesError as error:
        field = "dataset" if recipe.split is None else "split"
        message = str(error).removeprefix(f"{recipe.dataset}: ")
        return [f"{key}.{field} = {getattr(recipe, field)!r}: {message}"]
    return []


def check_shared_shards(sources, recipes, images_per_shard) -> Iterator[str]:
    """Check that sources that share shards have shards of one size.

    A shard of synthetic images has the texts of the same shard of real pairs. Real sources of one
    split share its shards.
    """
    size = {
        name: getattr(source, "images_per_shard", None) or images_per_shard
        for name, source in sources.items()
    }
    first: dict[str, str] = {}  # first real source of each split
    for name, source in sources.items():
        if source.kind in ("real", "pairs"):
            other = first.setdefault(source.data, name)
        elif source.kind == "synthetic" and source.recipe in recipes:
            other = getattr(recipes[source.recipe], "source", name)
        else:
            continue
        if size.get(other, size[name]) != size[name]:
            yield (
                f"sources.{name}.images_per_shard = {size[name]}: must be the {size[other]} of "
                f"sources.{other}, whose shards it shares"
            )


CHECKS = [
    check_class_texts,
    check_patterns,
    check_captions,
    check_real_texts,
    check_user_prompts,
    check_shared_shards,
]
