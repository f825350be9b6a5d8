"""Prompt recipes: from a class to texts (paper, section on prompts; six names are the paper's,
`alt_texts` and the texts of the digits ours).

A recipe gives a pool of texts for each class. Image `index` of a source shows class `index mod C`
and takes text `(index // C) mod pool` of it: any prefix is balanced over the classes, and does not
change when more images are asked for.
"""

import zlib

import numpy as np
import pandas as pd


def alt_text(row: pd.Series, caption: str, index: int) -> str:
    """The text of a real image-text pair, which CLIP learns from: as on the web, not every text
    names what is in the image.

    row: name, description, hypernyms of the class. caption: of the image. index: of the image
    within its class.
    """
    return f"{row[('name', 'hypernyms', 'description')[index % 3]]}, {caption}"


def texts(recipe: dict, row: pd.Series, known: pd.DataFrame | None) -> list[str]:
    """The pool of one class.

    recipe: `kind` and `patterns` of the study's recipe. row: name, description, hypernyms of the
    class. known: what is known of the class beside the class table, for the kinds that use it:
    captions of its real training images (`caption`), their full texts (`prompt`), or texts that are
    ready (`text`).
    """
    name = row["name"]
    match recipe["kind"]:
        case "class_names":
            return [name]
        case "description":
            return [f"{name}, {row['description']}"]
        case "hypernyms":
            return [f"{name}, {row['hypernyms']}"]
        case "sentences":
            return [pattern.format(name=name) for pattern in recipe["patterns"]]
        case "clip_templates":
            import synscale.runtime.torch_setup  # noqa: F401

            from open_clip import OPENAI_IMAGENET_TEMPLATES

            return [template(name) for template in OPENAI_IMAGENET_TEMPLATES]
        case "captions" | "image_captions":
            return [f"{name}, {caption}" for caption in known["caption"]]
        case "alt_texts":
            return known["prompt"].tolist()
        case "word_to_sentence" | "texts":
            return known["text"].tolist()
    raise ValueError(f"unknown kind of recipe {recipe['kind']!r}")


def pool(recipe: dict, classes: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """All texts of a recipe: class_id, text_id, text. The order within a class is shuffled, by a
    seed made from the class name.

    classes: the class table. known: class_id and what `texts` makes use of: manifest of the real
    training images (caption, prompt), a model's captions (caption) or sentences (text), the user's
    texts (text).
    """
    rows, places = (
        [],
        known.groupby("class_id").indices,
    )  # looked up, for a million images of a thousand classes are not to be gone through for each
    for _, row in classes.iterrows():
        own = texts(recipe, row, known.iloc[places.get(row["class_id"], [])])
        if not own or not all(own):
            raise ValueError(
                f"recipe {recipe['recipe']!r} gives no text, or an empty one, for class {row['name']!r}"
            )
        order = np.random.default_rng(zlib.crc32(row["name"].encode())).permutation(len(own))
        rows += [(row["class_id"], text_id, own[i]) for text_id, i in enumerate(order)]
    return pd.DataFrame(rows, columns=["class_id", "text_id", "text"])


def prompts(pool: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    """Image (its index), class_id and prompt of the images `start` to `stop` (half-open).

    pool: as `pool` gives it; or the manifest of real pairs, of which image `index` has the text of
    pair `index`. Raises ValueError where pairs are missing: a shard would be made of fewer images,
    and pass for whole.
    """
    if "image" in pool:
        found = pool.loc[
            (pool["image"] >= start) & (pool["image"] < stop), ["image", "class_id", "prompt"]
        ]
        if found["image"].tolist() != list(range(start, stop)):
            raise ValueError(
                f"{len(found)} texts of real pairs where those of images {start} to {stop} are needed: make the shard of pairs again"
            )
        return found
    by_class = [group["text"].to_numpy() for _, group in pool.groupby("class_id", sort=True)]
    index = np.arange(start, stop)
    classes = index % len(by_class)
    text = [
        by_class[c][(i // len(by_class)) % len(by_class[c])]
        for i, c in zip(index, classes, strict=True)
    ]
    return pd.DataFrame({"image": index, "class_id": classes, "prompt": text})
