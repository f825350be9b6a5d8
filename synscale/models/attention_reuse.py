"""Pyramid attention broadcast (Zhao et al., arXiv 2408.12588): attention in some steps only."""

from diffusers import (
    DiffusionPipeline,
    PyramidAttentionBroadcastConfig,
    UNet2DConditionModel,
    apply_pyramid_attention_broadcast,
)
from diffusers.hooks import HookRegistry
from diffusers.pipelines.pipeline_utils import StableDiffusionMixin

from synscale.models.schedulers import SamplerError

REUSED = (100, 800)  # times at which attention is reused, in thousandths of the way to go


class _Progress:
    """Progress of the sampling of a UNet: 1000 at its first step, towards 0 at the last.

    It does not depend on the times of the scheduler.
    """

    def __init__(self, pipeline: DiffusionPipeline):
        self.pipeline = pipeline
        self.steps = 0
        pipeline.unet.register_forward_pre_hook(self.step)

    def step(self, unet: UNet2DConditionModel, _) -> None:
        if self.steps == self.pipeline.num_timesteps:  # new images
            self.steps = 0
            HookRegistry.check_if_exists_or_initialize(unet).reset_stateful_hooks(recurse=True)
        self.steps += 1

    def __call__(self) -> float:
        return 1000 * (1 - (self.steps - 1) / self.pipeline.num_timesteps)


def apply(pipeline: DiffusionPipeline, every: int, steps: int) -> None:
    """Reuse attention between a tenth and four fifths of the way.

    Attention is computed in every `every`-th step, and reused in the steps between them. The step
    decides, so no image depends on its batch.

    Parameters
    ----------
    pipeline : DiffusionPipeline
        Pipeline of the kind of Stable Diffusion or SDXL.
    every : int
        Distance of the steps that compute attention.
    steps : int
        Number of steps of a sampling.

    Raises
    ------
    SamplerError
        If the two halves of guidance do not share a pass of one UNet, because one would get the
        attention of the other; or if no step would reuse attention.
    """
    is_one_unet = isinstance(getattr(pipeline, "unet", None), UNet2DConditionModel)
    if not isinstance(pipeline, StableDiffusionMixin) or not is_one_unet:
        kinds = "for pipelines of the kind of Stable Diffusion and SDXL"
        problem = f"this is a {type(pipeline).__name__}"
        raise SamplerError(f"reuse_attention: {kinds}, and {problem}; remove the key")
    times = [1000 * (1 - step / steps) for step in range(steps)]
    if not any(REUSED[0] < time < REUSED[1] and step % every for step, time in enumerate(times)):
        reason = f"no attention is reused in {steps} step{'s' * (steps > 1)}"
        raise SamplerError(f"reuse_attention = {every}: {reason}; remove the key or add steps")
    ranges: dict[str, int | tuple[int, int]] = {}
    for kind in ("spatial", "cross"):
        ranges[f"{kind}_attention_block_skip_range"] = every
        ranges[f"{kind}_attention_timestep_skip_range"] = REUSED
    progress = _Progress(pipeline)
    config = PyramidAttentionBroadcastConfig(**ranges, current_timestep_callback=progress)
    apply_pyramid_attention_broadcast(pipeline.unet, config)
