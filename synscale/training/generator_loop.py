"""Training of small text-to-image models on captioned images, saved as diffusers pipelines.

Two kinds, which differ as the paper's generators do. `diffusion`: Stable Diffusion's pipeline (UNet
with cross-attention on a CLIP text encoder), denoising pixels. `masked_token`: aMUSEd's pipeline,
the open Muse (U-ViT that fills in masked tokens), on grey levels. Both learn classifier-free
guidance by training on empty captions now and then. Sizes and settings are our choice.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import pandas as pd
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synscale.data import shards
from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import small_generators
from synscale.runtime import atomic
from synscale.study.models.generators import GeneratorTraining, LoraTraining
from synscale.training import checkpoint, generator_texts, held_out, history, stream
from synscale.training.distributed import ProcessGroup
from synscale.training.generator_texts import ImageTexts, tokens_of
from synscale.training.image_sets import Images, InMemoryImages
from synscale.training.progress import TrainingProgress
from synscale.training.stream import Batch
from synscale.workflow.settings import as_json
from synscale.workflow.settings.generation import GeneratorTrainingSettings

Tokens: TypeAlias = tuple[torch.Tensor, torch.Tensor]
ADVICE = "lower training.learning_rate of the generator"


def diffusion_loss(
    pipeline, pixels: torch.Tensor, tokens: Tokens, random: torch.Generator
) -> torch.Tensor:
    """Return the mean squared error of the predicted noise.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
    pixels : Tensor, shape (B, C, H, W)
        In -1..1.
    tokens : tuple of Tensor, shapes (D, L) and (B,)
        Tokens of the distinct captions, and the row of each image's caption.
    random : Generator
        On the CPU.
    """
    count = pipeline.scheduler.config.num_train_timesteps
    times = torch.randint(count, (len(pixels),), generator=random).to(pixels.device)
    noise = torch.randn(pixels.shape, generator=random).to(pixels.device)
    noisy = pipeline.scheduler.add_noise(pixels, noise, times)
    distinct, rows = tokens
    text = pipeline.text_encoder(distinct).last_hidden_state[rows]
    return F.mse_loss(pipeline.unet(noisy, times, text).sample, noise)


def masked_token_loss(
    pipeline, pixels: torch.Tensor, tokens: Tokens, random: torch.Generator
) -> torch.Tensor:
    """Return the cross-entropy of the masked tokens.

    The fraction of masks is drawn from the cosine schedule (MaskGIT). Parameters are those of
    `diffusion_loss`, with an AmusedPipeline.
    """
    grey = pipeline.vqvae.encode(pixels)
    fraction = torch.cos(torch.rand(len(grey), 1, 1, generator=random) * torch.pi / 2)
    masked = (torch.rand(grey.shape, generator=random) < fraction).to(pixels.device)
    distinct, rows = tokens
    text = pipeline.text_encoder(distinct, output_hidden_states=True)
    size = pixels.shape[-1]
    # What the pipeline passes by default.
    micro = torch.tensor([[size, size, 0, 0, 6]], dtype=torch.float32, device=pixels.device)
    logits = pipeline.transformer(
        grey.masked_fill(masked, pipeline.vqvae.config.levels),
        micro_conds=micro.expand(len(grey), -1),
        pooled_text_emb=text.text_embeds[rows],
        encoder_hidden_states=text.hidden_states[-2][rows],
    )
    return F.cross_entropy(logits.permute(0, 2, 3, 1)[masked], grey[masked])


# Kind -> the component that is trained next to the text encoder, and its loss.
KINDS = {"diffusion": ("unet", diffusion_loss), "masked_token": ("transformer", masked_token_loss)}


def in_range(images: torch.Tensor) -> torch.Tensor:
    """Return images as float in -1..1.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W), uint8
    """
    return images.float() / 127.5 - 1


def _batches(
    settings: GeneratorTrainingSettings,
    images: Images,
    start: int,
    random: torch.Generator,
    workers: int,
) -> Iterator[Batch]:
    """Yield a batch for each step from `start` on: of files in epochs, of digits drawn."""
    recipe = settings.generator.training
    if settings.images:
        sizes = recipe.batch_size, recipe.iterations, recipe.seed
        shuffle = shuffle_for(recipe.batch_size, images.image_bytes)
        yield from stream.iter_training(images, *sizes, start, workers=workers, shuffle=shuffle)
        return
    for _ in range(start, recipe.iterations):
        positions = torch.randint(len(images), (recipe.batch_size,), generator=random)
        yield Batch(*images.read(positions), positions)


def _trained_parts(pipeline: DiffusionPipeline, denoiser: str) -> torch.nn.ModuleDict:
    parts = {"denoiser": getattr(pipeline, denoiser), "text_encoder": pipeline.text_encoder}
    return torch.nn.ModuleDict(parts).train()


def _held_out_loss(
    pipeline: DiffusionPipeline,
    average: AveragedModel,
    kind: str,
    evaluation: tuple[InMemoryImages, list[str]],
) -> float:
    """Return the loss of the averaged weights on held-out images, with the same noise each time."""
    denoiser, loss_of = KINDS[kind]
    pixels = in_range(evaluation[0].pixels).to(pipeline.device)
    distinct = sorted(set(evaluation[1]))
    rows = torch.tensor([distinct.index(text) for text in evaluation[1]])
    text = tokens_of(pipeline.tokenizer, distinct).to(pipeline.device), rows.to(pipeline.device)
    other = {name: getattr(pipeline, name, None) for name in ("scheduler", "vqvae")}
    parts = {denoiser: average.module["denoiser"], "text_encoder": average.module["text_encoder"]}
    with held_out.evaluating(average.module):
        random = torch.Generator().manual_seed(0)
        return loss_of(SimpleNamespace(**parts, **other), pixels, text, random).item()


def optimizer_of(
    model: torch.nn.Module, recipe: GeneratorTraining | LoraTraining
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW and a one-cycle schedule for the weights of a model.

    Parameters
    ----------
    model : Module
    recipe : GeneratorTraining or LoraTraining
        With the peak learning rate and the number of iterations.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.iterations, pct_start=0.1
    )
    return optimizer, schedule


def train(
    settings: GeneratorTrainingSettings,
    images: Images,
    captions: ImageTexts,
    state_folder: str,
    identity: str,
    device: torch.device,
    evaluation: tuple[InMemoryImages, list[str]] | None = None,
) -> DiffusionPipeline:
    """Train a pipeline.

    Random numbers are drawn on the CPU: batches and noise are the same on every device.

    Parameters
    ----------
    settings : GeneratorTrainingSettings
    images : ShardedImages or InMemoryImages
        N images. Those of a data set in files are read in epochs; digits are drawn.
    captions : ImageTexts
        Captions of each image; one of them is drawn each time.
    state_folder, identity : str
        As for `checkpoint.TrainingCheckpoint`.
    device : torch.device
    evaluation : tuple of InMemoryImages and list of str, optional
        Held-out images and their captions, for the history.
    """
    recipe = settings.generator.training
    kind = settings.generator.kind
    denoiser, loss_of = KINDS[kind]
    torch.manual_seed(recipe.seed)
    tokenizer = small_generators.build_tokenizer(captions.texts)
    pipeline = small_generators.build(settings, tokenizer).to(device)
    tokens = tokens_of(tokenizer, captions.texts)
    model = _trained_parts(pipeline, denoiser)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
    optimizer, schedule = optimizer_of(model, recipe)
    random = torch.Generator().manual_seed(recipe.seed)
    parts = {"model": model, "average": average, "optimizer": optimizer, "schedule": schedule}
    state = checkpoint.TrainingCheckpoint(state_folder, identity, parts | {"random": random})
    loss_now = evaluation and partial(_held_out_loss, pipeline, average, kind, evaluation)
    about = f"generator of kind {kind}", recipe.iterations, recipe.batch_size, "images"
    processes = ProcessGroup(device)
    progress = TrainingProgress(*about, ADVICE, model, state, processes, len(images), loss_now)
    for batch in _batches(settings, images, progress.resume(), random, processes.workers):
        caption = generator_texts.draw_captions(captions.rows, batch.positions, recipe, random)
        used, rows = caption.unique(return_inverse=True)
        text = tokens[used].to(device), rows.to(device)
        loss = loss_of(pipeline, in_range(batch.images).to(device), text, random)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        progress.end_step(loss.detach(), rate, None)
    progress.finish()
    model.load_state_dict(average.module.state_dict())
    return pipeline


def train_and_save(
    settings: GeneratorTrainingSettings,
    tars: list[str],
    classes: pd.DataFrame,
    evaluation: list[str],
    output: str,
    histories: Path,
    state_folder: str,
    device: torch.device,
) -> None:
    """Train a pipeline on captioned images and save it, completely or not at all.

    Parameters
    ----------
    settings : GeneratorTrainingSettings
    tars : list of str
        Shards of captioned images.
    classes : DataFrame
        The class table.
    evaluation : list of str
        Tar of the evaluation set whose images are held out; none records no held-out loss.
    output : str
        Folder of the pipeline.
    histories : Path
        CSV of the history.
    state_folder : str
        Kept until the pipeline is complete.
    device : torch.device
    """
    (images,) = stream.load_into_memory([stream.open_images(tars, None, settings.images)])
    recipe = settings.generator.training
    captions = generator_texts.texts_of(settings, tars, classes, recipe.seed)
    identity = as_json([settings, captions.digest(), shards.identity(tars)], settings.ignored)
    shown = generator_texts.named_held_out(evaluation, recipe.batch_size, classes)
    pipeline = train(settings, images, captions, state_folder, identity, device, shown)
    rows = Path(state_folder) / f"{checkpoint.digest(identity)}.csv"
    history.write_job(histories, [("", settings.generator.kind, rows)])
    atomic.write_folder(output, pipeline.to("cpu").save_pretrained)
    checkpoint.discard(state_folder)
