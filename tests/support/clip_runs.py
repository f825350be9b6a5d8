"""Tiny CLIP trainings: their images, runs and settings."""

import numpy as np
import torch

from scripts.lib import shards

CPU = torch.device("cpu")
TINY = {"embed_dim": 8, "patch_size": 4, "width": 16, "depth": 1, "heads": 2, "text_width": 16, "text_depth": 1, "text_heads": 2, "context_length": 12}
TINY |= {"merges": 300}
NAMES = ["dark", "light"]


def write_source(path, images: int, guidance=(None,), shown=lambda i: NAMES[i % 2]) -> str:
    """Noise around a class's grey, 8 x 8, with what is shown as its text, at each guidance scale; returns the path of the tar."""
    random, rows = np.random.default_rng(len(path.name)), []
    for scale in guidance:
        for i in range(images):
            pixels = random.integers(0, 60, (8, 8), np.uint8) + np.uint8(190 * (i % 2))
            row = {"image": i, "class_id": i % 2, "prompt": shown(i), "caption": "thick, wide" if i % 4 < 2 else "thin"}
            rows.append((f"{scale}-{i:03d}", pixels, row | ({} if scale is None else {"guidance": scale})))
    shards.write(path, rows)
    return str(path)


def run_of(name: str, *parts: tuple, seed: int = 0, iterations: int = 4) -> dict:
    own = [{"source": source, "guidance": guidance, "images": images} for source, guidance, images in parts]
    run = {"source": "both", "guidance": None, "architecture": "tiny", "size": sum(part["images"] for part in own), "seed": seed, "name": name}
    return run | {"iterations": iterations, "parts": own}


def settings_of(*runs: dict, inputs: dict, **training) -> dict:
    recipe = {"batch_size": 8, "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.2, "crop_scale": [0.7, 1.0], "checkpoints": 1} | training
    return {"runs": list(runs), "inputs": inputs, "architectures": {"tiny": TINY}, "training": recipe, "image_size": 8, "channels": 1}
