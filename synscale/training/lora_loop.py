"""Fine-tuning of Stable Diffusion pipelines on real images, by LoRA (Hu et al. 2021).

Only low-rank updates of the UNet's weights are trained, with the loss that the base was trained
with. Batches, texts, optimizer and schedule are those of the small generators (`generator_loop`).
The weights are saved in the format of diffusers.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from synscale.data import shards
from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import pipeline_files
from synscale.models.checksums import WeightsError
from synscale.runtime import atomic
from synscale.study.models.generators import LoraTraining
from synscale.training import (
    checkpoint,
    generator_loop,
    generator_texts,
    held_out,
    history,
    stream,
)
from synscale.training.distributed import ProcessGroup
from synscale.training.generator_texts import ImageTexts, tokens_of
from synscale.training.image_sets import Images, InMemoryImages
from synscale.training.progress import TrainingProgress
from synscale.workflow.settings import as_json
from synscale.workflow.settings.finetuning import FinetuningSettings

ADVICE = "lower lora.learning_rate of the generator"
ADAPTER = "default"


def pixels_of(images: torch.Tensor, pipeline: StableDiffusionPipeline, size: int) -> torch.Tensor:
    """Return images as a pipeline's autoencoder takes them: -1..1, with its size and channels.

    Parameters
    ----------
    images : Tensor, shape (B, C, H, W), uint8
    pipeline : StableDiffusionPipeline
    size : int
        Side in pixels.
    """
    pixels = generator_loop.in_range(images)
    if pixels.shape[-1] != size:
        pixels = F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(-1, 1)
    channels = getattr(pipeline.vae.config, "in_channels", pixels.shape[1])
    return pixels.expand(-1, channels, -1, -1)


def denoising_loss(
    pipeline: StableDiffusionPipeline,
    scheduler: DDPMScheduler,
    pixels: torch.Tensor,
    tokens: generator_loop.Tokens,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the mean squared error of what the UNet predicts: noise, velocity or image.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
    scheduler : DDPMScheduler
        Noise schedule of the pipeline.
    pixels : Tensor, shape (B, C, H, W)
        In -1..1.
    tokens : tuple of Tensor, shapes (D, L) and (B,)
        Tokens of the distinct captions, and the row of each image's caption.
    random : Generator
        On the CPU.
    """
    distinct, rows = tokens
    with torch.no_grad():
        moments = pipeline.vae.encode(pixels).latent_dist
        drawn = torch.randn(moments.mean.shape, generator=random).to(pixels.device)
        latents = (moments.mean + moments.std * drawn) * pipeline.vae.config.scaling_factor
        text = pipeline.text_encoder(distinct).last_hidden_state[rows]
    count = scheduler.config.num_train_timesteps
    times = torch.randint(count, (len(latents),), generator=random).to(pixels.device)
    noise = torch.randn(latents.shape, generator=random).to(pixels.device)
    noisy = scheduler.add_noise(latents, noise, times)
    targets: dict[str, Callable[[], torch.Tensor]] = {
        "epsilon": lambda: noise,
        "v_prediction": lambda: scheduler.get_velocity(latents, noise, times),
        "sample": lambda: latents,
    }
    target = targets[scheduler.config.prediction_type]()
    return F.mse_loss(pipeline.unet(noisy, times, text).sample, target)


def add_adapter(pipeline: StableDiffusionPipeline, lora: LoraTraining) -> torch.nn.ParameterList:
    """Add LoRA weights to the UNet and return them; all other weights are frozen.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
    lora : LoraTraining

    Raises
    ------
    WeightsError
        If the UNet has no such layers.
    """
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False)
    torch.manual_seed(lora.seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha or lora.rank,
        target_modules=lora.layers,
        init_lora_weights="gaussian",
    )
    try:
        pipeline.unet.add_adapter(config, ADAPTER)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        fix = "name layers of the base's UNet, or remove the key"
        raise WeightsError(f"lora.layers = {lora.layers}: {reason}; {fix}") from None
    trained = [weight for weight in pipeline.unet.parameters() if weight.requires_grad]
    return torch.nn.ParameterList(trained)


def _held_out_loss(
    pipeline: StableDiffusionPipeline,
    scheduler: DDPMScheduler,
    size: int,
    evaluation: tuple[InMemoryImages, list[str]],
) -> float:
    """Return the loss on held-out images, with the same noise each time."""
    images, names = evaluation
    pixels = pixels_of(images.pixels, pipeline, size).to(pipeline.device)
    distinct = sorted(set(names))
    rows = torch.tensor([distinct.index(name) for name in names])
    text = tokens_of(pipeline.tokenizer, distinct).to(pipeline.device), rows.to(pipeline.device)
    with held_out.evaluating(pipeline.unet):
        random = torch.Generator().manual_seed(0)
        return denoising_loss(pipeline, scheduler, pixels, text, random).item()


def train(
    pipeline: StableDiffusionPipeline,
    settings: FinetuningSettings,
    images: Images,
    captions: ImageTexts,
    state_folder: str,
    identity: str,
    evaluation: tuple[InMemoryImages, list[str]] | None = None,
) -> None:
    """Train LoRA weights of a pipeline, which then has them as an adapter.

    Random numbers are drawn on the CPU: batches and noise are the same on every device.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
        The base, on the device of the training.
    settings : FinetuningSettings
    images : ShardedImages or InMemoryImages
        Real images, read in epochs.
    captions : ImageTexts
        Captions of each image; one of them is drawn each time.
    state_folder, identity : str
        As for `checkpoint.TrainingCheckpoint`.
    evaluation : tuple of InMemoryImages and list of str, optional
        Held-out images and their captions, for the history.
    """
    recipe, device = settings.lora, pipeline.device
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
    model = add_adapter(pipeline, recipe)
    tokens = tokens_of(pipeline.tokenizer, captions.texts)
    optimizer, schedule = generator_loop.optimizer_of(model, recipe)
    random = torch.Generator().manual_seed(recipe.seed)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "random": random}
    state = checkpoint.TrainingCheckpoint(state_folder, identity, parts)
    loss_now = evaluation and partial(
        _held_out_loss, pipeline, scheduler, settings.size, evaluation
    )
    processes = ProcessGroup(device)
    about = f"LoRA weights for {settings.base}", recipe.iterations, recipe.batch_size, "images"
    progress = TrainingProgress(*about, ADVICE, model, state, processes, len(images), loss_now)
    sizes = recipe.batch_size, recipe.iterations, recipe.seed, progress.resume()
    shuffle = shuffle_for(recipe.batch_size, images.image_bytes)
    batches = stream.iter_training(images, *sizes, workers=processes.workers, shuffle=shuffle)
    pipeline.unet.train()
    for batch in batches:
        caption = generator_texts.draw_captions(captions.rows, batch.positions, recipe, random)
        used, rows = caption.unique(return_inverse=True)
        text = tokens[used].to(device), rows.to(device)
        pixels = pixels_of(batch.images, pipeline, settings.size).to(device)
        loss = denoising_loss(pipeline, scheduler, pixels, text, random)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        progress.end_step(loss.detach(), rate, None)
    progress.finish()


def _save(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Save the LoRA weights of a pipeline in the format of diffusers, the same bytes each time.

    The factor alpha / rank is part of the saved weights, as without metadata diffusers takes 1. The
    order of metadata in a file would differ from save to save.
    """
    unet = pipeline.unet.to("cpu")
    factor = unet.peft_config[ADAPTER].lora_alpha / unet.peft_config[ADAPTER].r
    weights = {
        name: (weight * factor if "lora_B" in name else weight).contiguous()
        for name, weight in get_peft_model_state_dict(unet).items()
    }
    pipeline.save_lora_weights(folder, unet_lora_layers=weights)


def load_base(folder: str, variant: str | None, device: torch.device) -> StableDiffusionPipeline:
    """Return the pipeline that is fine-tuned, in float32.

    Parameters
    ----------
    folder : str
    variant : str or None
        Variant of the weight files.
    device : torch.device

    Raises
    ------
    WeightsError
        If a file is damaged, or the pipeline is of another class.
    """
    pipeline = pipeline_files.read(folder, "generator", "float32", variant, device)
    if type(pipeline) is not StableDiffusionPipeline:
        kind = type(pipeline).__name__
        fix = "name a Stable Diffusion 1 or 2 model as base"
        raise WeightsError(f"not supported ({kind}, expected StableDiffusionPipeline); {fix}")
    return pipeline


def train_and_save(
    settings: FinetuningSettings,
    base: str,
    tars: list[str],
    classes: pd.DataFrame,
    evaluation: list[str],
    output: str,
    histories: Path,
    state_folder: str,
    device: torch.device,
) -> None:
    """Fine-tune a pipeline on real images and save its LoRA weights, completely or not at all.

    Parameters
    ----------
    settings : FinetuningSettings
    base : str
        Folder of the pipeline that is fine-tuned.
    tars : list of str
        Shards of real images.
    classes : DataFrame
        The class table.
    evaluation : list of str
        Tar of the evaluation set whose images are held out; none records no held-out loss.
    output : str
        Folder of the LoRA weights.
    histories : Path
        CSV of the history.
    state_folder : str
        Kept until the weights are complete.
    device : torch.device

    Raises
    ------
    WeightsError
        If the base cannot be fine-tuned.
    """
    recipe = settings.lora
    revision = pipeline_files.revision(base)
    pipeline = load_base(base, settings.variant, device)
    (images,) = stream.load_into_memory([stream.open_images(tars, None, settings.images)])
    captions = generator_texts.texts_of(settings, tars, classes, recipe.seed)
    about = [settings, revision, captions.digest(), shards.identity(tars)]
    identity = as_json(about, settings.ignored)
    shown = generator_texts.named_held_out(evaluation, recipe.batch_size, classes)
    train(pipeline, settings, images, captions, state_folder, identity, shown)
    rows = Path(state_folder) / f"{checkpoint.digest(identity)}.csv"
    history.write_job(histories, [("", settings.base, rows)])
    atomic.write_folder(output, partial(_save, pipeline))
    checkpoint.discard(state_folder)
