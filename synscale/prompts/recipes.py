"""Prompt recipes: from a class to texts (paper, section on prompts).

Six names are the paper's; `alt_texts` and the texts of the digits are our choice.

A recipe gives a pool of texts for each class. Image `index` of a source shows class `index mod C`
and takes text `(index // C) mod pool` of it: any prefix is balanced over the classes, and does not
change when more images are requested.
"""

import runpy
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from synscale.study.models.recipes import Recipe
from synscale.workflow.settings.prompts import PromptSettings


def alt_text(row: Mapping[str, str], caption: str, index: int) -> str:
    """Return the text of a real image-text pair, which CLIP learns from.

    As on the web, not every text names what is in the image.

    Parameters
    ----------
    row : Series
        name, description and hypernyms of the class.
    caption : str
        Caption of the image.
    index : int
        Index of the image within its class.
    """
    return f"{row[('name', 'hypernyms', 'description')[index % 3]]}, {caption}"


@cache
def openai_templates() -> tuple[Callable[[str], str], ...]:
    """Return open_clip's OPENAI_IMAGENET_TEMPLATES.

    Its file is run by itself: an import of the package takes eight seconds, most of them for torch.
    """
    spec = find_spec("open_clip")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).with_name("zero_shot_metadata.py")
    return runpy.run_path(str(file))["OPENAI_IMAGENET_TEMPLATES"]


def texts(recipe: Recipe, row: pd.Series, known: pd.DataFrame | None) -> list[str]:
    """Return the pool of one class.

    Parameters
    ----------
    recipe : Recipe
    row : Series
        name, description and hypernyms of the class.
    known : DataFrame or None
        Texts of the class that do not come from the class table: captions of its real training
        images (`caption`), their complete texts (`prompt`), or finished texts (`text`).
    """
    name = row["name"]
    known = pd.DataFrame() if known is None else known
    match recipe.kind:
        case "class_names":
            return [name]
        case "description":
            return [f"{name}, {row['description']}"]
        case "hypernyms":
            return [f"{name}, {row['hypernyms']}"]
        case "sentences":
            return [pattern.format(name=name) for pattern in recipe.patterns]
        case "clip_templates":
            return [template(name) for template in openai_templates()]
        case "captions" | "image_captions":
            return [f"{name}, {caption}" for caption in known["caption"]]
        case "alt_texts":
            return known["prompt"].tolist()
        case "word_to_sentence" | "texts":
            return known["text"].tolist()
    raise ValueError(f"recipe of kind {recipe.kind!r}: no texts of classes; use another kind")


def pool(settings: PromptSettings, classes: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return all texts of a recipe.

    The order within a class is shuffled, by a seed derived from the class name.

    Parameters
    ----------
    settings : PromptSettings
    classes : DataFrame
        The class table.
    known : DataFrame
        class_id, and the columns that `texts` uses.

    Returns
    -------
    DataFrame
        class_id, text_id, text.
    """
    # A million rows for a thousand classes: grouped once, not searched for each class.
    places = known.groupby("class_id").indices
    rows = []
    for _, row in classes.iterrows():
        class_id = row["class_id"]
        of_class = texts(settings.recipe, row, known.iloc[places.get(class_id, [])])
        if not of_class or not all(of_class):
            problem = f"no text, or an empty one, for class {row['name']!r}"
            raise ValueError(f"recipes.{settings.name}: {problem}")
        random = np.random.default_rng(zlib.crc32(row["name"].encode()))
        order = random.permutation(len(of_class))
        rows += [(class_id, text_id, of_class[i]) for text_id, i in enumerate(order)]
    return pd.DataFrame(rows, columns=["class_id", "text_id", "text"])


def prompts(pool: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    """Return the prompts of a range of images.

    Parameters
    ----------
    pool : DataFrame
        Result of the function `pool`; or the manifest of real pairs, and image `index` has the text
        of pair `index`.
    start, stop : int
        Half-open range of image indices.

    Returns
    -------
    DataFrame
        image (its index), class_id and prompt.

    Raises
    ------
    ValueError
        If pairs are missing: a shard would have fewer images, and pass for complete.
    """
    if "image" in pool:
        in_range = (pool["image"] >= start) & (pool["image"] < stop)
        rows = pool.loc[in_range, ["image", "class_id", "prompt"]]
        if rows["image"].tolist() != list(range(start, stop)):
            detail = f"{len(rows)} texts, expected those of images {start} to {stop}"
            raise ValueError(f"texts of real pairs are missing ({detail}); write their shard again")
        return rows
    by_class = [group["text"].to_numpy() for _, group in pool.groupby("class_id", sort=True)]
    index = np.arange(start, stop)
    class_ids: np.ndarray = index % len(by_class)
    turns: np.ndarray = index // len(by_class)
    of_image = zip(class_ids, turns, strict=True)
    text = [by_class[class_id][turn % len(by_class[class_id])] for class_id, turn in of_image]
    return pd.DataFrame({"image": index, "class_id": class_ids, "prompt": text})
