"""Text-to-image pipelines that are small enough to be trained by the workflow.

Their sizes are our choice; synscale/training/generator_loop.py trains them.
"""

from collections import Counter
from collections.abc import Iterable

from diffusers import (
    AmusedPipeline,
    AmusedScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UVit2DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from synscale.models.pixel_space import GreyLevelTokens, PixelAutoencoder
from synscale.workflow.settings.generation import GeneratorTrainingSettings

MAX_TOKENS = 24
MOST_WORDS = 20_000  # words that have a token
GREY_LEVELS = 17  # grey levels of the digits


def build_tokenizer(texts: Iterable[str]) -> CLIPTokenizer:
    """Return a CLIP tokenizer with a token for each of the most frequent words of `texts`.

    Other words are split into letters.
    """
    pre_tokenizer = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text.lower()))
    words = [word for word, _ in counts.most_common(MOST_WORDS)]
    letters = sorted(set("".join(counts)) | set("abcdefghijklmnopqrstuvwxyz,."))
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters]
    vocabulary += [f"{letter}</w>" for letter in letters]
    merges: dict[tuple[str, str], None] = {}
    for word in sorted(words):
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges[(parts[0], parts[1])] = None
            parts[:2] = ["".join(parts[:2])]
            vocabulary.append(parts[0])
    ids = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    return CLIPTokenizer(vocab=ids, merges=list(merges), model_max_length=MAX_TOKENS)


def text_config(width: int, layers: int, tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """Return the configuration of a CLIP text encoder for a tokenizer.

    Parameters
    ----------
    width : int
        Width of the encoder.
    layers : int
        Number of layers.
    tokenizer : CLIPTokenizer
    """
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_diffusion(
    settings: GeneratorTrainingSettings, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """Return an untrained Stable Diffusion pipeline in pixel space.

    Parameters
    ----------
    settings : GeneratorTrainingSettings
        Sizes of the networks.
    tokenizer : CLIPTokenizer
    """
    generator = settings.generator
    levels = len(generator.channels)
    unet = UNet2DConditionModel(
        sample_size=settings.image_size,
        in_channels=settings.channels,
        out_channels=settings.channels,
        block_out_channels=generator.channels,
        layers_per_block=1,
        down_block_types=["DownBlock2D"] * levels,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=["UpBlock2D"] * levels,
        cross_attention_dim=generator.text_width,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    config = text_config(generator.text_width, generator.text_layers, tokenizer)
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False, steps_offset=1)
    return StableDiffusionPipeline(
        vae=PixelAutoencoder(latent_channels=settings.channels),
        text_encoder=CLIPTextModel(config),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build_masked_token(
    settings: GeneratorTrainingSettings, tokenizer: CLIPTokenizer
) -> AmusedPipeline:
    """Return an untrained aMUSEd pipeline on grey levels.

    Parameters
    ----------
    settings : GeneratorTrainingSettings
        Sizes of the networks.
    tokenizer : CLIPTokenizer
    """
    generator = settings.generator
    levels = generator.levels or GREY_LEVELS
    config = text_config(generator.text_width, generator.text_layers, tokenizer)
    transformer = UVit2DModel(
        hidden_size=generator.width,
        cond_embed_dim=generator.text_width,
        micro_cond_encode_dim=8,
        micro_cond_embed_dim=5 * 8,
        encoder_hidden_size=generator.text_width,
        vocab_size=levels + 1,
        codebook_size=levels,
        in_channels=generator.width,
        block_out_channels=generator.width,
        num_res_blocks=1,
        downsample=True,
        upsample=True,
        block_num_heads=generator.heads,
        num_hidden_layers=generator.layers,
        num_attention_heads=generator.heads,
        intermediate_size=2 * generator.width,
        sample_size=settings.image_size,
    )
    # Built after the transformer: the order decides which random numbers are the initial weights.
    text_encoder = CLIPTextModelWithProjection(config)
    return AmusedPipeline(
        vqvae=GreyLevelTokens(levels=levels),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        transformer=transformer,
        scheduler=AmusedScheduler(mask_token_id=levels),
    )


def build(settings: GeneratorTrainingSettings, tokenizer: CLIPTokenizer) -> DiffusionPipeline:
    """Return an untrained pipeline of the generator's kind.

    Parameters
    ----------
    settings : GeneratorTrainingSettings
        Kind of the generator and sizes of its networks.
    tokenizer : CLIPTokenizer
    """
    if settings.generator.kind == "diffusion":
        return build_diffusion(settings, tokenizer)
    return build_masked_token(settings, tokenizer)
