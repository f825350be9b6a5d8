"""Evaluation: metrics of trained models and of sets of images."""

import synscale.runtime.torch_setup  # noqa: F401
