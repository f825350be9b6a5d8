"""Set up torch. Import this before torchvision, timm, open_clip or diffusers.

Call `deterministic` before any work.

A package registry's torchvision is compiled against the CUDA build of torch. With a CPU-only torch
its C++ part does not load, and its import fails at a missing operator. Its Python part needs only
the declared schema, as nothing in this project calls those operators. If the real operators exist,
this module declares nothing.
"""

import gc
import importlib.util
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Imported objects stay. Searching them for garbage now and in every later import would take a sixth
# of a job's start.
gc.disable()
import torch  # noqa: E402

gc.enable()
gc.freeze()

from synscale.runtime import gpu_lock, lazy_compiler  # noqa: E402

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_LIBRARY = None


def _declare_missing_operators() -> None:
    global _LIBRARY
    package = importlib.util.find_spec("torchvision")
    folders = (package and package.submodule_search_locations) or []
    compiled = [library for folder in folders for library in sorted(Path(folder).glob("_C*.so"))]
    try:
        for library in compiled:
            torch.ops.load_library(library)
    except OSError:
        # Kept in a global: the schemas disappear when it is collected.
        _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
        for name, schema in _SCHEMAS.items():
            if not hasattr(torch.ops.torchvision, name):
                _LIBRARY.define(schema)


lazy_compiler.install()
_declare_missing_operators()


def driver() -> str:
    """Return the version of the NVIDIA driver, or why nvidia-smi does not report one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return "unknown (no nvidia-smi on this node)"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown (nvidia-smi: {error})"
    lines = (done.stdout + done.stderr).split("\n")
    return lines[0].strip() if done.returncode == 0 else f"unknown (nvidia-smi: {lines[0].strip()})"


def _cuda_problem() -> tuple[str, str]:
    """Return why torch cannot use CUDA on this node, and what to do."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of torch has no CUDA", "install its CUDA build of the same version"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        return reason, "have the node repaired, or keep jobs off it (SLURM: --exclude)"
    return "torch finds no device", "check that nvidia-smi lists a GPU in such a job"


def require_cuda(count: int) -> None:
    """Stop a job that was given GPUs if it cannot use them all.

    Parameters
    ----------
    count : int
        Number of GPUs that this process and its peers on the node need; 0 checks nothing.

    Raises
    ------
    SystemExit
        If there are fewer CUDA devices, and SYNTHETIC_SCALING_CPU is not `allow`.
    """
    if count == 0 or gpu_lock.cpu_allowed():
        return
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if devices >= count:
        return
    if devices:
        reason, fix = "fewer devices than GPUs", "check what the job requests"
    else:
        reason, fix = _cuda_problem()
    raise SystemExit(
        f"node {socket.gethostname()}: torch cannot use the GPUs of this job "
        f"({devices} usable, expected {count}): {reason} (torch {torch.__version__}, "
        f"its CUDA build: {torch.version.cuda}, driver: {driver()}, {gpu_lock.described_mask()}); "
        f"{fix}. `python -m scripts.check_gpu` tests a node in a minute "
        "(docs/reference/troubleshooting.md). "
        f"To run on the CPU on purpose, set {gpu_lock.CPU}=allow"
    )


@contextmanager
def use_onednn(enabled: bool) -> Iterator[None]:
    """Let operators on a CPU use oneDNN, or not: its GELU takes 5 % of a small training step."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = enabled
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def deterministic(threads: int) -> torch.device:
    """Use deterministic kernels, and return the device to work on.

    `launch` has locked the GPUs of a job. A script that is started without it uses the first
    visible GPU.

    Parameters
    ----------
    threads : int
        Number of CPU threads.

    Returns
    -------
    device
        The first GPU that the job may use, or the CPU if there is none.

    Raises
    ------
    SystemExit
        If the job was given GPUs that torch cannot use.
    """
    given = os.environ.get(gpu_lock.ASSIGNED)
    if given is not None:
        # Each rank checks the GPUs of its node.
        require_cuda(min(int(given), int(os.environ.get("LOCAL_WORLD_SIZE", given))))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # It costs time, and no code here reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
