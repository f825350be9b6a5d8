"""Write files under a temporary name and rename them, so that they are complete or absent."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(*paths: str | Path) -> Iterator[list[Path]]:
    """Yield temporary names, which are renamed on success and removed on failure.

    The next attempt overwrites temporary files of an interrupted one. An interruption between two
    renames leaves the first file new and the second absent or old.

    Parameters
    ----------
    *paths : str or Path
        Files to write. Name last the one whose presence means "done".

    Yields
    ------
    list of Path
        A temporary name for each file.

    Raises
    ------
    OSError
        With the name of the file, if the disk is full.
    """
    targets = [Path(path) for path in paths]
    parts = [target.with_name(f".{target.name}.part{target.suffix}") for target in targets]
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield parts
        for part, target in zip(parts, targets, strict=True):
            apply_umask(part)
            os.replace(part, target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full and not error.filename:  # the error does not name the disk
            raise OSError(*error.args[:2], str(targets[0])) from None
        raise
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def umask() -> int:
    """Return the umask of this process. Other threads may create files at the same time."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("Umask:")[2].split()[0], 8)
    except (OSError, IndexError, ValueError):  # not Linux
        mask = os.umask(0o077)
        os.umask(mask)
        return mask


def apply_umask(path: str | Path) -> None:
    """Let a new file, or each file below a folder, have the permissions that the umask allows.

    safetensors creates its files for their owner only, so that a group could not share results.
    Links are not followed.

    Parameters
    ----------
    path : str or Path
        File or folder that this process wrote.
    """
    path = Path(path)
    allowed = None
    for file in [path] if path.is_file() else path.rglob("*"):
        status = file.lstat()
        if stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077:
            allowed = (0o666 & ~umask()) if allowed is None else allowed
            file.chmod(stat.S_IMODE(status.st_mode) | allowed)


def write_json(path: str | Path, value) -> None:
    """Write a value as JSON. Raises ValueError for NaN and infinity.

    Parameters
    ----------
    path : str or Path
    value
        Value that JSON can represent.

    Raises
    ------
    ValueError
        For NaN and infinity.
    """
    with atomic_write(path) as (part,):
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_folder(output: str, save: Callable[[Path], None]) -> None:
    """Write a folder completely or not at all.

    Parameters
    ----------
    output : str
        The folder.
    save : callable
        Writes the files into a folder, which it creates.
    """
    part = Path(f"{output}.part")
    shutil.rmtree(part, ignore_errors=True)
    save(part)
    apply_umask(part)
    shutil.rmtree(output, ignore_errors=True)  # Snakemake creates the folder of a directory output
    part.rename(output)
