"""Models that evaluate images or write prompts, of random weights and a few channels."""

import json
from pathlib import Path

import timm
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = [
    "a",
    "thick",
    "thin",
    "round",
    "digit",
    "on",
    "paper",
    "pen",
    "ink",
    "loop",
    "stroke",
    "form",
    "of",
    "the",
    "written",
    "slanted",
]
VIT = {"img_size": 24, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


def save_t5(folder, names) -> str:
    """Save a T5 that knows the words of these class names in addition to WORDS."""
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁{word}", -2.0) for word in dict.fromkeys([*WORDS, *" ".join(names).split()])),
    ]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(pieces),
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_blip2(folder, ends_at_once: bool = False, language: str = "opt") -> str:
    """Save a BLIP-2, whose language model (OPT or T5) continues or answers a text."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        BlipImageProcessor,
        PreTrainedTokenizerFast,
    )

    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 1)]
    )  # as that of OPT begins
    special = {"pad_token": "<pad>", "bos_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **special)
    processor = Blip2Processor(
        BlipImageProcessor(size={"height": 16, "width": 16}), tokenizer, num_query_tokens=4
    )
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
        "vocab_size": len(tokenizer),
        "model_type": language,
        "tie_word_embeddings": False,
    }
    opt = {"ffn_dim": 16, "word_embed_proj_dim": 16, "max_position_embeddings": 32} | small
    t5 = {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 2,
        "decoder_start_token_id": 0,
    }
    config = Blip2Config(
        vision_config=small | {"intermediate_size": 16, "image_size": 16, "patch_size": 8},
        qformer_config=small
        | {
            "intermediate_size": 16,
            "vocab_size": 8,
            "encoder_hidden_size": 16,
            "cross_attention_frequency": 1,
        },
        text_config=text | {"opt": opt, "t5": t5}[language],
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = Blip2ForConditionalGeneration(config)
    for weights in model.parameters():
        if weights.dim() > 1:  # initial weights hardly depend on the image
            weights.data.normal_()
    # Padding, <unk> and <image> are no words.
    model.language_model.lm_head.weight.data[[0, 2, -1]] = 0
    if ends_at_once:
        last = model.language_model.model.decoder.final_layer_norm
        last.weight.data.zero_()
        last.bias.data = 10 * model.language_model.lm_head.weight.data[1]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def save_reference(folder, classes: int) -> None:
    """Save a ViT as timm does for the hub, of 24 px, for images resized to 30."""
    torch.manual_seed(0)
    model = timm.create_model("vit_base_patch16_224", num_classes=classes, **VIT)
    config = {
        "input_size": [3, 24, 24],
        "crop_pct": 0.8,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.4],
        "interpolation": "bicubic",
        "num_classes": classes,
    }
    timm.models.save_for_hf(
        model,
        folder,
        model_config={"pretrained_cfg": model.pretrained_cfg | config, "model_args": VIT},
        safe_serialization=True,
    )


def save_dinov2(folder) -> None:
    """Save a DINOv2 without classes as timm does for the hub, of 28 px."""
    torch.manual_seed(0)
    sizes = {"img_size": 28, "embed_dim": 16, "depth": 1, "num_heads": 2}
    model = timm.create_model("vit_small_patch14_dinov2.lvd142m", pretrained=False, **sizes)
    config = {"input_size": [3, 28, 28], "crop_pct": 1.0, "num_classes": 0}
    timm.models.save_for_hf(
        model,
        folder,
        model_config={"pretrained_cfg": model.pretrained_cfg | config, "model_args": sizes},
        safe_serialization=True,
    )


def save_open_clip(folder) -> None:
    """Save a CLIP model as open_clip does for the hub, of 24 px."""
    torch.manual_seed(0)
    vision = {"image_size": 24, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "layers": 1, "heads": 2}
    model = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    preprocessing = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    config = {"model_cfg": model, "preprocess_cfg": preprocessing}
    Path(folder, "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(CLIP(**model).state_dict(), Path(folder, "open_clip_model.safetensors"))
