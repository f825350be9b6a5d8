"""Prompt recipes: from class names, by a language model, from captions, or the user's prompts."""

from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import (
    ROUNDING_ONLY,
    AboveZero,
    HubModel,
    Name,
    Positive,
    StrictModel,
)


class ClassRecipe(StrictModel):
    """Prompts from the class table or from texts of the real training images.

    These are the kinds of the paper and `alt_texts`, the texts of the real image-text pairs. An alt
    text need not name the class, so its images are for CLIP only.
    """

    kind: Literal[
        "class_names",
        "description",
        "hypernyms",
        "sentences",
        "clip_templates",
        "captions",
        "alt_texts",
    ] = Field(description="texts that the prompts are written from")
    patterns: list[str] = Field(
        default=[], description="sentences with {name} in them, of kind `sentences`"
    )


class ModelRecipe(HubModel):
    """Prompts by a model that transformers reads."""

    batch_size: Positive = Field(
        default=64, description="texts or images at a time", json_schema_extra=ROUNDING_ONLY
    )


class WordToSentence(ModelRecipe):
    """Sentences that a T5 writes about the class name.

    This is the paper's Word2Sen (He et al., arXiv 2210.07574, 200 unique sentences a class).
    """

    kind: Literal["word_to_sentence"]
    texts: Positive = Field(description="unique sentences of each class")
    seed: int = Field(default=0, description="seed of the sentences")
    max_tokens: Positive = Field(
        default=20, description="largest length of a sentence in tokens; 20 as in keytotext"
    )
    temperature: AboveZero = Field(default=1.0, description="temperature of sampling")
    top_k: Positive = Field(
        default=50, description="number of likeliest tokens to draw from; 50 as in keytotext"
    )
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="probability of the likeliest tokens to draw from"
    )
    draws: Positive = Field(
        default=10,
        description="largest number of draws for each sentence; a class that has too few "
        "sentences by then is an error",
    )


class ImageCaptions(ModelRecipe):
    """Captions of the real training images by a BLIP-2, each joined with its class name.

    These are the paper's IN-Captions.
    """

    kind: Literal["image_captions"]
    prompt: str = Field(default="", description="start of the caption, not part of the result")
    max_tokens: Positive = Field(default=30, description="largest length of a caption in tokens")
    min_tokens: Annotated[int, Field(ge=0)] = Field(
        default=0, description="smallest length of a caption in tokens; 1 allows no empty caption"
    )


class UserPrompts(StrictModel):
    """Prompts of the user: a csv or parquet file, or the folder of a data set.

    A folder has parquet files, or was saved to disk by Hugging Face datasets.
    """

    kind: Literal["texts"]
    file: str | None = Field(default=None, description="csv or parquet file")
    dataset: str | None = Field(
        default=None,
        description="folder of parquet or arrow files, or a data set that Hugging Face datasets "
        "saved to disk",
    )
    split: str | None = Field(
        default=None,
        description="split of the folder, such as train, or all; required if it has several",
    )
    columns: dict[Literal["class_id", "name", "text"], str] = Field(
        default={},
        description="column names for text, and class_id or name (of the class), if they differ",
    )


class PairTexts(StrictModel):
    """Texts of the real pairs: image i has the text of real pair i. For CLIP only.

    These are the paper's synthetic images from captions of LAION.
    """

    kind: Literal["pair_texts"]
    source: Name = Field(description="source of kind pairs")


Recipe = Annotated[
    ClassRecipe | WordToSentence | ImageCaptions | UserPrompts | PairTexts,
    Field(discriminator="kind"),
]
