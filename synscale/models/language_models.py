"""Models of transformers that write prompts: a T5 from a word to sentences, a BLIP-2 from an image
to its caption.

Every model is read from a folder, from safetensors alone, and no code of a model's author is run.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    LogitsProcessor,
    LogitsProcessorList,
)


class TextError(ValueError):
    """A model that does not give the texts that are asked of it."""


class Made:
    """Rows that a job has made so far, for `TrainingCheckpoint`."""

    def __init__(self):
        self.rows: list[list] = []

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = state["rows"]


def identity(folder: str | Path) -> str:
    """A digest of every file of a model but what Snakemake puts there, so that state of another
    model is not continued.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name[0] != "."):
        with path.open("rb") as file:
            digest.update(
                f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return digest.hexdigest()


# -- a word to sentences -----------------------------------------------------------------------------------------------------------


def words(name: str) -> str:
    """What the T5 is given of a class: its name, without the signs that keytotext removes; commas
    become spaces.

    Fine-tuned on CommonGen, the model expects bare words with a space between. keytotext also cuts
    at each full stop and writes a sentence for each piece, and He et al. put an article before the
    name; here a name stays whole, and as the class table has it.
    """
    return " ".join(re.sub(r"['\"\[\]]", "", name.replace(",", " ")).split())


def with_name(name: str, sentence: str) -> str:
    """A sentence that holds the class name, as whole words in letters of either case, as it is; any
    other as `name, sentence`.

    The joining is ours: He et al. keep sentences that have lost their word, and then no one can say
    what the image should show.
    """
    held = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sentence, re.IGNORECASE)
    return sentence if held else f"{name}, {sentence}"


def uniform(seed: int, class_id: int, draws: range, steps: int) -> torch.Tensor:
    """Random numbers (draws, steps) in [0, 1), those of a draw from a generator of its own: a
    sentence is the same in any batch.
    """
    rows = []
    for draw in draws:
        own = hashlib.blake2b(f"{seed}/{class_id}/{draw}".encode(), digest_size=8).digest()
        rows.append(
            torch.rand(
                steps,
                dtype=torch.float64,
                generator=torch.Generator().manual_seed(int.from_bytes(own, "big") >> 1),
            )
        )
    return torch.stack(rows)


class Choice(LogitsProcessor):
    """Leaves one token at each step, drawn from the likeliest ones by a random number that is
    handed in (inverse of their distribution).

    The same law as `generate(do_sample=True)`, which draws a batch's tokens from one generator of
    the device. Here chance comes from the CPU, so that a sentence does not depend on its neighbours
    and, up to rounding, on the device.
    """

    def __init__(self, random: torch.Tensor, settings: dict):
        self.random, self.settings = random, settings

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """input_ids (B, tokens so far, the start token first), scores (B, vocabulary)."""
        best, tokens = scores.float().topk(min(self.settings["top_k"], scores.shape[-1]))
        share = (best.cpu().double() / self.settings["temperature"]).softmax(
            -1
        )  # falls along a row
        share = share.masked_fill(share.cumsum(-1) - share >= self.settings["top_p"], 0)
        share = share.cumsum(-1) / share.sum(-1, keepdim=True)
        place = (
            (share <= self.random[:, input_ids.shape[1] - 1, None])
            .sum(-1, keepdim=True)
            .clamp(max=share.shape[-1] - 1)
        )
        chosen = tokens.gather(1, place.to(tokens.device))
        return scores.masked_fill(
            torch.arange(scores.shape[-1], device=scores.device) != chosen, -torch.inf
        )


class Writer:
    """Sentences of a class by an encoder-decoder model."""

    def __init__(self, folder: str | Path, device: torch.device):
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = (
            AutoModelForSeq2SeqLM.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
            .to(device)
            .eval()
        )

    @torch.inference_mode()
    def draw(self, settings: dict, class_id: int, name: str, draws: range) -> list[str]:
        """One sentence for each number of `draws`, as the model gives it; it may be empty."""
        given = self.tokenizer([words(name)] * len(draws), return_tensors="pt").to(
            self.model.device
        )
        choice = Choice(
            uniform(settings["seed"], class_id, draws, settings["max_tokens"]), settings
        )
        made = self.model.generate(
            input_ids=given.input_ids,
            attention_mask=given.attention_mask,
            do_sample=False,
            num_beams=1,
            max_new_tokens=settings["max_tokens"],
            logits_processor=LogitsProcessorList([choice]),
        )
        return [
            " ".join(text.split())
            for text in self.tokenizer.batch_decode(made, skip_special_tokens=True)
        ]

    def sentences(self, settings: dict, class_id: int, name: str) -> list[str]:
        """The first `texts` different sentences of a class, in the order that they are drawn in.

        Raises TextError where `draws` times as many draws do not give them. Empty sentences do not
        count.
        """
        found: dict[str, None] = {}
        most = settings["texts"] * settings["draws"]
        for first in range(0, most, settings["batch_size"]):
            drawn = self.draw(
                settings, class_id, name, range(first, min(first + settings["batch_size"], most))
            )
            found |= {with_name(name, sentence): None for sentence in drawn if sentence}
            if len(found) >= settings["texts"]:
                return list(found)[: settings["texts"]]
        raise TextError(
            f"recipe {settings['recipe']!r}: class {name!r} has {len(found)} different sentences after {most} draws, {settings['texts']} are asked for: "
            "ask for fewer texts, or raise draws, temperature or top_k"
        )


# -- an image to its caption -------------------------------------------------------------------------------------------------------


class Captioner:
    """Captions by a BLIP-2, each step taking the likeliest token. dtype: of its weights, by default
    half as wide on a GPU.
    """

    def __init__(self, folder: str | Path, device: torch.device, dtype: torch.dtype | None = None):
        self.processor = Blip2Processor.from_pretrained(folder, local_files_only=True)
        dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        self.model = (
            Blip2ForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype
            )
            .to(device)
            .eval()
        )
        if self.model.config.image_token_id is None or self.processor.num_query_tokens is None:
            raise TextError(
                f"{folder}: a BLIP-2 of before transformers 4.46, which does not say where the image stands: name a newer revision"
            )

    @torch.inference_mode()
    def captions(self, settings: dict, images: np.ndarray) -> list[str]:
        """A caption for each of the uint8 images (N, C, H, W), grey or RGB; it may be empty."""
        grey = images.shape[1] == 1
        pictures = [
            Image.fromarray(image[0] if grey else image.transpose(1, 2, 0)).convert("RGB")
            for image in images
        ]
        given = self.processor(
            images=pictures, text=[settings["prompt"]] * len(pictures), return_tensors="pt"
        ).to(self.model.device, self.model.dtype)
        made = self.model.generate(
            **given,
            do_sample=False,
            num_beams=1,
            max_new_tokens=settings["max_tokens"],
            min_new_tokens=settings["min_tokens"] or None,
        )
        if not self.model.config.is_encoder_decoder:
            made = made[
                :, given["input_ids"].shape[1] :
            ]  # such a model gives back what it was given
        return [
            " ".join(text.split())
            for text in self.processor.batch_decode(made, skip_special_tokens=True)
        ]
