"""Tiny pipelines as `tiny_pipelines` has them, of classes that are younger or less used."""

from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderKLQwenImage,
    ChromaPipeline,
    ChromaTransformer2DModel,
    CogView4Pipeline,
    CogView4Transformer2DModel,
    DDIMScheduler,
    DDPMScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HunyuanDiT2DModel,
    HunyuanDiTPipeline,
    Kandinsky3Pipeline,
    Kandinsky3UNet,
    KandinskyV22CombinedPipeline,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtSigmaPipeline,
    PriorTransformer,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
    StableDiffusionXLPipeline,
    UnCLIPScheduler,
    UNet2DConditionModel,
    VQModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    GlmConfig,
    GlmModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.support.tiny_pipelines import (
    T5_WIDTH,
    WIDTH,
    autoencoder,
    blocks,
    clip,
    gemma,
    pixart,
    sana,
    stable_diffusion,
    stable_diffusion_xl,
    t5,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
HEADS = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 2 * WIDTH,
}


def sdxl_turbo() -> StableDiffusionXLPipeline:
    """SDXL of few steps: another scheduler, which adds noise at each of them."""
    pipeline = stable_diffusion_xl()
    pipeline.scheduler = EulerAncestralDiscreteScheduler(timestep_spacing="trailing")
    return pipeline


def latent_consistency() -> LatentConsistencyModelPipeline:
    """Its guidance scale is an input of the UNet."""
    sd = stable_diffusion()
    unet = UNet2DConditionModel(
        sample_size=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        time_cond_proj_dim=8,
        **blocks("CrossAttn{}Block2D"),
    )
    return LatentConsistencyModelPipeline(
        sd.vae,
        sd.text_encoder,
        sd.tokenizer,
        unet,
        LCMScheduler(),
        None,
        None,
        requires_safety_checker=False,
    )


def pixart_sigma() -> PixArtSigmaPipeline:
    return PixArtSigmaPipeline(**pixart().components)


def lumina_2() -> Lumina2Pipeline:
    tokenizer, text = gemma()
    transformer = Lumina2Transformer2DModel(
        sample_size=4,
        in_channels=4,
        hidden_size=24,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=2,
        axes_dim_rope=(4, 4, 4),
        axes_lens=(300, 16, 16),
        cap_feat_dim=WIDTH,
    )
    return Lumina2Pipeline(
        transformer,
        FlowMatchEulerDiscreteScheduler(),
        autoencoder(levels=4, shift_factor=0.06),
        text,
        tokenizer,
    )


def qwen_tokenizer() -> Qwen2Tokenizer:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = [*LETTERS, "Ġ", "Ċ", *map(str, range(10)), *".,:!?'()-", *LETTERS.upper()]
    return Qwen2Tokenizer(
        vocab={token: i for i, token in enumerate([*letters, *special])}, merges=[]
    )


def qwen_image() -> QwenImagePipeline:
    """Guided by a second pass, as its `true_cfg_scale` says: its `guidance_scale` is for other
    models of its class.
    """
    tokenizer = qwen_tokenizer()
    text = HEADS | {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    }
    vision = {
        "depth": 1,
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "num_heads": 2,
        "out_hidden_size": WIDTH,
    }
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    ).eval()
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(2, 2, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return QwenImagePipeline(
        FlowMatchEulerDiscreteScheduler(), vae, encoder, tokenizer, transformer
    )


def z_image() -> ZImagePipeline:
    tokenizer = qwen_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    text = Qwen3Model(
        Qwen3Config(**HEADS, vocab_size=len(tokenizer), hidden_size=WIDTH, head_dim=8)
    ).eval()
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=24,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 4, 4],
        axes_lens=[1024, 16, 16],
    )
    return ZImagePipeline(
        FlowMatchEulerDiscreteScheduler(),
        autoencoder(shift_factor=0.06),
        text,
        tokenizer,
        transformer,
    )


def aura_flow() -> AuraFlowPipeline:
    tokenizer, _ = t5()
    text = UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer), d_model=T5_WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=4
        )
    ).eval()
    transformer = AuraFlowTransformer2DModel(
        sample_size=8,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=WIDTH,
        pos_embed_max_size=16,
    )
    return AuraFlowPipeline(
        tokenizer, text, autoencoder(), transformer, FlowMatchEulerDiscreteScheduler()
    )


def chroma() -> ChromaPipeline:
    tokenizer, text = t5()
    transformer = ChromaTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8,
        approximator_hidden_dim=8,
        approximator_layers=1,
    )
    return ChromaPipeline(
        FlowMatchEulerDiscreteScheduler(),
        autoencoder(shift_factor=0.06),
        text,
        tokenizer,
        transformer,
    )


def hunyuan_dit() -> HunyuanDiTPipeline:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]
    tokens += [f"##{letter}" for letter in LETTERS]
    tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate(tokens)})
    config = BertConfig(vocab_size=len(tokens), hidden_size=WIDTH, **HEADS)
    text = BertModel(config).eval()
    tokenizer_2, text_2 = t5()
    transformer = HunyuanDiT2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        patch_size=2,
        sample_size=8,
        hidden_size=WIDTH,
        num_layers=2,
        cross_attention_dim=WIDTH,
        cross_attention_dim_t5=T5_WIDTH,
        pooled_projection_dim=WIDTH,
        text_len=77,
        text_len_t5=256,
        use_style_cond_and_image_meta_size=False,
    )
    parts = (autoencoder(), text, tokenizer, transformer, DDPMScheduler(), None, None)
    return HunyuanDiTPipeline(
        *parts, requires_safety_checker=False, text_encoder_2=text_2, tokenizer_2=tokenizer_2
    )


def movq() -> VQModel:
    up = ["AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 3]
    sides = {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": up,
        "block_out_channels": [32] * 4,
    }  # its attention has 32 groups
    return VQModel(
        **sides, latent_channels=4, num_vq_embeddings=12, vq_embed_dim=4, norm_type="spatial"
    )


def kandinsky_3() -> Kandinsky3Pipeline:
    tokenizer, text = t5()
    unet = Kandinsky3UNet(
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(8, 16),
        cross_attention_dim=4,
        encoder_hid_dim=T5_WIDTH,
    )
    return Kandinsky3Pipeline(tokenizer, text, unet, DDPMScheduler(), movq())


def kandinsky_2_2() -> KandinskyV22CombinedPipeline:
    """A prior from the text to the embedding of an image, and a decoder of that; one guidance scale
    is for the decoder.
    """
    tokenizer, text = clip(CLIPTextModelWithProjection)
    vision = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            projection_dim=WIDTH,
            intermediate_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=16,
            patch_size=8,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=8,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        addition_embed_type="image",
        attention_head_dim=4,
        norm_num_groups=4,
        resnet_time_scale_shift="scale_shift",
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        **blocks("SimpleCrossAttn{}Block2D"),
    )
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        embedding_dim=WIDTH,
        num_embeddings=tokenizer.model_max_length,
    )
    scheduler = UnCLIPScheduler(
        variance_type="fixed_small_log",
        prediction_type="sample",
        clip_sample=True,
        clip_sample_range=5.0,
    )
    return KandinskyV22CombinedPipeline(
        unet,
        DDIMScheduler(clip_sample=False),
        movq(),
        prior,
        vision,
        text,
        tokenizer,
        scheduler,
        CLIPImageProcessor(),
    )


def cogview_4() -> CogView4Pipeline:
    tokenizer, _ = t5()
    text = GlmModel(
        GlmConfig(**HEADS, vocab_size=len(tokenizer), hidden_size=WIDTH, head_dim=8, pad_token_id=0)
    ).eval()
    transformer = CogView4Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=WIDTH,
        time_embed_dim=8,
        condition_dim=4,
        pos_embed_max_size=16,
        sample_size=8,
        rope_axes_dim=(16, 16),
    )
    return CogView4Pipeline(
        tokenizer,
        text,
        autoencoder(),
        transformer,
        FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type="linear"),
    )


def sana_sprint() -> SanaSprintPipeline:
    """Sana in 1 to 4 steps; its guidance scale is an input of the model."""
    parts = sana().components
    config = dict(parts["transformer"].config) | {"guidance_embeds": True}
    parts |= {"transformer": SanaTransformer2DModel(**config), "scheduler": SCMScheduler()}
    return SanaSprintPipeline(**parts)


BUILDERS = {
    "sana_sprint": sana_sprint,
    "sdxl_turbo": sdxl_turbo,
    "latent_consistency": latent_consistency,
    "pixart_sigma": pixart_sigma,
    "lumina_2": lumina_2,
    "qwen_image": qwen_image,
    "z_image": z_image,
    "aura_flow": aura_flow,
    "chroma": chroma,
    "hunyuan_dit": hunyuan_dit,
    "kandinsky_3": kandinsky_3,
    "kandinsky_2_2": kandinsky_2_2,
    "cogview_4": cogview_4,
}

SIZES = dict.fromkeys(BUILDERS, 16) | {  # pixels a side, the smallest that each can have
    "lumina_2": 32,
    "kandinsky_3": 64,
    "kandinsky_2_2": 64,
    "sana_sprint": 32,
}
