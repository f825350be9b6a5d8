"""WebDataset tars: samples are members of one key, {key}.jpg and {key}.cls. Also what the tars of
pairs are walked with.
"""

import posixpath
import re
import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from synscale.data.datasets import class_names
from synscale.data.datasets.registry import (
    IMAGES,
    DataSet,
    DataSetError,
    Found,
    is_pattern,
    matches,
    shown,
)
from synscale.runtime.file_names import is_clutter, is_utf8, splits

BLOCK = 512
COLUMNS = ["class_id", "origin", "tar", "offset", "size"]  # of an index of classes
METADATA = re.compile(r"__[^/]*__(\.|/|$)")  # members that webdataset does not take for samples
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
DAMAGED = "copy or download it again"


def files(place: Path) -> list[Path]:
    """Tars in a folder, or those that a pattern names."""
    found = (
        matches(place)[0]
        if is_pattern(place)
        else sorted(path for path in place.iterdir() if path.suffix == ".tar")
    )
    return [path for path in found if not is_clutter(path.name)]


def root(place: Path) -> Path:
    """Folder that the names of files start from."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def samples(tar: Path) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """List the samples of a tar, in the order of their first members. Only headers are read.

    The key of a member ends at the first dot of its file name, as in WebDataset. The members of a
    sample need not be adjacent.

    Returns
    -------
    list of (str, dict)
        Key, and extension -> (offset, size) in bytes.

    Raises
    ------
    DataSetError
        If the tar is compressed, cut off or damaged, continues after its end, or a member is there
        twice, is a link, or has a name that is not UTF-8.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(tar, "r:") as file:
            for member in file:
                _add(tar, member, found)
            # Python's reader takes a damaged header for the end; the true end is a shard of zeros.
            file.fileobj.seek(file.offset)
            if file.fileobj.read(BLOCK) != bytes(BLOCK):
                told = "no image, and no end of the tar either"
                raise DataSetError(
                    f"{tar}: cut off or damaged at byte {file.offset}: {told}; {DAMAGED}"
                )
            if any(rest.strip(b"\0") for rest in iter(lambda: file.fileobj.read(1 << 20), b"")):
                cause = "tars that were joined, or a damaged one"
                raise DataSetError(
                    f"{tar}: continues after its end at byte {file.offset}: {cause}; {DAMAGED}"
                )
    except (tarfile.TarError, OSError) as error:
        if kind := _compression(tar):
            raise DataSetError(
                f"{tar}: compressed ({kind}), and images are read at their offsets: decompress it"
            ) from None
        raise DataSetError(f"{tar}: not a whole tar ({error}): {DAMAGED}") from None
    return list(found.items())


def _add(tar: Path, member: tarfile.TarInfo, found: dict) -> None:
    """Add a member to the samples that were found."""
    path = posixpath.normpath(member.name).lstrip("/")
    if member.isdir() or is_clutter(path) or METADATA.match(path):
        return
    if not is_utf8(path):
        raise DataSetError(
            f"{tar}: the name of member {path!r} is not UTF-8: rename it and write the tar again"
        )
    if member.islnk() or member.issym():
        raise DataSetError(
            f"{tar}: {path!r} is a link: write the tar again with --dereference --hard-dereference"
        )
    folder, name = posixpath.split(path)
    stem, _, extension = name.partition(".")
    parts = found.setdefault(posixpath.join(folder, stem), {})
    if extension.lower() in parts:
        fix = "a sample is ambiguous; write the tar again with keys that differ"
        raise DataSetError(f"{tar}: {path!r} comes twice: {fix}")
    parts[extension.lower()] = (member.offset_data, member.size)


def _compression(tar: Path) -> str | None:
    with tar.open("rb") as stream:
        start = stream.read(6)
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)


def image_of(tar: Path, key: str, parts: dict) -> tuple[int, int]:
    images = [extension for extension in IMAGES if extension in parts]
    if len(images) != 1:
        needed = f"one of .{', .'.join(IMAGES)} is needed"
        dots = any("." in extension and extension.endswith(IMAGES) for extension in parts)
        fix = "; a key ends at the first dot of a file's name; replace other dots" if dots else ""
        found = f"{len(images)} images among {', '.join(sorted(parts))}"
        raise DataSetError(f"{tar}: sample {key!r} has {found}: {needed}{fix}")
    return parts[images[0]]


def labelled(tar: Path, class_ids: list[int]) -> list[tuple[int, str, int, int]]:
    """List (class id, key, offset, size) of each image; `class_ids` of the integers in .cls."""
    found = []
    with tar.open("rb") as stream:
        for key, parts in samples(tar):
            offset, size = image_of(tar, key, parts)
            if "cls" not in parts:
                raise DataSetError(
                    f"{tar}: sample {key!r} has no {key}.cls, which tells its class (found: {', '.join(sorted(parts))})"
                )
            stream.seek(parts["cls"][0])
            text = stream.read(parts["cls"][1]).decode(errors="replace").strip()
            if not text.isascii() or not text.isdigit() or int(text) >= len(class_ids):
                expected = f"must be a class id, 0 to {len(class_ids) - 1}"
                raise DataSetError(f"{tar}: {key}.cls = {text[:40]!r}: {expected}")
            found.append((class_ids[int(text)], key, offset, size))
    return found


def name_faults(data: DataSet) -> list[str]:
    """List errors of the tars' names: not UTF-8, or of several splits, which would be pooled."""
    names = [str(path.relative_to(root(data.place))) for path in files(data.place)]
    faults = []
    if odd := [name for name in names if not is_utf8(name)]:
        faults.append(f"the names of tars are not UTF-8: {shown(odd)}: rename them")
    found = [split for split in splits(names) if split]
    if len(found) > 1 and not is_pattern(data.place):
        fix = f"name those of one by a pattern, such as {data.place}/*{found[0]}*.tar"
        faults.append(f"tars of several splits ({', '.join(found)}): {fix}")
    return faults


def _class_ids(data: DataSet) -> list[int]:
    top = root(data.place)
    return class_names.class_ids(data, top, top.parent)


def survey(data: DataSet) -> Found:
    """The first tar is read; what the others hold, `index` will tell."""
    found = Found("WebDataset tars")
    own = files(data.place)
    named = {row.get("wnid") for row in data.classes} & {path.stem for path in own}
    if named:
        found.faults.append(
            f"the tars are of classes ({shown(sorted(named))}): unpack each into a folder of its name"
        )
        return found
    found.faults += name_faults(data)
    try:
        found.notes.append(
            f"{len(own)} tars, {len(labelled(own[0], _class_ids(data)))} images in the first"
        )
    except DataSetError as error:
        found.faults.append(str(error))
    return found


def index(data: DataSet, threads: int):
    """Rows of every image, tar by tar, and what is there. See datasets.index."""
    import pandas as pd

    table = pd.DataFrame(columns=COLUMNS)
    if faults := name_faults(data):
        return table, Found("WebDataset tars", None, faults)
    tables, class_ids = [table], _class_ids(data)

    def one(tar: Path):
        try:
            return labelled(tar, class_ids)
        except DataSetError as error:
            return error

    own, top, empty = files(data.place), root(data.place), []
    with ThreadPoolExecutor(threads) as pool:
        for tar, rows in zip(own, pool.map(one, own), strict=True):
            if isinstance(rows, DataSetError):
                faults.append(str(rows))
            elif not rows:
                empty.append(tar.name)
            else:
                name = str(tar.relative_to(top))
                tables.append(
                    pd.DataFrame(
                        [(i, f"{name}/{key}", name, *place) for i, key, *place in rows],
                        columns=COLUMNS,
                    )
                )
    table = pd.concat(tables, ignore_index=True).astype({"class_id": int})
    notes = [
        f"{len(own)} tars",
        *([f"{len(empty)} tars without a sample ({shown(empty)})"] if empty else []),
    ]
    return table, Found("WebDataset tars", Counter(table["class_id"].tolist()), faults, notes)


def read_at(tar: Path, offset: int, size: int) -> bytes:
    with tar.open("rb") as stream:
        stream.seek(offset)
        found = stream.read(size)
    if len(found) != size:
        raise DataSetError(
            f"{tar}: ends before byte {offset + size}, where an image of it should: copy or download it again"
        )
    return found


def reader(data: DataSet):
    """A function from a row of the index to the bytes of its image."""
    top = root(data.place)
    return lambda row: read_at(top / row["tar"], row["offset"], row["size"])
