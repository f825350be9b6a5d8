"""Models of transformers that write prompts or flag images, of the sizes of those that a study may
name, with random weights.

Settings are those of the models' own config.json on the hub. Every word of a vocabulary is one that
decodes, and no text ends before it is as long as it may be.
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

# A class whose from_pretrained a job calls -> what it then gets.
Parts = dict[type, Callable[[], object]]

PADDING, BEGIN, END, UNKNOWN = range(4)  # the first tokens of every vocabulary here


def tokenizer(words: int) -> PreTrainedTokenizerFast:
    named = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = {
        token: i
        for i, token in enumerate([*named.values(), *(f"w{i}" for i in range(len(named), words))])
    }
    own = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=own, **named)


def t5(
    width: int = 768, inner: int = 3072, layers: int = 12, heads: int = 12, words: int = 32128
) -> Parts:
    """T5-base by default."""

    def model() -> T5ForConditionalGeneration:
        sizes = {
            "d_model": width,
            "d_kv": width // heads,
            "d_ff": inner,
            "num_layers": layers,
            "num_heads": heads,
            "vocab_size": words,
        }
        made = T5ForConditionalGeneration(
            T5Config(
                **sizes, decoder_start_token_id=PADDING, pad_token_id=PADDING, eos_token_id=END
            )
        )
        made.generation_config.eos_token_id = None
        return made

    return {AutoTokenizer: partial(tokenizer, words), AutoModelForSeq2SeqLM: model}


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
    """With OPT-2.7b by default. eyes, queries: of its ViT-g and its Q-Former; asked: embeddings
    that an image comes to.
    """

    def processor() -> Blip2Processor:
        side = eyes["image_size"]
        return Blip2Processor(
            BlipImageProcessor(size={"height": side, "width": side}),
            tokenizer(words - 1),
            num_query_tokens=asked,
        )  # it adds <image>

    def model() -> Blip2ForConditionalGeneration:
        text = {
            "hidden_size": width,
            "ffn_dim": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "word_embed_proj_dim": width,
        }
        made = Blip2ForConditionalGeneration(
            Blip2Config(
                vision_config=eyes,
                qformer_config=queries | {"encoder_hidden_size": eyes["hidden_size"]},
                text_config=text
                | {
                    "model_type": "opt",
                    "vocab_size": words,
                    "pad_token_id": PADDING,
                    "bos_token_id": BEGIN,
                    "eos_token_id": END,
                },
                num_query_tokens=asked,
                image_token_index=words - 1,
            )
        )
        for own in (made, made.language_model):
            own.generation_config.eos_token_id = None
        return made

    return {Blip2Processor: processor, Blip2ForConditionalGeneration: model}


def safety_checker(
    width: int = 1024, layers: int = 24, heads: int = 16, size: int = 224, patch_size: int = 14
) -> Parts:
    """With a CLIP ViT-L/14 by default."""

    def model() -> StableDiffusionSafetyChecker:
        sizes = {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
        }
        return StableDiffusionSafetyChecker(
            CLIPConfig(
                vision_config=sizes | {"image_size": size, "patch_size": patch_size},
                projection_dim=768,
            )
        )

    shape = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
    return {
        CLIPImageProcessor: partial(CLIPImageProcessor, **shape),
        StableDiffusionSafetyChecker: model,
    }


# Pattern of a model's id -> what stands in for it, by what it is for.
WRITERS = {
    "*t5-small*": partial(t5, 512, 2048, 6, 8),
    "*t5-base*": t5,
    "*t5-large*": partial(t5, 1024, 4096, 24, 16),
}
CAPTIONERS = {"*blip2-opt-2.7b*": blip2, "*blip2-opt-6.7b*": partial(blip2, 4096)}


def of(model: str, known: dict[str, Callable[[], Parts]]) -> Parts | None:
    """What stands in for a released model; None where nothing does."""
    return next((parts() for pattern, parts in known.items() if fnmatchcase(model, pattern)), None)


@contextmanager
def instead(parts: Parts, device: torch.device) -> Iterator[None]:
    """What these classes load is built: weights of 15 GB need not be written to be read."""

    def loaded(make: Callable, *_, dtype: torch.dtype | None = None, **__):
        return build(make, dtype, device) if dtype else make()

    with ExitStack() as patches:
        for kind, make in parts.items():
            patches.enter_context(patch.object(kind, "from_pretrained", partial(loaded, make)))
        yield
