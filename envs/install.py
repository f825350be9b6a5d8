"""Install laptop.lock into a new virtual environment: `python envs/install.py .venv`.

uv installs the packages, in a fifth of pip's time. If uv cannot be installed or fails, pip installs
them. Both verify the hash of every file against the lock. The registries are those in pip's
settings.

Registries offer two builds of each version of torch: for CUDA, and for CPUs only. With hashes, pip
selects the build whose hash the registry lists, which is CUDA, even if the CPU build is configured.
uv looks for hashes of "2.13.0+cpu", which a requirement for both builds cannot name. Therefore pip
first downloads torch without hashes. Its hash must be in the lock, and the requirements name the
downloaded file. The CUDA build needs more packages, which are in cuda.lock.

This file runs before any package is installed: it imports the standard library only.
"""

from __future__ import annotations  # so that an old Python reaches the message about its version

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ENVS = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)
# Keys of pip's configuration, and the options and environment variables of uv for the same.
REGISTRIES = {
    "index-url": ("--default-index", "UV_DEFAULT_INDEX"),
    "extra-index-url": ("--index", "UV_INDEX"),
    "find-links": ("--find-links", "UV_FIND_LINKS"),
}


def check_version(version: tuple[int, int]) -> None:
    """Raise SystemExit if the project is not tested with this version of Python."""
    if not OLDEST <= version <= NEWEST:
        oldest, newest, version_text = (
            ".".join(map(str, each)) for each in (OLDEST, NEWEST, version)
        )
        problem = f"wrong version (Python {version_text}, expected {oldest} to {newest})"
        fix = f"name another one, such as: make PYTHON=python{oldest} figures"
        raise SystemExit(f"{sys.executable}: {problem}; {fix}")


def entries(lock: str) -> dict[str, str]:
    """Return the text of each requirement of a lock, with its hashes, by package name."""
    texts = re.findall(r"^\S+==(?:.*\\\n)*.*\n?", lock, re.MULTILINE)
    return {text.split("==")[0]: text for text in texts}


def requirements(lock: str, wheel: Path) -> str:
    """Return a lock in which torch is a downloaded file with its hash.

    If a file has several hashes, uv requires all of them to match. Therefore only one is named.

    Parameters
    ----------
    lock : str
        Content of laptop.lock.
    wheel : Path
        Downloaded wheel of torch.

    Raises
    ------
    SystemExit
        If the hash of the wheel is not in the lock.
    """
    torch = entries(lock)["torch"]
    with wheel.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 not in re.findall(r"--hash=sha256:([0-9a-f]{64})\b", torch):
        raise SystemExit(
            f"{wheel.name}: not a file of laptop.lock (sha256 {sha256}, expected one of the hashes "
            f"of {torch.split()[0]}); download it again, or run `make hashes` if you trust it"
        )
    return lock.replace(torch, f"torch @ {wheel.resolve().as_uri()} --hash=sha256:{sha256}\n")


def needs(wheel: Path, names: set[str]) -> bool:
    """Return whether a wheel requires any of these packages, ignoring extras and markers."""
    with zipfile.ZipFile(wheel) as archive:
        path = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(path).decode()
    required = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE)
    return not names.isdisjoint(re.sub(r"[-_.]+", "-", name).lower() for name in required)


def uv_registries(pip_config: str, environment: dict[str, str]) -> list[str]:
    """Translate the registries of pip's configuration into options of uv.

    Parameters
    ----------
    pip_config : str
        Output of `pip config list`, such as ``global.index-url='https://...'``. The section
        `install` takes precedence over `global`; `:env:`, the environment, over both.
    environment : dict of str to str
        uv reads registries from its own variables in the environment; these get no option.
    """
    values = {}
    for section in ("global", "install", ":env:"):
        for key, value in re.findall(rf"^{section}\.([\w-]+)='(.*)'$", pip_config, re.MULTILINE):
            values[key] = value.replace("\\n", " ").split()
    options: list[str] = []
    for key, (option, variable) in REGISTRIES.items():
        if variable not in environment:
            for value in values.get(key, []):
                options += [option, value]
    return options


class Installer:
    """Installs requirements with hashes into a virtual environment, by uv or else by pip."""

    def __init__(self, python: Path, folder: Path, compiled: bool):
        self.pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        self.hashed = ["--quiet", "--no-deps", "--require-hashes", "--requirement"]
        self.uv: list[str] = []
        entry = entries((ENVS / "laptop.lock").read_text())["uv"]
        (folder / "uv.txt").write_text(entry)
        if self._succeeds([*self.pip, "install", *self.hashed, str(folder / "uv.txt")]):
            config = subprocess.run([*self.pip, "config", "list"], capture_output=True, text=True)
            self.uv = [
                *(str(python.parent / "uv"), "pip", "install", "--python", str(python)),
                # A cache in this folder shares files with the environment; HOME may have a quota.
                *("--cache-dir", str(folder / "uv")),
                # pip chooses among registries in this way. Only files of the lock can be chosen.
                *("--index-strategy", "unsafe-best-match"),
                *uv_registries(config.stdout, dict(os.environ)),
                *(["--compile-bytecode"] if compiled else []),
            ]

    def install(self, file: Path) -> None:
        """Install the requirements of a file; raise CalledProcessError if neither can."""
        if not (self.uv and self._succeeds([*self.uv, *self.hashed, str(file)])):
            subprocess.run([*self.pip, "install", *self.hashed, str(file)], check=True)

    @staticmethod
    def _succeeds(command: list[str]) -> bool:
        done = subprocess.run(command)
        if done.returncode:
            print(f"{' '.join(command[:4])} ... failed; trying pip", file=sys.stderr)
        return done.returncode == 0


def install(venv: Path, compiled: bool = False) -> None:
    """Create a virtual environment with the packages of the lock, and replace an existing one.

    Parameters
    ----------
    venv : Path
        Folder of the environment.
    compiled : bool
        Compile all modules now instead of at their first import. Use it for environments that jobs
        cannot write to, such as a container.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    python = venv / "bin" / "python"
    lock, cuda = ((ENVS / name).read_text() for name in ("laptop.lock", "cuda.lock"))
    with tempfile.TemporaryDirectory(dir=venv) as temporary:
        folder = Path(temporary)
        installer = Installer(python, folder, compiled)
        version = entries(lock)["torch"].split()[0]
        download = ["download", "--quiet", "--no-deps", "--dest", str(folder), version]
        subprocess.run([*installer.pip, *download], check=True)
        (wheel,) = folder.glob("torch-*.whl")
        (folder / "requirements.txt").write_text(requirements(lock, wheel))
        installer.install(folder / "requirements.txt")
        if sys.platform == "linux" and needs(wheel, set(entries(cuda))):
            installer.install(ENVS / "cuda.lock")
    subprocess.run([*installer.pip, "check"], check=True, stdout=subprocess.DEVNULL)


def main(arguments: list[str] | None = None) -> None:
    check_version(sys.version_info[:2])
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("venv", type=Path, help="folder of the environment; replaced if it exists")
    parser.add_argument("--compile", action="store_true", help="compile all modules to bytecode")
    args = parser.parse_args(arguments)
    try:
        install(args.venv, args.compile)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{args.venv}: not complete; {' '.join(error.cmd[:4])} failed") from None


if __name__ == "__main__":
    main()
