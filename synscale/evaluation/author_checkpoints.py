"""Convert checkpoints of the paper's authors to this project's files.

A checkpoint is a pickle, which can run any code when it is read: only tensors and plain containers
are allowed.

Layout of a classifier, as the authors' evaluation code loads it: a plain state dict of a ViT of
timm 0.5.4 with class token, biases of q, k and v, LayerNorm of eps 1e-6 and a linear head. Names
and arithmetic are those of this project's classifiers with `pool: token`, so weights are copied
unchanged. CLIP models: `models.released_clip.from_released`.
"""

import hashlib
from pathlib import Path
from pickle import UnpicklingError

import torch
from timm.models.vision_transformer import VisionTransformer

from synscale.models import classifier, clip, released_clip
from synscale.study.models.classifiers import Architecture
from synscale.workflow.settings.author_checkpoints import ConversionSettings

HEAD_WIDTH = 64  # every ViT/16 of that code has it; the weights do not show it


class LayoutError(ValueError):
    """A checkpoint that is not in the layout of the authors' evaluation code."""


def _listed(names: list) -> str:
    return ", ".join(map(str, names[:4])) + (", ..." if len(names) > 4 else "") or "nothing"


def _differences(model: VisionTransformer, state: dict[str, torch.Tensor]) -> list[str]:
    """Return how the weights of a state dict differ from those of a model."""
    expected = {name: weight.shape for name, weight in model.state_dict().items()}
    shapes = {name: weight.shape for name, weight in state.items()}
    both = [name for name in expected if name in shapes]
    names_of = {
        "missing": [name for name in expected if name not in shapes],
        "unknown": [name for name in shapes if name not in expected],
        "of another shape": [name for name in both if shapes[name] != expected[name]],
    }
    problems = [(problem, names) for problem, names in names_of.items() if names]
    return [f"{len(names)} weights {problem}: {_listed(names)}" for problem, names in problems]


def classifier_from_state(state: dict[str, torch.Tensor]) -> tuple[VisionTransformer, dict]:
    """Return a model and its description, as `classifier.save` takes them.

    The architecture follows from the shapes of the weights.

    Parameters
    ----------
    state : dict of str to Tensor
        Weights by name.

    Raises
    ------
    LayoutError
        If the weights are not those of a ViT of timm.
    """
    try:
        width, channels, patch, _ = state["patch_embed.proj.weight"].shape
        tokens = state["pos_embed"].shape[1]
        classes = len(state["head.weight"])
    except KeyError as error:
        raise LayoutError(
            f"no weight {error} (found {_listed(list(state))}, expected a ViT of timm with a head)"
        ) from None
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    shape = {"patch_size": patch, "width": width, "depth": depth}
    heads = max(1, width // HEAD_WIDTH)
    architecture = Architecture(label="", **shape, heads=heads, pool="token")
    build = {"architecture": architecture, "image_size": patch * round((tokens - 1) ** 0.5)}
    build |= {"channels": channels, "classes": classes}
    model = classifier.build(**build)
    if differences := _differences(model, state):
        size = f"{architecture.depth} blocks of width {width}"
        raise LayoutError(f"not a ViT with {size}: {'; '.join(differences)}")
    model.load_state_dict(state)
    return model, {"build": build}


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of a checkpoint. Raises SystemExit if it has none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        fix = "download the checkpoint (docs/guides/check_against_the_authors.md)"
        raise SystemExit(f"{path}: no such file; {fix}") from None
    except (UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        problem = f"incomplete or damaged ({path.stat().st_size} bytes; {reason})"
        if isinstance(error, UnpicklingError):
            problem = f"has more than weights, or is no checkpoint of torch ({reason})"
        raise SystemExit(f"{path}: {problem}; download it again") from None
    is_dict = isinstance(state, dict)
    if not is_dict or not all(isinstance(weight, torch.Tensor) for weight in state.values()):
        content = _listed(list(state)) if is_dict else type(state).__name__
        raise SystemExit(
            f"{path}: not a state dict ({content}, expected name -> tensor); save only the state "
            "dict of the model, as the authors did"
        )
    return state


def convert(settings: ConversionSettings, path: Path, output: str) -> None:
    """Convert a checkpoint to safetensors, with its architecture and sha256 in the header.

    Parameters
    ----------
    settings : ConversionSettings
    path : Path
        State dict, as torch saves it.
    output : str
        Path of the safetensors.

    Raises
    ------
    SystemExit
        If the checkpoint is missing, damaged or in another layout.
    """
    is_clip = settings.kind == "clip"
    state = read_state(path)
    try:
        convert = released_clip.from_released if is_clip else classifier_from_state
        model, description = convert(state)
    except ValueError as error:
        key = f"author_checkpoints.{settings.name}"
        raise SystemExit(
            f"{path}: {error}; correct file or kind of {key} (kind: {settings.kind})"
        ) from None
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    description["checkpoint"] = {"file": path.name, "sha256": sha256}
    (clip if is_clip else classifier).save(output, model, description)
    print(f"{path}: sha256 {sha256}, {description}")
