"""Small archives of files with a checksum of each: .tar.xz with a manifest.

The same files give the same bytes: names are sorted, and times, users and permissions are fixed.
"""

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from synscale.runtime.atomic import atomic_write

MANIFEST = "manifest.json"
SHOWN = 5  # files in a message


class ArchiveError(ValueError):
    """A file that is no archive of this kind, or a damaged one."""


def sha256(content: bytes) -> str:
    """Return the checksum of a file's content."""
    return hashlib.sha256(content).hexdigest()


def listed(lines: list[str]) -> str:
    """Return the first lines of a list, indented, and how many more there are."""
    more = [f"{len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return "".join(f"\n  {line}" for line in [*lines[:SHOWN], *more])


def compressed(content: bytes) -> bytes:
    """Return the content as .xz."""
    # A dictionary of the preset's 64 MiB costs time and memory, and small files do not use it.
    size = min(max(len(content), 1 << 12), 1 << 26)
    options = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": size}
    return lzma.compress(content, filters=[options])


def pack(files: Mapping[str, bytes], facts: dict) -> bytes:
    """Return an archive of files.

    Parameters
    ----------
    files : mapping of str to bytes
        Relative path -> content.
    facts : dict
        Content of the manifest, other than `files`.

    Raises
    ------
    ArchiveError
        If a path is not in the folder that all paths are relative to.
    """
    _check_paths(files)
    checksums = {name: sha256(files[name]) for name in sorted(files)}
    manifest = json.dumps(facts | {"files": checksums}, indent=1) + "\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in [(MANIFEST, manifest.encode()), *sorted(files.items())]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return compressed(buffer.getvalue())


def write(path: str | Path, files: Mapping[str, bytes], facts: dict) -> None:
    """Write an archive of files. Parameters as of `pack`."""
    with atomic_write(path) as (part,):
        part.write_bytes(pack(files, facts))


def read(path: str | Path) -> tuple[dict, dict[str, bytes]]:
    """Read an archive and verify its checksums.

    Returns
    -------
    manifest : dict
    files : dict of str to bytes
        Relative path -> content.

    Raises
    ------
    ArchiveError
        If the file is missing, is no such archive, or does not match its checksums.
    """
    try:
        return unpack(Path(path).read_bytes())
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file; give the path of a bundle") from None
    except ArchiveError as error:
        raise ArchiveError(f"{path}: {error}") from None


def unpack(archive: bytes) -> tuple[dict, dict[str, bytes]]:
    """Return manifest and files of an archive. Raises ArchiveError as `read`."""
    try:
        # At once, as a checksum is at the end of the stream.
        content = lzma.decompress(archive, format=lzma.FORMAT_XZ)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            members = {member.name: _content(tar, member) for member in tar}
        manifest = json.loads(members.pop(MANIFEST))
        checksums = dict(manifest["files"])
    except (lzma.LZMAError, tarfile.TarError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ArchiveError(
            f"not a bundle, or damaged ({reason}); download it again, or create it with "
            "python -m scripts.bundle create"
        ) from None
    hashes = {name: sha256(content) for name, content in members.items()}
    wrong = [
        f"{name} (found {hashes.get(name, 'no file')}, expected {checksums.get(name, 'no file')})"
        for name in sorted(hashes.keys() | checksums.keys())
        if hashes.get(name) != checksums.get(name)
    ]
    if wrong:
        raise ArchiveError(f"wrong checksums; download it again:{listed(wrong)}")
    _check_paths(members)
    return manifest, members


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name}: not a plain file; get the bundle again")
    return file.read()


def _check_paths(names: Iterable[str]) -> None:
    unsafe = [name for name in names if not _is_safe(name)]
    if unsafe:
        raise ArchiveError(f"paths outside of the workflow; use relative paths:{listed(unsafe)}")


def _is_safe(name: str) -> bool:
    """Return whether a path stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name
