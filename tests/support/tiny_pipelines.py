"""Text-to-image pipelines of random weights and a few channels; most of 16 px, 8 x 8 latents."""

import torch
from diffusers import (
    AmusedPipeline,
    AmusedScheduler,
    AutoencoderDC,
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    IFPipeline,
    IFSuperResolutionPipeline,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UVit2DModel,
    VQModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from synscale.models import small_generators
from synscale.study.models.generators import PretrainedGenerator

PROMPTS = ["one", "a thick two", "three", "four", "five"]
WIDTH = 16
T5_WIDTH = 32


def sampling(**keys) -> PretrainedGenerator:
    """Return the settings of a generator of 16 pixels and two steps, with other keys."""
    defaults = {"model": "./model", "size": 16, "steps": 2, "batch_size": 4}
    return PretrainedGenerator(kind="pretrained", **defaults | keys)


def clip(kind=CLIPTextModel):
    tokenizer = small_generators.build_tokenizer(PROMPTS)
    return tokenizer, kind(small_generators.text_config(WIDTH, 1, tokenizer))


def t5():
    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters], extra_ids=0
    )
    return tokenizer, T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=T5_WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=4
        )
    ).eval()


def blocks(kind: str) -> dict:
    return {
        "down_block_types": [kind.format("Down")],
        "up_block_types": [kind.format("Up")],
        "block_out_channels": [8],
        "layers_per_block": 1,
    }


def autoencoder(levels: int = 2, **changes) -> AutoencoderKL:
    sides = {
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": [8] * levels,
    }
    return AutoencoderKL(**sides, latent_channels=4, norm_num_groups=4, **changes)


def stable_diffusion() -> StableDiffusionPipeline:
    tokenizer, text = clip()
    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            cross_attention_dim=WIDTH,
            attention_head_dim=4,
            norm_num_groups=4,
            **blocks("CrossAttn{}Block2D"),
        ),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_with_checker() -> StableDiffusionPipeline:
    """Return a pipeline with a random safety checker, which flags some images and others not."""
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "projection_dim": 8,
    }
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(
            text_config=small,
            vision_config=small | {"image_size": 16, "patch_size": 8},
            projection_dim=8,
        )
    )
    for weights in checker.vision_model.parameters():
        if weights.dim() > 1:  # initial weights hardly depend on the image
            weights.data.normal_()
    checker.concept_embeds.data.normal_()
    checker.special_care_embeds.data.normal_()
    checker.concept_embeds_weights.data.fill_(0.7)
    checker.special_care_embeds_weights.data.fill_(0.4)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    pipeline = stable_diffusion()
    pipeline.register_modules(safety_checker=checker, feature_extractor=processor)
    pipeline.register_to_config(requires_safety_checker=True)
    return pipeline


def stable_diffusion_xl() -> StableDiffusionXLPipeline:
    tokenizer, text = clip()
    tokenizer_2, text_2 = clip(CLIPTextModelWithProjection)
    unet = UNet2DConditionModel(
        sample_size=8,
        cross_attention_dim=2 * WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        **blocks("CrossAttn{}Block2D"),
    )
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    return StableDiffusionXLPipeline(
        autoencoder(), text, text_2, tokenizer, tokenizer_2, unet, scheduler
    )


def if_unet(**changes) -> UNet2DConditionModel:
    """Return a UNet of pixels, which predicts its variance too."""
    return UNet2DConditionModel(
        out_channels=6,
        cross_attention_dim=T5_WIDTH,
        encoder_hid_dim=T5_WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        **blocks("SimpleCrossAttn{}Block2D"),
        **changes,
    )


def deepfloyd_if() -> IFPipeline:
    tokenizer, text = t5()
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, variance_type="learned_range"
    )
    return IFPipeline(
        tokenizer,
        text,
        if_unet(sample_size=16, in_channels=3),
        scheduler,
        None,
        None,
        None,
        requires_safety_checker=False,
    )


def deepfloyd_if_upscaler() -> IFSuperResolutionPipeline:
    """From 16 to 32 pixels. As published it has the text encoder too, which no one needs twice."""
    tokenizer, text = t5()
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, variance_type="learned_range"
    )
    unet = if_unet(sample_size=32, in_channels=6, class_embed_type="timestep")
    noise = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    return IFSuperResolutionPipeline(
        tokenizer, text, unet, scheduler, noise, None, None, None, requires_safety_checker=False
    )


def amused() -> AmusedPipeline:
    tokenizer, text = clip(CLIPTextModelWithProjection)
    codes = 32
    two = {
        "block_out_channels": [8, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
    }
    transformer = UVit2DModel(
        hidden_size=WIDTH,
        cond_embed_dim=WIDTH,
        micro_cond_encode_dim=8,
        micro_cond_embed_dim=5 * 8,
        encoder_hidden_size=WIDTH,
        vocab_size=codes + 1,
        codebook_size=codes,
        in_channels=WIDTH,
        block_out_channels=WIDTH,
        num_res_blocks=1,
        downsample=True,
        upsample=True,
        block_num_heads=2,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        sample_size=8,
    )
    vqvae = VQModel(
        **two,
        latent_channels=8,
        norm_num_groups=4,
        num_vq_embeddings=codes,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    return AmusedPipeline(vqvae, tokenizer, text, transformer, AmusedScheduler(mask_token_id=codes))


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    tokenizer, text = clip(CLIPTextModelWithProjection)
    tokenizer_2, text_2 = clip(CLIPTextModelWithProjection)
    tokenizer_3, text_3 = t5()
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    vae = autoencoder(shift_factor=0.06, scaling_factor=1.5)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return StableDiffusion3Pipeline(
        transformer, scheduler, vae, text, tokenizer, text_2, tokenizer_2, text_3, tokenizer_3
    )


def flux() -> FluxPipeline:
    """Its guidance scale is an input of the model, as in FLUX.1 [dev]."""
    tokenizer, text = clip()
    tokenizer_2, text_2 = t5()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )
    vae = autoencoder(
        shift_factor=0.06, scaling_factor=1.5, use_quant_conv=False, use_post_quant_conv=False
    )
    return FluxPipeline(
        FlowMatchEulerDiscreteScheduler(), vae, text, tokenizer, text_2, tokenizer_2, transformer
    )


def pixart() -> PixArtAlphaPipeline:
    tokenizer, text = t5()
    transformer = PixArtTransformer2DModel(
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_channels=T5_WIDTH,
        in_channels=4,
        cross_attention_dim=WIDTH,
        out_channels=8,
    )
    return PixArtAlphaPipeline(
        tokenizer, text, autoencoder(), transformer, DPMSolverMultistepScheduler()
    )


def gemma():
    letters = [*"abcdefghijklmnopqrstuvwxyz", "▁"]
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = GemmaTokenizer(vocab={token: i for i, token in enumerate([*special, *letters])})
    sizes = {
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    return tokenizer, Gemma2Model(
        Gemma2Config(vocab_size=len(tokenizer), hidden_size=WIDTH, **sizes)
    ).eval()


def sana() -> SanaPipeline:
    tokenizer, text = gemma()
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=WIDTH,
        caption_channels=WIDTH,
        sample_size=8,
    )
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
    )
    return SanaPipeline(tokenizer, text, vae, transformer, FlowMatchEulerDiscreteScheduler())


BUILDERS = {
    "stable_diffusion": stable_diffusion,
    "stable_diffusion_xl": stable_diffusion_xl,
    "deepfloyd_if": deepfloyd_if,
    "amused": amused,
    "stable_diffusion_3": stable_diffusion_3,
    "flux": flux,
    "pixart": pixart,
    "sana": sana,
}
OTHERS = {
    "deepfloyd_if_upscaler": deepfloyd_if_upscaler,
    "stable_diffusion_with_checker": stable_diffusion_with_checker,
}
# Pixels a side; Sana takes only multiples of 32.
SIZES = dict.fromkeys(BUILDERS, 16) | {"sana": 32}


def save(name: str, folder, builders: dict = BUILDERS | OTHERS) -> None:
    """Build a pipeline, always the same, and save it as its publishers do."""
    torch.manual_seed(0)
    builders[name]().save_pretrained(folder)
