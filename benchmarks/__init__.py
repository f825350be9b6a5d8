"""Measurements of speed and memory, each with its prediction."""

import synscale.runtime.torch_setup  # noqa: F401  (before torchvision, timm, open_clip, diffusers)
