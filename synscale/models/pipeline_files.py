"""Files of a saved text-to-image pipeline: which weights they are, and reading them."""

import hashlib
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

# Diffusers loads components of a pipeline only from modules that are imported already.
import synscale.models.pixel_space  # noqa: F401
from synscale.models import checksums


def revision(path: str, *others: str) -> str:
    """Return twelve hex digits that identify the weights of a saved pipeline.

    Parameters
    ----------
    path : str
        Folder of the pipeline.
    *others : str
        Folders of LoRA weights that are added to it.

    Raises
    ------
    WeightsError
        If a file differs from the fetched one.
    """
    text = ""
    for folder in (path, *others):
        names = (str(file.relative_to(folder)) for file in Path(folder).rglob("*.safetensors"))
        hashes = checksums.hashes(folder, sorted(names))
        checksums.check_fetched(folder, hashes)
        text += "".join(f"{file} {sha256}\n" for file, sha256 in hashes.items())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read(
    path: str | Path, use: str, precision: str, variant: str | None, device: torch.device
) -> DiffusionPipeline:
    """Return the pipeline saved at `path`, without components that this use does not need.

    Parameters
    ----------
    path : str or Path
    use : str
        As for `checksums.used_components`.
    precision : str
    variant : str or None
        Variant of the weight files.
    device : torch.device
    """
    unused: dict[str, bool | None] = {}
    for name, (library, _) in checksums.components(checksums.index_of(path)).items():
        # Some pipelines require a component that was saved as none.
        if name in checksums.UNUSED[use] or not library:
            unused[name] = None
    if "safety_checker" in unused:
        unused["requires_safety_checker"] = False
    with checksums.require_all_weights():
        pipeline = DiffusionPipeline.from_pretrained(
            path,
            local_files_only=True,
            use_safetensors=True,
            variant=variant,
            dtype=getattr(torch, precision),
            low_cpu_mem_usage=False,  # with it, weights that no file has would not be reported
            **unused,
        ).to(device)
    if hasattr(pipeline, "watermark"):  # SDXL has one if the package for it is installed
        pipeline.watermark = None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
