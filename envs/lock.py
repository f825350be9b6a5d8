"""Write laptop.lock and cuda.lock from laptop.in: exact versions and the hashes of their files.

    make lock       # the newest versions that laptop.in allows
    make hashes     # keeps the versions of the locks, after an edit of laptop.in or of a version

laptop.lock lists the packages that every machine needs, cuda.lock the additional packages of torch
for CUDA. A lock names no registry. The registry lists the hashes of torch for CUDA. The hash of the
build for CPUs is added if pip is configured to find this build, and kept otherwise.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from envs.install import ENVS, entries, uv_registries

CUDA = ("nvidia-", "cuda-", "triton")
HEAD = "# Written by `make lock` from laptop.in: exact versions{part}, hashes of their files.\n"


def sha256(path: Path) -> str:
    """Return the hash of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_hashes(entry: str, hashes: list[str]) -> str:
    """Append missing hashes to a requirement of a lock.

    Raises
    ------
    SystemExit
        If a hash is not 64 hex digits. An empty one, for example, is part of any text.
    """
    for each in hashes:
        if not re.fullmatch("[0-9a-f]{64}", each):
            raise SystemExit(f"{entry.split()[0]}: {each!r} is not a sha256; no lock was written")
    missing = [each for each in dict.fromkeys(hashes) if each not in entry]
    return entry.rstrip("\n") + "".join(f" \\\n    --hash=sha256:{each}" for each in missing) + "\n"


def old_hashes(lock: str, requirement: str) -> list[str]:
    """Return the hashes that a lock has for this requirement, such as torch==2.13.0."""
    entry = entries(lock).get(requirement.split("==")[0], "")
    return re.findall(r"sha256:([0-9a-f]+)", entry) if entry.split()[:1] == [requirement] else []


def split(compiled: str) -> tuple[str, str]:
    """Split the output of uv into packages for all machines and packages for CUDA."""
    texts = entries(compiled)
    cuda = "".join(text for name, text in texts.items() if name.startswith(CUDA))
    rest = "".join(text for name, text in texts.items() if not name.startswith(CUDA))
    return HEAD.format(part="") + rest, HEAD.format(part=" for torch built for CUDA") + cuda


def main(arguments: list[str] | None = None) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--upgrade", action="store_true", help="the newest versions")
    args = parser.parse_args(arguments)
    laptop, cuda = ENVS / "laptop.lock", ENVS / "cuda.lock"
    before = "".join(path.read_text() for path in (laptop, cuda) if path.exists())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        pip = [str(folder / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "uv"], check=True)
        # uv keeps the versions of an existing output, unless it upgrades.
        compiled = folder / "compiled"
        compiled.write_text(re.sub(r" \\\n    --hash=\S+", "", before))
        config = subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout
        # Leave out other indexes and folders. Their CPU build of torch needs fewer packages.
        index = uv_registries(config, {"UV_INDEX": "", "UV_FIND_LINKS": ""})
        command = [
            *(str(folder / "venv/bin/uv"), "pip", "compile", "--quiet", "--generate-hashes"),
            *("--no-annotate", "--no-header", "--no-emit-index-url", "--allow-unsafe"),
            *("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"),
            *(["--upgrade"] if args.upgrade else []),
            *(*index, str(ENVS / "laptop.in"), "--output-file", str(compiled)),
        ]
        subprocess.run(command, check=True)
        texts = split(compiled.read_text())
        torch = entries(texts[0])["torch"]
        version = torch.split()[0]
        download = ["download", "--quiet", "--no-deps", "--dest", str(folder), version]
        subprocess.run([*pip, *download], check=True)
        (wheel,) = folder.glob("torch-*.whl")
        hashes = [*old_hashes(before, version), sha256(wheel)]
    laptop.write_text(texts[0].replace(torch, with_hashes(torch, hashes)))
    cuda.write_text(texts[1])


if __name__ == "__main__":
    main()
