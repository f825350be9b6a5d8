"""A checkpoint that others released as a model of ours: safetensors, with its architecture and the
checkpoint's sha256 in the header.

A checkpoint is a pickle, which can run any code when it is read: only tensors and plain containers
are let through.
"""

import hashlib
from pathlib import Path
from pickle import UnpicklingError

import synscale.runtime.torch_setup  # noqa: F401

import torch

from synscale.evaluation import author_checkpoints
from synscale.models import classifier, clip
from synscale.runtime import cli
from synscale.workflow.settings.author_checkpoints import conversion_settings


def read(path: Path) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint. Raises SystemExit, with the mend, where it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SystemExit(
            f"{path}: no such file: download the checkpoint as docs/check_against_the_authors.md says"
        ) from None
    except UnpicklingError as error:
        told = str(error).strip().splitlines()[0][:200]
        raise SystemExit(
            f"{path}: holds more than weights, or is no checkpoint of torch, and is not read ({told}): download it again"
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        raise SystemExit(
            f"{path} ({path.stat().st_size} bytes): cut short or damaged: download it again ({str(error).splitlines()[0][:200]})"
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(own, torch.Tensor) for own in state.values()
    ):
        inside = (
            ", ".join(map(str, list(state)[:4]))
            if isinstance(state, dict)
            else type(state).__name__
        )
        raise SystemExit(
            f"{path}: no state dict (name -> tensor), but {inside}: save the state dict of the model alone, as the authors did"
        )
    return state


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "checkpoint")
    parser.add_argument("--file", required=True, help="state dict, as torch saves it")
    parser.add_argument("--output", required=True, help="safetensors")
    args, settings = cli.parse(parser, arguments, conversion_settings)

    path = Path(args.file)
    library, from_released = (
        (clip, clip.from_released)
        if settings["kind"] == "clip"
        else (classifier, author_checkpoints.from_released)
    )
    state = read(path)
    try:
        model, description = from_released(state)
    except ValueError as error:
        raise SystemExit(
            f"{path}: author_checkpoints.{args.checkpoint} of kind {settings['kind']}: {error}: mend file or kind"
        ) from None
    with path.open("rb") as stream:
        checkpoint = {
            "file": path.name,
            "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
        }
    library.save(args.output, model, description | {"checkpoint": checkpoint})
    print(f"{path}: sha256 {checkpoint['sha256']}, {description}")


if __name__ == "__main__":
    main()
