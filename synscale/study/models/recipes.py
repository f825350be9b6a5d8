"""Prompt recipes of a study: from class names alone, by a language model, by captions of images, or
the user's own texts.
"""

from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import ROUNDING_ONLY, HubModel, Name, Positive, StrictModel


class ClassRecipe(StrictModel):
    """Made from the class table or from what the real training images bring: the kinds of the
    paper, and `alt_texts`, the texts of the real image-text pairs.

    An alt text need not name the class, so its images are for CLIP alone.
    """

    kind: Literal[
        "class_names",
        "description",
        "hypernyms",
        "sentences",
        "clip_templates",
        "captions",
        "alt_texts",
    ]
    patterns: list[str] = Field(default=[], description="for `sentences`: each with {name} in it")


class ModelRecipe(HubModel):
    """Made by a model that transformers reads."""

    batch_size: Positive = Field(
        default=64, description="texts or images at a time", json_schema_extra=ROUNDING_ONLY
    )


class WordToSentence(ModelRecipe):
    """Sentences that a T5 writes about the class name (the paper's Word2Sen; He et al., arXiv
    2210.07574, 200 unique ones a class).
    """

    kind: Literal["word_to_sentence"]
    texts: Positive = Field(description="unique sentences of a class")
    seed: int = 0
    max_tokens: Positive = Field(
        default=20, description="of a sentence; 20 is what keytotext leaves it at"
    )
    temperature: float = Field(default=1.0, gt=0)
    top_k: Positive = Field(
        default=50,
        description="likeliest tokens that one is drawn from; 50 is what keytotext leaves it at",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="of those, the likeliest that together have this probability",
    )
    draws: Positive = Field(
        default=10,
        description="for each sentence that is asked for; a class that has too few by then is refused",
    )


class ImageCaptions(ModelRecipe):
    """Captions that a BLIP-2 makes of the real training images, each joined with its class name
    (the paper's IN-Captions).
    """

    kind: Literal["image_captions"]
    prompt: str = Field(
        default="", description="what the caption goes on from; it is no part of it"
    )
    max_tokens: Positive = 30
    min_tokens: Annotated[int, Field(ge=0)] = Field(
        default=0, description="1: a caption cannot end before it begins"
    )


class OwnTexts(StrictModel):
    """The user's own texts: a csv or parquet file, or the folder of a data set (parquet files, or
    saved to disk by Hugging Face datasets).
    """

    kind: Literal["texts"]
    file: str | None = Field(default=None, description="csv or parquet")
    dataset: str | None = Field(
        default=None,
        description="folder of parquet or arrow files, or a data set that Hugging Face datasets saved to disk",
    )
    split: str | None = Field(
        default=None,
        description="split of the folder, such as train, or all; needed if it holds several",
    )
    columns: dict[Literal["class_id", "name", "text"], str] = Field(
        default={},
        description="what the columns are called: text, and class_id or name (of the class); by default just so",
    )


class PairTexts(StrictModel):
    """Image i has the text of real pair i (the paper's CLIP: images made from the captions of
    LAION). For CLIP alone.
    """

    kind: Literal["pair_texts"]
    source: Name = Field(description="source of kind pairs")


Recipe = Annotated[
    ClassRecipe | WordToSentence | ImageCaptions | OwnTexts | PairTexts, Field(discriminator="kind")
]
