"""Pipelines compiled by torch, as a study may ask for."""

import torch
from diffusers import DiffusionPipeline, ModelMixin


def compile_models(pipeline: DiffusionPipeline, backend: str) -> None:
    """Apply what diffusers recommends for speed: channels last, fused projections, torch.compile.

    Only the decoder of an autoencoder is compiled. Mode max-autotune is not used: it takes the
    fastest kernel of a race, so that jobs could round differently. dynamic is off, as all batches
    have one shape.

    Parameters
    ----------
    pipeline : DiffusionPipeline
        Changed in place.
    backend : str
        Backend of torch.compile.
    """
    for model in pipeline.components.values():
        if not isinstance(model, ModelMixin):
            continue
        if all(parameter.dim() <= 4 for parameter in model.parameters()):  # not a model of videos
            model.to(memory_format=torch.channels_last)
        processors = getattr(model, "attn_processors", {}).values()
        # Diffusers does not fuse projections if keys of texts are added.
        adds_texts = any("Added" in type(processor).__name__ for processor in processors)
        if hasattr(model, "fuse_qkv_projections") and not adds_texts:
            model.fuse_qkv_projections()
        getattr(model, "decoder", model).compile(backend=backend, dynamic=False)
