"""Collect the packages that an offline machine lacks, as wheels, for benchmarks.on_gpu.

python -m benchmarks.on_gpu_wheels --output FOLDER --installed FILE [--python 3.12]

FILE: what `python3 -m pip list --format freeze` prints on that machine. Packages of
envs/laptop.lock that are not in it are downloaded for Linux on x86-64 from the registry that pip is
set up for, without torch, what is built for it, and tools of development. FOLDER may have 64 MiB.
A package without wheels is built here, which works if it is Python only.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from envs.install import ENVS, entries

MOST = 64 * 2**20  # bytes of all wheels
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")
# Built for one version of torch, which the machine has; and tools that no measurement needs.
LEFT_OUT = ("torch", "torchvision", "triton", "nvidia-", "cuda-")
TOOLS = ("hypothesis", "mypy", "mypy-extensions", "librt", "ruff", "selenium", "snakefmt", "black")
TOOLS += ("shfmt-py", "uv", "pytest", "pytest-xdist", "trio", "trio-websocket", "ast-serialize")


def plain(name: str) -> str:
    """Return the name of a package as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(lock: str, installed: str) -> list[str]:
    """Return the requirements of a lock that a machine lacks, such as snakemake==9.27.1.

    Parameters
    ----------
    lock : str
        Content of laptop.lock.
    installed : str
        A package a line, with or without ==version; another version than the lock's will do.
    """
    present = {plain(line.partition("==")[0].strip()) for line in installed.splitlines()}
    present |= set(TOOLS)
    requirements = []
    for name, text in entries(lock).items():
        if plain(name) not in present and not plain(name).startswith(LEFT_OUT):
            requirements.append(text.split()[0])
    return requirements


def download(requirement: str, output: Path, python: str) -> list[str]:
    """Return the command that downloads the wheel of a package for another machine."""
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    words += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS:
        words += ["--platform", f"{platform}_x86_64"]
    return [*words, "--dest", str(output), requirement]


def build(requirement: str, output: Path) -> list[str]:
    """Return the command that builds the wheel of a package of which only the source is offered."""
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    return [*words, "--wheel-dir", str(output), requirement]


def collect(requirements: list[str], output: Path, python: str) -> None:
    """Put a wheel of each package into a folder.

    Raises
    ------
    SystemExit
        If a package has none for the other machine.
    """
    for requirement in requirements:
        command = download(requirement, output, python)
        if not subprocess.run(command, capture_output=True).returncode:
            continue
        done = subprocess.run(build(requirement, output), capture_output=True, text=True)
        if done.returncode:
            problem = done.stderr.strip().split("\n")[-1]
            fix = "check pip's registry, or add the package to --installed"
            raise SystemExit(f"{requirement}: cannot be downloaded ({problem}); {fix}")
    for path in output.glob("*-linux_*.whl"):  # manylinux wheels have another tag
        fix = "build it there, or add the package to --installed"
        raise SystemExit(f"{path}: was built for this machine; {fix}")


def check_size(folder: Path, most: int = MOST) -> int:
    """Return the bytes of all wheels in a folder. Raises SystemExit if they are too many."""
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.whl")}
    total = sum(sizes.values())
    if total > most:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
        names = ", ".join(f"{name} ({sizes[name] / 2**20:.0f} MiB)" for name in largest)
        problem = f"too large ({total / 2**20:.0f} MiB, expected at most {most / 2**20:.0f})"
        fix = f"add to the list of installed packages what the machine has; the largest: {names}"
        raise SystemExit(f"{folder}: {problem}; {fix}")
    return total


def main(arguments: list[str] | None = None) -> None:
    """Download the wheels and check their size."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--output", type=Path, required=True, help="folder of the wheels")
    options.add_argument("--installed", type=Path, required=True, help="packages of the machine")
    options.add_argument("--python", default="3.12", help="version of the machine (3.12)")
    args = options.parse_args(arguments)
    lock = (ENVS / "laptop.lock").read_text(encoding="utf-8")
    requirements = missing(lock, args.installed.read_text(encoding="utf-8"))
    collect(requirements, args.output, args.python)
    size = check_size(args.output) / 2**20
    print(f"{args.output}: {len(requirements)} packages, {size:.1f} MiB")


if __name__ == "__main__":
    main()
