"""Import this before torchvision, timm, open_clip or diffusers, and call `deterministic` before any work.

A package registry's torchvision is compiled against the CUDA build of torch. Beside a CPU-only torch its C++ part does not load, and
importing it stops at an operator that does not exist. Declaring the schema is all that its Python part needs: nothing here calls
those operators. Where the real operators exist, this does nothing.
"""

import gc
import importlib.util
import os
from pathlib import Path

# What an import makes stays, so that looking for garbage in it, then and with every import after it, takes a sixth of a job's start and finds nothing.
gc.disable()
import torch  # noqa: E402

gc.enable()
gc.freeze()

from scripts.lib import gpus  # noqa: E402

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_LIBRARY = None


def _declare_missing_operators() -> None:
    global _LIBRARY
    package = importlib.util.find_spec("torchvision")
    compiled = sorted(Path(package.submodule_search_locations[0]).glob("_C*.so")) if package else []
    try:
        for library in compiled:
            torch.ops.load_library(library)
    except OSError:
        _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # kept: the schemas go when it is collected
        for name, schema in _SCHEMAS.items():
            if not hasattr(torch.ops.torchvision, name):
                _LIBRARY.define(schema)


_declare_missing_operators()


def deterministic(threads: int) -> torch.device:
    """Use `threads` CPU threads, deterministic kernels, and a GPU where there is one. Returns the device to work on."""
    gpus.claim()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, and nothing here reads what it has not written
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
