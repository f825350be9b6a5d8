"""Where results come from: commit of the code, versions of packages, and the machine."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import yaml

HERE = Path(__file__).resolve()


def git(*arguments: str) -> str | None:
    """Return the output of git next to this file; None if it fails or is not installed."""
    program = shutil.which("git")
    if program is None:
        return None
    command = [program, "-C", str(HERE.parent), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else None


def commit() -> str:
    """Return the commit of the code that runs, with `-dirty` if a tracked file differs from it."""
    # A copy of the code may be inside a checkout of something else, whose commit is unrelated.
    if git("ls-files", "--error-unmatch", HERE.name) is None:
        return "not known: no git checkout"
    described = git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return described or "not known: no commit yet"


def versions(environments: Iterable[Path]) -> dict[str, str]:
    """Return the version of every package that an environment file names.

    It is the pin if the environment of this process does not have the package.
    """
    by_package = {"python": platform.python_version()}
    for path in environments:
        for pin in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"][-1]["pip"]:
            name, pinned = pin.split("==")
            try:
                by_package[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                by_package.setdefault(name, f"{pinned} (pin of {path.name})")
    return dict(sorted(by_package.items(), key=lambda item: item[0].lower()))


def processor() -> str:
    """Return the model of the CPU."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or "a CPU"


def machine() -> dict[str, str | int]:
    """Return operating system, CPU and number of cores of this machine."""
    return {"system": platform.platform(), "cpu": processor(), "cores": os.cpu_count() or 1}
