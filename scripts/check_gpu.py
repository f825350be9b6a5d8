"""Prove in a minute that jobs on this node can use its GPU and write results.

srun --partition=gpu --gpus=1 .venv/bin/python -m scripts.check_gpu --folder results

Run it through the scheduler, with the partition, account and GPU type of the jobs. It prints the
versions, compares a forward pass of a ViT-S/16 on the GPU with one on the CPU, and writes a file
into the folder that all nodes share. Exit status: 0 if jobs can start, 1 otherwise.
"""

import argparse
import os
import platform
import socket
import time
from pathlib import Path

import torch

from synscale.runtime import gpu_lock, torch_setup
from synscale.runtime.atomic import atomic_write

# Largest difference from the CPU, relative to the largest output. Our choice: TF32, which
# convolutions use on recent cards, rounds to 5e-4; a wrong kernel is off by far more.
TOLERANCE = 1e-2
VIT_S = {"patch_size": 16, "width": 384, "depth": 12, "heads": 6, "pool": "token"}


def versions() -> list[str]:
    """Return what a report of a problem needs to say."""
    return [
        f"node: {socket.gethostname()}",
        f"Python: {platform.python_version()}",
        f"torch: {torch.__version__}, its CUDA build: {torch.version.cuda}",
        f"NVIDIA driver: {torch_setup.driver()}",
        f"GPUs: {gpu_lock.described_mask()}",
        f"SLURM_JOB_ID: {os.environ.get('SLURM_JOB_ID', 'not set')}",
    ]


def compare(device: torch.device, architecture: dict = VIT_S, image_size: int = 224) -> float:
    """Return how much a forward pass on a device differs from one on the CPU.

    Parameters
    ----------
    device : torch.device
        Device to test.
    architecture : dict
        Architecture of the ViT, as a study has it.
    image_size : int
        Side of the 8 random images, in pixels.

    Returns
    -------
    float
        Largest absolute difference of the outputs, relative to the largest output.

    Raises
    ------
    SystemExit
        If it is over `TOLERANCE` or not a number.
    """
    from synscale.models import classifier  # after the versions are printed: timm may fail to load
    from synscale.study.models.classifiers import Architecture

    torch.manual_seed(0)
    vit = Architecture(label="", **architecture)
    model = classifier.build(vit, image_size, 3, classes=100).eval()
    images = torch.randn(8, 3, image_size, image_size)
    with torch.inference_mode():
        expected = model(images)
        start = time.monotonic()
        computed = model.to(device)(images.to(device)).cpu()
    difference = ((computed - expected).abs().max() / expected.abs().max()).item()
    result = f"largest difference {difference:.1e}, expected at most {TOLERANCE:g}"
    if not difference <= TOLERANCE:
        problem = f"{device} computes other numbers than the CPU ({result})"
        fix = "have the card tested, and keep jobs off the node"
        raise SystemExit(f"node {socket.gethostname()}: {problem}; {fix}")
    print(f"forward pass: {result}; {time.monotonic() - start:.1f} s with the first start of CUDA")
    return difference


def write(folder: Path) -> None:
    """Write a file as jobs do, read it again and remove it. Raises SystemExit if that fails."""
    path = folder / f".check_gpu_{socket.gethostname()}_{os.getpid()}"
    content = os.urandom(1_000_000)
    start = time.monotonic()
    try:
        with atomic_write(path) as (part,):
            part.write_bytes(content)
        same = path.read_bytes() == content
        path.unlink()
    except OSError as error:
        problem = f"{folder}: cannot write ({error})"
        fix = "mount the folder of the checkout on compute nodes, for writing"
        raise SystemExit(f"node {socket.gethostname()}: {problem}; {fix}") from None
    if not same:
        problem = f"{folder}: a file reads back differently"
        raise SystemExit(f"node {socket.gethostname()}: {problem}; check the file system")
    print(f"write to {folder}: 1 MB in {time.monotonic() - start:.2f} s")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    description = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=description)
    options.add_argument(
        "--folder",
        type=Path,
        default=Path("results"),
        help="folder that all nodes share (default: %(default)s)",
    )
    return options


def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    print("\n".join(versions()), flush=True)
    torch_setup.require_cuda(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        bfloat16 = "with" if torch.cuda.is_bf16_supported() else "without"
        memory = f"{properties.total_memory / 1e9:.0f} GB"
        print(f"device: {properties.name}, {memory}, {bfloat16} bfloat16", flush=True)
    else:
        print(f"device: CPU, which {gpu_lock.CPU} allows", flush=True)
    compare(device)
    write(args.folder)
    print("This node can run GPU jobs." if device.type == "cuda" else "This node can run jobs.")


if __name__ == "__main__":
    main()
