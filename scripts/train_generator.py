"""Train a small text-to-image model on captioned images and save it as a diffusers pipeline.

Two kinds, which differ as the paper's generators do. `diffusion`: Stable Diffusion's pipeline (UNet
with cross-attention on a CLIP text encoder), denoising pixels. `masked_token`: aMUSEd's pipeline,
the open Muse (U-ViT that fills in masked tokens), on grey levels. Both learn classifier-free
guidance by training on empty captions now and then. Sizes and settings are ours.
"""

import json
import shutil
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synscale.data import shards
from synscale.models.pixel_space import GreyLevelTokens, PixelAutoencoder
from synscale.prompts import recipes
from synscale.runtime import atomic, cli
from synscale.study import class_table
from synscale.study.models.recipes import ClassRecipe
from synscale.training import checkpoint
from synscale.training.divergence import check_finite
from synscale.training.finite_state import gradient_norm
from synscale.workflow.settings.generation import generator_settings

MAX_TOKENS = 24
GREY_LEVELS = 17
ADVICE = "lower training.learning_rate of the generator"


def training_captions(
    manifest: pd.DataFrame, classes: pd.DataFrame, patterns: list[str], seed: int
) -> list[list[str]]:
    """Captions for each image, so that the model meets every form of prompt: its own caption with
    the class name, twice, and in the other forms of an alt text, the bare class name, description,
    hypernyms, a sentence and a CLIP template. The last two are drawn for each image.
    """
    random = np.random.default_rng(seed)
    found = []
    for _, image in manifest.iterrows():
        row = classes.iloc[image["class_id"]]

        def text(kind, row=row):
            options = recipes.texts(ClassRecipe(kind=kind, patterns=patterns), row, None)
            return options[random.integers(len(options))]

        own = [recipes.alt_text(row, image["caption"], form) for form in (0, 0, 1, 2)]
        kinds = ["class_names", "description", "hypernyms", "clip_templates"] + (
            ["sentences"] if patterns else ["class_names"]
        )
        found.append([*own, *map(text, kinds)])
    return found


def build_tokenizer(texts: list[str]):
    """A CLIP tokenizer whose vocabulary is the words of `texts`, a token each; other words fall
    apart into letters.
    """
    from transformers import CLIPTokenizer

    base = CLIPTokenizer()
    words = sorted(
        {
            word
            for text in texts
            for word, _ in base.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text.lower())
        }
    )
    letters = sorted(
        {letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz,.")
    )
    vocabulary = [
        "<|startoftext|>",
        "<|endoftext|>",
        *letters,
        *(f"{letter}</w>" for letter in letters),
    ]
    merges = {}
    for word in words:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges[(parts[0], parts[1])] = None
            parts[:2] = ["".join(parts[:2])]
            vocabulary.append(parts[0])
    ids = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    return CLIPTokenizer(vocab=ids, merges=list(merges), model_max_length=MAX_TOKENS)


def text_config(settings: dict, tokenizer) -> "CLIPTextConfig":  # noqa: F821
    from transformers import CLIPTextConfig

    width = settings["text_width"]
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=settings["text_layers"],
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_diffusion(settings: dict, tokenizer):
    from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    levels = len(settings["channels"])
    unet = UNet2DConditionModel(
        sample_size=settings["image_size"],
        in_channels=settings["channels_in"],
        out_channels=settings["channels_in"],
        block_out_channels=settings["channels"],
        layers_per_block=1,
        down_block_types=["DownBlock2D"] * levels,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=["UpBlock2D"] * levels,
        cross_attention_dim=settings["text_width"],
        attention_head_dim=8,
        norm_num_groups=8,
    )
    return StableDiffusionPipeline(
        vae=PixelAutoencoder(latent_channels=settings["channels_in"]),
        text_encoder=CLIPTextModel(text_config(settings, tokenizer)),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDPMScheduler(
            beta_schedule="squaredcos_cap_v2", clip_sample=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build_masked_token(settings: dict, tokenizer):
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel
    from transformers import CLIPTextModelWithProjection

    width = settings["width"]
    transformer = UVit2DModel(
        hidden_size=width,
        cond_embed_dim=settings["text_width"],
        micro_cond_encode_dim=8,
        micro_cond_embed_dim=5 * 8,
        encoder_hidden_size=settings["text_width"],
        vocab_size=GREY_LEVELS + 1,
        codebook_size=GREY_LEVELS,
        in_channels=width,
        block_out_channels=width,
        num_res_blocks=1,
        downsample=True,
        upsample=True,
        block_num_heads=settings["heads"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=2 * width,
        sample_size=settings["image_size"],
    )
    return AmusedPipeline(
        vqvae=GreyLevelTokens(levels=GREY_LEVELS),
        tokenizer=tokenizer,
        text_encoder=CLIPTextModelWithProjection(text_config(settings, tokenizer)),
        transformer=transformer,
        scheduler=AmusedScheduler(mask_token_id=GREY_LEVELS),
    )


def diffusion_loss(
    pipeline, pixels: torch.Tensor, tokens: torch.Tensor, random: torch.Generator
) -> torch.Tensor:
    """Mean squared error of the predicted noise. pixels (B, C, H, W) in -1..1, tokens (B, L)."""
    times = torch.randint(
        pipeline.scheduler.config.num_train_timesteps, (len(pixels),), generator=random
    ).to(pixels.device)
    noise = torch.randn(pixels.shape, generator=random).to(pixels.device)
    noisy = pipeline.scheduler.add_noise(pixels, noise, times)
    text = pipeline.text_encoder(tokens).last_hidden_state
    return F.mse_loss(pipeline.unet(noisy, times, text).sample, noise)


def masked_token_loss(
    pipeline, pixels: torch.Tensor, tokens: torch.Tensor, random: torch.Generator
) -> torch.Tensor:
    """Cross-entropy of the masked tokens, the share of masks drawn from the cosine schedule
    (MaskGIT). Shapes as above.
    """
    grey = pipeline.vqvae.encode(pixels)
    share = torch.cos(torch.rand(len(grey), 1, 1, generator=random) * torch.pi / 2)
    hidden = (torch.rand(grey.shape, generator=random) < share).to(pixels.device)
    out = pipeline.text_encoder(tokens, output_hidden_states=True)
    size = pixels.shape[-1]
    micro = torch.tensor([[size, size, 0, 0, 6]], dtype=torch.float32, device=pixels.device).expand(
        len(grey), -1
    )  # what the pipeline passes by default
    logits = pipeline.transformer(
        grey.masked_fill(hidden, GREY_LEVELS),
        micro_conds=micro,
        pooled_text_emb=out.text_embeds,
        encoder_hidden_states=out.hidden_states[-2],
    )
    return F.cross_entropy(logits.permute(0, 2, 3, 1)[hidden], grey[hidden])


KINDS = {
    "diffusion": (build_diffusion, "unet", diffusion_loss),
    "masked_token": (build_masked_token, "transformer", masked_token_loss),
}


def train(
    settings: dict,
    images: np.ndarray,
    captions: list[list[str]],
    state_folder: str,
    identity: str,
    device: torch.device,
):
    """Return the trained pipeline. images: uint8 (N, C, H, W); captions: some for each image, one
    is drawn each time.

    Chance is drawn on the CPU, whatever the device: the same batches and noise everywhere.
    """
    recipe = settings["training"]
    build, denoiser, loss_of = KINDS[settings["kind"]]
    torch.manual_seed(recipe["seed"])
    tokenizer = build_tokenizer([text for own in captions for text in own])
    pipeline = build(settings, tokenizer).to(device)

    def encode(texts):
        return tokenizer(
            texts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids

    tokens = torch.stack([encode(own) for own in captions])  # (N, captions of an image, L)
    empty = encode([""])
    pixels = torch.from_numpy(images).float() / 127.5 - 1
    model = torch.nn.ModuleDict(
        {"denoiser": getattr(pipeline, denoiser), "text_encoder": pipeline.text_encoder}
    ).train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe["ema_decay"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe["learning_rate"], total_steps=recipe["iterations"], pct_start=0.1
    )
    random = torch.Generator().manual_seed(recipe["seed"])
    state = checkpoint.TrainingCheckpoint(
        state_folder,
        identity,
        {
            "model": model,
            "average": average,
            "optimizer": optimizer,
            "schedule": schedule,
            "random": random,
        },
    )
    for step in range(state.load(), recipe["iterations"]):
        index = torch.randint(len(pixels), (recipe["batch_size"],), generator=random)
        which = torch.randint(tokens.shape[1], index.shape, generator=random)
        dropped = torch.rand(index.shape, generator=random) < recipe["caption_dropout"]
        text = torch.where(dropped[:, None], empty, tokens[index, which])
        loss = loss_of(pipeline, pixels[index].to(device), text.to(device), random)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        shown, due = step % 100 == 0 or step == recipe["iterations"] - 1, state.due
        if shown or due:
            name, norm = f"generator of kind {settings['kind']}", gradient_norm(model)
            value = check_finite(loss.item(), name, step + 1, rate, norm, ADVICE)
        if due:
            state.save(step + 1)
        if shown:
            print(f"iteration {step + 1}/{recipe['iterations']}: loss {value:.4f}", flush=True)
    model.load_state_dict(average.module.state_dict())
    return pipeline


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "generator")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--images", required=True, help="tar of captioned images")
    parser.add_argument("--output", required=True, help="folder of the pipeline")
    parser.add_argument(
        "--state", required=True, help="folder of the training state, kept until the job is done"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, generator_settings)

    device = deterministic(args.threads)
    images, manifest = shards.read(args.images)
    captions = training_captions(
        manifest, class_table.read(args.classes), settings["patterns"], settings["training"]["seed"]
    )
    identity = json.dumps([settings, captions, manifest["sha256"].tolist()], sort_keys=True)
    pipeline = train(settings, images, captions, args.state, identity, device)
    part = Path(f"{args.output}.part")
    shutil.rmtree(part, ignore_errors=True)
    pipeline.to("cpu").save_pretrained(part)
    atomic.apply_umask(part)
    shutil.rmtree(
        args.output, ignore_errors=True
    )  # Snakemake makes the folder of a directory output
    part.rename(args.output)
    checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
