"""Models of transformers that write prompts or flag images, with random weights.

Their sizes are those of the models that a study may name (config.json on the hub). Every token of a
vocabulary can be decoded, and every text has the largest allowed length.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from functools import partial
from unittest.mock import patch

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from synscale.timing.stand_ins import build

# A class whose from_pretrained a job calls -> what builds its result.
Parts = dict[type, Callable[[], object]]

PADDING, BEGIN, END, UNKNOWN = range(4)  # the first tokens of every vocabulary here


def tokenizer(words: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer with a vocabulary of so many words."""
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokens = [*special.values(), *(f"w{i}" for i in range(len(special), words))]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    word_level = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=word_level, **special)


def t5(
    width: int = 768, inner: int = 3072, layers: int = 12, heads: int = 12, words: int = 32128
) -> Parts:
    """Return a T5, of the size of T5-base by default.

    Parameters
    ----------
    width, inner : int, optional
        Width of the model and of its feed-forward layers.
    layers, heads, words : int, optional
        Number of layers, heads and tokens.
    """

    def build_model() -> T5ForConditionalGeneration:
        config = T5Config(
            d_model=width,
            d_kv=width // heads,
            d_ff=inner,
            num_layers=layers,
            num_heads=heads,
            vocab_size=words,
            decoder_start_token_id=PADDING,
            pad_token_id=PADDING,
            eos_token_id=END,
        )
        model = T5ForConditionalGeneration(config)
        model.generation_config.eos_token_id = None
        return model

    return {AutoTokenizer: partial(tokenizer, words), AutoModelForSeq2SeqLM: build_model}


EYES = {
    "hidden_size": 1408,
    "intermediate_size": 6144,
    "num_hidden_layers": 39,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
}
QUERIES = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}


def blip2(
    width: int = 2560,
    layers: int = 32,
    heads: int = 32,
    words: int = 50304,
    eyes: dict = EYES,
    queries: dict = QUERIES,
    asked: int = 32,
) -> Parts:
    """Return a BLIP-2, with OPT-2.7b by default.

    Parameters
    ----------
    width, layers, heads, words : int
        Of the language model.
    eyes, queries : dict
        Sizes of the ViT-g and the Q-Former.
    asked : int
        Embeddings of an image.
    """

    def processor() -> Blip2Processor:
        side = eyes["image_size"]
        images = BlipImageProcessor(size={"height": side, "width": side})
        # It adds the token <image>.
        return Blip2Processor(images, tokenizer(words - 1), num_query_tokens=asked)

    def build_model() -> Blip2ForConditionalGeneration:
        text = {
            "model_type": "opt",
            "hidden_size": width,
            "ffn_dim": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "word_embed_proj_dim": width,
            "vocab_size": words,
            "pad_token_id": PADDING,
            "bos_token_id": BEGIN,
            "eos_token_id": END,
        }
        config = Blip2Config(
            vision_config=eyes,
            qformer_config=queries | {"encoder_hidden_size": eyes["hidden_size"]},
            text_config=text,
            num_query_tokens=asked,
            image_token_index=words - 1,
        )
        model = Blip2ForConditionalGeneration(config)
        for part in (model, model.language_model):
            part.generation_config.eos_token_id = None
        return model

    return {Blip2Processor: processor, Blip2ForConditionalGeneration: build_model}


def safety_checker(
    width: int = 1024, layers: int = 24, heads: int = 16, size: int = 224, patch_size: int = 14
) -> Parts:
    """Return a safety checker, with a CLIP ViT-L/14 by default.

    Parameters
    ----------
    width : int, optional
        Width of the model.
    layers, heads : int, optional
        Number of layers and heads.
    size, patch_size : int, optional
        Pixels of a side of an image and of a patch.
    """

    def build_model() -> StableDiffusionSafetyChecker:
        vision = {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "image_size": size,
            "patch_size": patch_size,
        }
        return StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768))

    shape = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
    return {
        CLIPImageProcessor: partial(CLIPImageProcessor, **shape),
        StableDiffusionSafetyChecker: build_model,
    }


# Pattern of the names of a model on the hub -> one of its size, by what it is for.
WRITERS: dict[str, Callable[[], Parts]] = {
    "*t5-small*": partial(t5, 512, 2048, 6, 8),
    "*t5-base*": t5,
    "*t5-large*": partial(t5, 1024, 4096, 24, 16),
}
CAPTIONERS: dict[str, Callable[[], Parts]] = {
    "*blip2-opt-2.7b*": blip2,
    "*blip2-opt-6.7b*": partial(blip2, 4096),
}


def of(model: str, known: dict[str, Callable[[], Parts]]) -> Parts | None:
    """Return a model of the size of one on the hub; None if there is none.

    Parameters
    ----------
    model : str
        Name on the hub.
    known : dict of str to callable
        Name of a model to its builder.
    """
    return next((parts() for pattern, parts in known.items() if fnmatchcase(model, pattern)), None)


@contextmanager
def instead(parts: Parts, device: torch.device) -> Iterator[None]:
    """Build what these classes would load: weights of 15 GB need not be written to be read.

    Parameters
    ----------
    parts : Parts
        Classes and what they return.
    device : torch.device
    """

    def from_pretrained(builder: Callable, *_, dtype: torch.dtype | None = None, **__):
        return build(builder, dtype, device) if dtype else builder()

    with ExitStack() as patches:
        for kind, builder in parts.items():
            replacement = partial(from_pretrained, builder)
            patches.enter_context(patch.object(kind, "from_pretrained", replacement))
        yield
