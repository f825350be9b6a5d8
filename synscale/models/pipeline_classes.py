"""Classes that a model_index.json names: checked before any weights are downloaded."""

import inspect
from importlib.metadata import version

import diffusers
from diffusers.pipelines.pipeline_loading_utils import simple_get_class_obj
from diffusers.utils.import_utils import DummyObject

import synscale.models.pixel_space  # noqa: F401  (a component of trained generators)
from synscale.models import checksums
from synscale.models.checksums import WeightsError

LIBRARIES = {"diffusers", "transformers", "synscale.models.pixel_space"}
IMAGES = {"image", "images", "control_image", "condtioning_image", "mask_image", "input_images"}
IMAGES |= {"reference_image", "image_embeds", "image_embeddings"}
FRAMES = {"num_frames", "frames", "video", "video_length", "frame_size"}
FRAMES |= {"audio_length_in_s", "audio_end_in_s", "audio_duration", "control_video"}
# Classes that take images, and generate from a text without one.
IMAGE_IS_OPTIONAL = {
    "BriaFibo2Pipeline",
    "DreamLiteMobilePipeline",
    "DreamLitePipeline",
    "Flux2KleinKVPipeline",
    "Flux2KleinPipeline",
    "Flux2Pipeline",
    "GlmImagePipeline",
    "OmniGenPipeline",
    "QwenImage21Pipeline",
    "StableCascadeCombinedPipeline",
    "UniDiffuserPipeline",
}
# Classes that return embeddings, sound, text or depth, which their parameters do not show.
NO_IMAGES = {
    "KandinskyPriorPipeline",
    "KandinskyV22PriorPipeline",
    "LLaDA2Pipeline",
    "LongCatAudioDiTPipeline",
    "StableAudio3AudioToAudioPipeline",
    "StableAudio3InpaintPipeline",
    "StableAudio3Pipeline",
    "StableDiffusionLDM3DPipeline",
    "WuerstchenPriorPipeline",
}
SETTINGS = ("num_inference_steps", "height", "width", "generator")


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(kind.__call__).parameters.items())[1:])


def _is_required(parameter: inspect.Parameter) -> bool:
    named = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    return named and parameter.default is parameter.empty and parameter.name != "prompt"


def is_text_to_image(kind: type) -> bool:
    """Return whether the pipelines of a class generate images from texts only."""
    takes = _parameters(kind).keys()
    if "prompt" not in takes or takes & FRAMES or kind.__name__ in NO_IMAGES:
        return False
    return not takes & IMAGES or kind.__name__ in IMAGE_IS_OPTIONAL


def unusable(kind: type) -> str | None:
    """Return why a pipeline class cannot be a generator, or None if it can.

    Its images must follow from a prompt, a guidance scale, a number of steps, a size and a seed:
    a class without one of them would ignore a key of the study.
    """
    if isinstance(kind, DummyObject):
        return f"needs packages that are not installed ({', '.join(kind._backends)})"
    if not is_text_to_image(kind):
        return "does not generate images from texts only"
    parameters = _parameters(kind)
    missing = [key for key in SETTINGS if key not in parameters]
    if not parameters.keys() & {"guidance_scale", "true_cfg_scale"}:
        missing.insert(0, "guidance_scale")
    if missing:
        return f"takes no {' and no '.join(missing)}"
    required = [key for key, parameter in parameters.items() if _is_required(parameter)]
    return f"requires {' and '.join(required)}" if required else None


def _unknown(where: str, index: dict, library: str, name: str) -> WeightsError:
    try:
        installed = f"{library} {version(library)} is installed"
    except ModuleNotFoundError:
        installed = f"diffusers {version('diffusers')} is installed"
    saved = index.get("_diffusers_version")
    by = f", the model was saved by diffusers {saved}" if saved else ""
    fix = "install a version that has the class, or name another model"
    return WeightsError(f"{where}: unknown class {name} ({installed}{by}); {fix}")


def check(model: str, index: dict, use: str) -> None:
    """Raise WeightsError if the installed packages cannot load a pipeline as a generator.

    Parameters
    ----------
    model : str
        Name of the model, for messages.
    index : dict
        Its model_index.json.
    use : {"generator", "upscaler"}
        What the pipeline is fetched for.
    """
    where, name = f"{model}: model_index.json", index.get("_class_name")
    if not isinstance(name, str):
        problem = f"_class_name is no class of diffusers ({name!r}, expected the name of one)"
        raise WeightsError(f"{where}: {problem}; code of a model is never run: name another model")
    kind = getattr(diffusers, name, None)
    if kind is None:
        raise _unknown(f"{where}: _class_name", index, "diffusers", name)
    reason = unusable(kind) if use == "generator" else None
    if reason:
        fix = "name a text-to-image model that has a guidance scale"
        raise WeightsError(f"{where}: a {name} {reason}; {fix}")
    for component in checksums.used_components(index, use):
        library, name = index[component]
        unknown = _unknown(f"{where}: {component}", index, library, f"{library}.{name}")
        if library not in LIBRARIES and not hasattr(diffusers.pipelines, library):
            raise unknown
        try:
            component_class = simple_get_class_obj(library, name)
        except AttributeError:
            raise unknown from None
        if isinstance(component_class, DummyObject):
            needs = ", ".join(component_class._backends)
            fix = "install them, or name another model"
            raise WeightsError(f"{where}: {component}: {name} needs packages ({needs}); {fix}")
