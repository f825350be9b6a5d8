"""Models of transformers that write prompts: a T5 for sentences, a BLIP-2 for captions.

Every model is read from a folder, only from safetensors, and no code of a model's author is run.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    LogitsProcessor,
    LogitsProcessorList,
)

from synscale.data.codec import as_rgb
from synscale.models import checksums
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.workflow.settings.prompts import PromptSettings


class TextError(ValueError):
    """A model that does not give the texts that are requested."""


def identity(folder: str | Path) -> str:
    """Return a digest of every file of a model, so that state of another model is not continued.

    Files that Snakemake puts there are left out.
    """
    paths = sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name[0] != ".")
    hashes = checksums.hashes(folder, (str(path.relative_to(folder)) for path in paths))
    lines = [f"{file} {sha256}\n" for file, sha256 in hashes.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# -- a word to sentences ---------------------------------------------------------------------------


def bare_words(name: str) -> str:
    """Return the input of the T5 for a class: its name, without the signs that keytotext removes.

    Fine-tuned on CommonGen, the model expects words with a space between; commas become spaces.
    keytotext also cuts at each full stop and writes a sentence for each piece, and He et al. put an
    article before the name; here a name stays complete, and as the class table has it.
    """
    return " ".join(re.sub(r"['\"\[\]]", "", name.replace(",", " ")).split())


def with_name(name: str, sentence: str) -> str:
    """Return a sentence that contains the class name as words unchanged, or `name, sentence`.

    Case is ignored. The joining is our choice: He et al. keep sentences that have lost their word,
    and then nobody can say what the image should show.

    Parameters
    ----------
    name : str
        Class name.
    sentence : str
        Sentence of the model.
    """
    contains = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sentence, re.IGNORECASE)
    return sentence if contains else f"{name}, {sentence}"


def uniform(seed: int, class_id: int, draws: range, steps: int) -> torch.Tensor:
    """Return random numbers in [0, 1) for each draw, independent of other draws in a batch.

    Parameters
    ----------
    seed, class_id : int
    draws : range
        Numbers of the sentences.
    steps : int
        Tokens of a sentence.

    Returns
    -------
    Tensor, shape (draws, steps), float64
    """
    rows = []
    for draw in draws:
        key = hashlib.blake2b(f"{seed}/{class_id}/{draw}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key, "big") >> 1)
        rows.append(torch.rand(steps, dtype=torch.float64, generator=generator))
    return torch.stack(rows)


class TokenSampler(LogitsProcessor):
    """Leaves one token at each step, drawn from the likeliest ones by a given random number.

    The distribution is that of `generate(do_sample=True)`, which draws a batch's tokens from one
    generator of the device. Here random numbers come from the CPU (inverse of the distribution
    function), so that a sentence does not depend on its neighbours and, up to rounding, on the
    device.
    """

    def __init__(self, random: torch.Tensor, recipe: WordToSentence):
        self.random, self.recipe = random, recipe

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Mask all scores (B, vocabulary) but one of each row.

        input_ids : (B, tokens so far), the start token first.
        """
        best, tokens = scores.float().topk(min(self.recipe.top_k, scores.shape[-1]))
        # Probabilities fall along a row.
        share = (best.cpu().double() / self.recipe.temperature).softmax(-1)
        share = share.masked_fill(share.cumsum(-1) - share >= self.recipe.top_p, 0)
        share = share.cumsum(-1) / share.sum(-1, keepdim=True)
        below = share <= self.random[:, input_ids.shape[1] - 1, None]
        place = below.sum(-1, keepdim=True).clamp(max=share.shape[-1] - 1)
        token = tokens.gather(1, place.to(tokens.device))
        vocabulary = torch.arange(scores.shape[-1], device=scores.device)
        return scores.masked_fill(vocabulary != token, -torch.inf)


class Writer:
    """Sentences of a class by an encoder-decoder model."""

    def __init__(self, folder: str | Path, device: torch.device):
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.model = model.to(device).eval()

    @torch.inference_mode()
    def draw(self, recipe: WordToSentence, class_id: int, name: str, draws: range) -> list[str]:
        """Return one sentence for each number of `draws`, as the model gives it; it may be empty.

        Parameters
        ----------
        recipe : WordToSentence
        class_id : int
        name : str
            Name of the class.
        draws : range
            Numbers of the sentences.
        """
        words = [bare_words(name)] * len(draws)
        inputs = self.tokenizer(words, return_tensors="pt").to(self.model.device)
        random = uniform(recipe.seed, class_id, draws, recipe.max_tokens)
        tokens = self.model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            do_sample=False,
            num_beams=1,
            max_new_tokens=recipe.max_tokens,
            logits_processor=LogitsProcessorList([TokenSampler(random, recipe)]),
        )
        return _decode(self.tokenizer, tokens)

    def sentences(self, settings: PromptSettings, class_id: int, name: str) -> list[str]:
        """Return the first `texts` different sentences of a class, in the order of their draws.

        Empty sentences do not count.

        Parameters
        ----------
        settings : PromptSettings
        class_id : int
        name : str
            Name of the class.

        Raises
        ------
        TextError
            If `draws` times as many draws do not give them.
        """
        recipe = settings.recipe
        unique: dict[str, None] = {}
        most = recipe.texts * recipe.draws
        for first in range(0, most, recipe.batch_size):
            draws = range(first, min(first + recipe.batch_size, most))
            drawn = self.draw(recipe, class_id, name, draws)
            unique |= {with_name(name, sentence): None for sentence in drawn if sentence}
            if len(unique) >= recipe.texts:
                return list(unique)[: recipe.texts]
        detail = f"{len(unique)} after {most} draws, expected {recipe.texts}"
        problem = f"class {name!r} has too few different sentences ({detail})"
        fix = "lower texts, or raise draws, temperature or top_k"
        raise TextError(f"recipes.{settings.name}: {problem}; {fix}")


def _decode(tokenizer, tokens: torch.Tensor) -> list[str]:
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]


# -- an image to its caption -----------------------------------------------------------------------


class Captioner:
    """Captions by a BLIP-2, each step taking the likeliest token.

    dtype : that of its weights; by default bfloat16 on a GPU and float32 on a CPU.
    """

    def __init__(self, folder: str | Path, device: torch.device, dtype: torch.dtype | None = None):
        self.processor = Blip2Processor.from_pretrained(folder, local_files_only=True)
        dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        model = Blip2ForConditionalGeneration.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype
        )
        self.model = model.to(device).eval()
        if self.model.config.image_token_id is None or self.processor.num_query_tokens is None:
            problem = "a BLIP-2 of before transformers 4.46, which has no token for the image"
            raise TextError(f"{folder}: {problem}; name a newer revision")

    @torch.inference_mode()
    def captions(self, recipe: ImageCaptions, images: np.ndarray) -> list[str]:
        """Return a caption for each image; it may be empty.

        Parameters
        ----------
        recipe : ImageCaptions
        images : ndarray, shape (N, C, H, W), uint8
            Grey or RGB.
        """
        rgb = [as_rgb(image) for image in images]
        prompts = [recipe.prompt] * len(rgb)
        inputs = self.processor(images=rgb, text=prompts, return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
        tokens = self.model.generate(
            **inputs,
            do_sample=False,
            num_beams=1,
            max_new_tokens=recipe.max_tokens,
            min_new_tokens=recipe.min_tokens or None,
        )
        if not self.model.config.is_encoder_decoder:
            tokens = tokens[:, inputs["input_ids"].shape[1] :]  # such a model repeats its input
        return _decode(self.processor, tokens)
