"""Keys of a generator as arguments of a pipeline's call, and keys that would have no effect."""

import inspect
from collections.abc import Iterable

from synscale.models.schedulers import SamplerError
from synscale.workflow.settings.generation import Sampling

# Keys of a generator and the words by which errors of diffusers name them.
ARGUMENTS = {
    "steps": ("num_inference_steps", "timesteps", "sigmas"),
    "size": ("height", "width", "resolution"),
    "sampler": ("scheduler", "prediction_type"),
    "negative_prompt": ("negative_prompt",),
}
# Classes whose images do not depend on the other prompts of a batch: prompts are padded to one
# length, or masked. The tests compare images of very different prompts.
WHOLE_BATCHES = {
    "AmusedPipeline",
    "AuraFlowPipeline",
    "ChromaPipeline",
    "Flux2KleinPipeline",
    "FluxPipeline",
    "HunyuanDiTPAGPipeline",
    "HunyuanDiTPipeline",
    "IFPipeline",
    "KandinskyV22CombinedPipeline",
    "LatentConsistencyModelPipeline",
    "Lumina2Pipeline",
    "PixArtAlphaPipeline",
    "PixArtSigmaPAGPipeline",
    "PixArtSigmaPipeline",
    "QwenImagePipeline",
    "SanaPAGPipeline",
    "SanaPipeline",
    "SanaSprintPipeline",
    "StableDiffusion3PAGPipeline",
    "StableDiffusion3Pipeline",
    "StableDiffusionPAGPipeline",
    "StableDiffusionPipeline",
    "StableDiffusionSAGPipeline",
    "StableDiffusionXLPAGPipeline",
    "StableDiffusionXLPipeline",
    "TwoStages",
    "ZImagePipeline",
}
# Classes that pad prompts to the longest one of a batch without a mask.
EQUAL_LENGTHS = {"CogView4Pipeline", "Kandinsky3Pipeline"}
TESTED = WHOLE_BATCHES | EQUAL_LENGTHS  # other classes sample one image at a time


def _parameters(pipeline) -> set[str]:
    return set(inspect.signature(pipeline.__call__).parameters)


def _config(pipeline, part: str) -> dict:
    return getattr(getattr(pipeline, part, None), "config", {})


def _is_scale_an_input(pipeline) -> bool:
    """Return whether the denoiser reads the guidance scale, as FLUX.1 [dev] does."""
    embedded = _config(pipeline, "unet").get("time_cond_proj_dim") is not None
    return embedded or bool(_config(pipeline, "transformer").get("guidance_embeds"))


def _is_guided(pipeline, scale: float) -> bool:
    """Return whether a second pass, on the negative prompt, runs at a scale.

    It is not known for a class that is not tested, and is assumed there.
    """
    if type(pipeline).__name__ not in TESTED | {"IFSuperResolutionPipeline"}:
        return True
    if "true_cfg_scale" in _parameters(pipeline):
        return scale > 1 and not _is_scale_an_input(pipeline)
    if isinstance(getattr(type(pipeline), "do_classifier_free_guidance", None), property):
        pipeline._guidance_scale = scale  # the property reads it; a call sets it
        return bool(pipeline.do_classifier_free_guidance)
    return scale > 1 and not _is_scale_an_input(pipeline)


def _reads_negative_prompt(pipeline, scale: float) -> bool:
    parameters = _parameters(pipeline)
    if "negative_prompt" not in parameters:
        return False
    if upscaler := getattr(pipeline, "upscaler", None):
        return scale > 1 or _is_guided(upscaler, pipeline.settings.guidance)
    return "prior_guidance_scale" in parameters or _is_guided(pipeline, scale)


def check(pipeline, sampling: Sampling, scales: Iterable[float]) -> None:
    """Raise SamplerError for a key that would have no effect on any image.

    Parameters
    ----------
    pipeline : DiffusionPipeline or TwoStages
        Pipeline as it is sampled.
    sampling : PretrainedGenerator or TrainedSampling
    scales : iterable of float
        Every guidance scale of the source.
    """
    first = getattr(pipeline, "first", pipeline)
    name = type(first).__name__
    scales = sorted(scales)
    negative = sampling.negative_prompt
    if negative and scales and not any(_reads_negative_prompt(pipeline, s) for s in scales):
        at = f"guidance scale{'s' * (len(scales) > 1)} {_listed(scales)}"
        message = f"a {name} ignores it at {at}; remove the key"
        raise SamplerError(f"negative_prompt = {negative!r}: {message}")
    if _is_scale_an_input(first):
        return
    same = [scale for scale in scales if not _is_guided(first, scale)]
    if len(same) > 1:
        reason = "runs without guidance at each of them, so that only their seeds differ"
        raise SamplerError(f"guidance scales {_listed(same)}: a {name} {reason}; keep one")


def _listed(scales: list[float]) -> str:
    return " and ".join(f"{scale:g}" for scale in scales)


def guidance(pipeline, scale: float, negative: str, count: int) -> dict:
    """Return the arguments that guide a pipeline at a scale.

    Some models of a class have the scale as an input, others ignore it. Those (Qwen-Image,
    FLUX.1 [schnell]) are guided by a second pass on the negative prompt. Models differ in what no
    negative prompt is: the empty text or zeros.

    Parameters
    ----------
    pipeline
        Pipeline of diffusers.
    scale : float
        Guidance scale.
    negative : str
        Negative prompt.
    count : int
        Number of images.
    """
    if "true_cfg_scale" in _parameters(pipeline) and not _is_scale_an_input(pipeline):
        # The authors of Qwen-Image write no negative prompt as a space.
        return {"true_cfg_scale": scale, "negative_prompt": [negative or " "] * count}
    return {"guidance_scale": scale, "negative_prompt": [negative] * count if negative else None}


def refusal(pipeline, sampling: Sampling, error: Exception) -> str:
    """Return a message for an error that diffusers raised, with the key to change.

    Parameters
    ----------
    pipeline
        Pipeline of diffusers.
    sampling : Sampling
        Settings that the pipeline was called with.
    error : Exception
        What it raised.
    """
    named = [key for key, words in ARGUMENTS.items() if any(word in str(error) for word in words)]
    where = f"{named[0]} = {getattr(sampling, named[0])!r}" if named else ", ".join(ARGUMENTS)
    fix = f"change {named[0] if named else 'one of these keys'}"
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{where}: a {type(pipeline).__name__} refuses it ({reason}); {fix}"


def groups(pipeline, prompts: list[str], negative: str) -> list[list[int]]:
    """Split a batch so that no image depends on the other prompts of its batch.

    Parameters
    ----------
    pipeline : DiffusionPipeline or TwoStages
    prompts : list of str
    negative : str
        Negative prompt, or the empty text.

    Returns
    -------
    list of list of int
        Places in `prompts` that are sampled together.
    """
    name = type(pipeline).__name__
    if negative and "prior_guidance_scale" in _parameters(pipeline):
        return [[place] for place in range(len(prompts))]  # such a prior fails on more prompts
    if name in WHOLE_BATCHES:
        return [list(range(len(prompts)))]
    if name not in EQUAL_LENGTHS:
        return [[place] for place in range(len(prompts))]
    by_lengths: dict[tuple, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_lengths.setdefault(_lengths(pipeline, prompt), []).append(place)
    return list(by_lengths.values())


def _lengths(pipeline, prompt: str) -> tuple[int, ...]:
    """Return the number of tokens of a prompt for each tokenizer."""
    parts = getattr(pipeline, "components", {}).values()
    tokenizers = [getattr(part, "tokenizer", part) for part in parts]
    tokenizers = [part for part in tokenizers if hasattr(part, "convert_tokens_to_ids")]
    return tuple(len(tokenizer(prompt)["input_ids"]) for tokenizer in tokenizers)
