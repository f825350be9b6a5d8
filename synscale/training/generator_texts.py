"""Texts that small text-to-image models are trained with, several for each image.

An image has its caption or the name of its class, and the other forms of prompts. Distinct texts
are kept once, because a data set of classes has few of them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from transformers import CLIPTokenizer

from synscale.data import shards
from synscale.data.datasets.registry import NO_CLASS
from synscale.prompts import recipes
from synscale.study.class_table import TEXTS
from synscale.study.models.generators import GeneratorTraining, LoraTraining
from synscale.study.models.recipes import ClassRecipe
from synscale.training import held_out
from synscale.training.image_sets import InMemoryImages
from synscale.workflow.settings.finetuning import FinetuningSettings
from synscale.workflow.settings.generation import GeneratorTrainingSettings

AT_ONCE = 10_000  # texts that are tokenized together


@dataclass(frozen=True)
class ImageTexts:
    """Texts of images.

    Parameters
    ----------
    texts : list of str
        Distinct texts. The first is empty: it replaces dropped ones.
    rows : Tensor, shape (N, K), int32
        Places in `texts` of the K texts of each image.
    """

    texts: list[str]
    rows: torch.Tensor

    @classmethod
    def of(cls, captions: "Iterator[list[str]] | list[list[str]]") -> "ImageTexts":
        """Return the texts of images, the same number for each."""
        places = {"": 0}
        rows = [[places.setdefault(text, len(places)) for text in texts] for texts in captions]
        return cls(list(places), torch.tensor(rows, dtype=torch.int32))

    def digest(self) -> str:
        """Return a hash of the texts of all images."""
        texts = hashlib.sha256("\n".join(self.texts).encode())
        return hashlib.sha256(texts.digest() + self.rows.numpy().tobytes()).hexdigest()


def tokens_of(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Return the tokens of texts, shape (N, L), int64; longer ones are cut.

    Parameters
    ----------
    tokenizer : CLIPTokenizer
    texts : list of str
    """
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    parts = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
    return torch.cat([tokenizer(part, **options).input_ids for part in parts])


def _forms(patterns: tuple[str, ...], kinds: tuple[str, ...]) -> list[ClassRecipe]:
    last = "sentences" if patterns else "class_names"
    values = [{"kind": kind, "patterns": list(patterns)} for kind in (*kinds, last)]
    return [ClassRecipe.model_validate(value) for value in values]


def composed_captions(
    manifest: pd.DataFrame, classes: pd.DataFrame, patterns: tuple[str, ...], seed: int
) -> list[list[str]]:
    """Return captions for each image of a class, so that the model sees every form of prompt.

    The captions of the images were composed of measurements. The texts are the caption with the
    class name, twice, and in the other forms of an alt text, the class name, description,
    hypernyms, a sentence and a CLIP template. The last two are drawn for each image.

    Parameters
    ----------
    manifest : DataFrame
        Manifest of the images: class_id and caption.
    classes : DataFrame
        The class table.
    patterns : tuple of str
        Sentence patterns.
    seed : int
    """
    random = np.random.default_rng(seed)
    forms = _forms(patterns, ("class_names", "description", "hypernyms", "clip_templates"))
    rows = {class_id: classes.iloc[class_id] for class_id in manifest["class_id"].unique()}
    options = {i: [recipes.texts(form, row, None) for form in forms] for i, row in rows.items()}
    captions = []
    for class_id, caption in zip(manifest["class_id"], manifest["caption"], strict=True):
        texts = [recipes.alt_text(rows[class_id], caption, index) for index in (0, 0, 1, 2)]
        texts += [pool[random.integers(len(pool))] for pool in options[class_id]]
        captions.append(texts)
    return captions


def file_captions(
    manifest: pd.DataFrame, classes: pd.DataFrame, patterns: tuple[str, ...], seed: int
) -> Iterator[list[str]]:
    """Yield the texts of each image of a data set in files.

    An image without a class has its text only. One with a class has the caption with and without
    the class name, or the name twice; and a text of each form of prompt that the class table
    allows. Parameters are those of `composed_captions`.
    """
    random = np.random.default_rng(seed)
    columns = [name for name in TEXTS if classes[name].fillna("").str.strip().all()]
    forms = _forms(patterns, ("class_names", *columns, "clip_templates"))
    options = [[recipes.texts(form, row, None) for form in forms] for _, row in classes.iterrows()]
    names = classes["name"].tolist()
    for class_id, caption in zip(manifest["class_id"], manifest["caption"], strict=True):
        if class_id == NO_CLASS:
            yield [caption]
            continue
        name = names[class_id]
        texts = [caption, f"{name}, {caption}"] if caption else [name, name]
        yield texts + [form[random.integers(len(form))] for form in options[class_id]]


def texts_of(
    settings: GeneratorTrainingSettings | FinetuningSettings,
    tars: list[str],
    classes: pd.DataFrame,
    seed: int,
) -> ImageTexts:
    """Return the texts of the images that a generator is trained on.

    Parameters
    ----------
    settings : GeneratorTrainingSettings or FinetuningSettings
        With the number of images and the sentence patterns.
    tars : list of str
        Shards of captioned images.
    classes : DataFrame
        The class table.
    seed : int
        Of the training.
    """
    columns = ["class_id", "caption", "prompt"]
    paths = map(shards.manifest_path, tars)
    manifest = pd.concat(pd.read_parquet(path, columns=columns) for path in paths)
    is_composed = (manifest["caption"] != manifest["prompt"]).any()
    captions_of = composed_captions if is_composed else file_captions
    captions = captions_of(manifest[: settings.images], classes, settings.patterns, seed)
    return ImageTexts.of(captions)


def draw_captions(
    rows: torch.Tensor,
    positions: torch.Tensor,
    recipe: GeneratorTraining | LoraTraining,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the number of a caption of each image, (B,); a dropped caption is 0.

    Parameters
    ----------
    rows : Tensor, shape (N, K)
        Numbers of the captions of every image.
    positions : Tensor, shape (B,)
        Positions of the images of a batch.
    recipe : GeneratorTraining or LoraTraining
        With the share of dropped captions.
    random : Generator
        On the CPU.
    """
    place = torch.randint(rows.shape[1], positions.shape, generator=random)
    is_dropped = torch.rand(positions.shape, generator=random) < recipe.caption_dropout
    return rows[positions, place].long().masked_fill(is_dropped, 0)


def named_held_out(
    evaluation: list[str], batch_size: int, classes: pd.DataFrame
) -> tuple[InMemoryImages, list[str]] | None:
    """Return held-out images and the names of their classes; None without an evaluation set.

    Parameters
    ----------
    evaluation : list of str
        Tar of the evaluation set, or nothing.
    batch_size : int
        Of the training.
    classes : DataFrame
        The class table.
    """
    if not evaluation:
        return None
    seen = held_out.read_evenly(evaluation[0], held_out.count_of(batch_size))
    return seen, [classes["name"][row] for row in seen.class_ids.tolist()]
