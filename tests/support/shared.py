"""Fixtures that the workers of pytest-xdist share."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def create_once(
    tmp_path_factory, worker_id: str, name: str, create: Callable[[Path], None]
) -> Path:
    """Create a folder in the first worker that asks for it; the others wait and get the same one.

    Parameters
    ----------
    tmp_path_factory, worker_id : fixtures of pytest and pytest-xdist
    name : str
        Of the folder; one for each call of `create`.
    create : callable
        Gets the path of the folder, which does not exist yet.
    """
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent
    folder, complete = root / name, root / f"{name}.complete"
    with FileLock(root / f"{name}.lock"):
        if not complete.exists():
            create(folder)
            complete.touch()
    return folder


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file below a folder, by path; compiled Python is left
    out.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    stats = {str(path.relative_to(folder)): path.stat() for path in files}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by path; hidden and partial files are left out.

    The last two columns of histories of trainings, which are times, are left out too.
    """

    def content(path: Path) -> bytes:
        data = path.read_bytes()
        if "histories" not in str(path.parent):
            return data
        return b"\n".join(line.rsplit(b",", 2)[0] for line in data.splitlines())

    return {
        str(path.relative_to(folder)): hashlib.sha256(content(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] != "."
        if not any(part.endswith(".part") for part in path.parts)
    }
