"""LoRA weights (Hu et al. 2021) in diffusers' format: added to a pipeline that is then sampled."""

from pathlib import Path

from diffusers import DiffusionPipeline

from synscale.models import checksums
from synscale.models.schedulers import SamplerError


def add(pipeline: DiffusionPipeline, file: Path, scale: float = 1.0) -> None:
    """Add LoRA weights to the weights of a pipeline, which is then sampled at its usual speed.

    Parameters
    ----------
    pipeline : DiffusionPipeline
    file : Path
        LoRA weights as safetensors.
    scale : float
        Factor on the update.

    Raises
    ------
    SamplerError
        If diffusers has no LoRA for pipelines of this class, or the weights do not fit the model.
    WeightsError
        If the file is damaged.
    """
    kind = type(pipeline).__name__
    if not hasattr(pipeline, "load_lora_weights"):
        raise SamplerError(f"lora: diffusers adds none to a {kind}; remove the key")
    checksums.check_readable(file.parent)
    try:
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name, local_files_only=True)
        adapters = pipeline.get_list_adapters()
    except (ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        fix = "name weights that were trained for this model"
        raise SamplerError(f"lora: {file.name} does not fit a {kind} ({reason}); {fix}") from None
    if not adapters:  # diffusers only warns of it
        fix = "name weights that were trained for this model"
        raise SamplerError(f"lora: {file.name} has no weights of a {kind}; {fix}")
    pipeline.fuse_lora(components=list(adapters), lora_scale=scale)
    pipeline.unload_lora_weights()
